"""The command lines of the flows: arguments in, exit code out."""

from __future__ import annotations

import argparse
import json
import traceback
from collections.abc import Callable
from pathlib import Path

import embedded
from cluster import Cluster
from terminal import say, share_console
from typer import BadParameter

from simgen.cli import exit_code
from simgen.store import reader
from simgen.terminal import INTERRUPTED, USAGE
from worldmodel.cli import EXIT_CODES
from worldmodel.cli import seconds as duration_s

EPILOG = """\
exit codes: 0 done, 1 failure, 2 usage or recipe, 3 finished with quarantined episodes, 4 integrity,
130 interrupted. After any of them the same command goes on where it stopped.

PREFECT_API_URL, if set, names the Prefect server to use; otherwise one is started for the run and
stopped after it, with its files beside the output."""


def parser(teaches: str) -> argparse.ArgumentParser:
    """A parser whose help opens with the flow's own words."""
    return argparse.ArgumentParser(
        description=teaches,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_recipe(to: argparse.ArgumentParser) -> None:
    to.add_argument("recipe", type=Path, help="such as datasets/demo/recipe.toml")
    to.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="on recipe keys: episodes=64, video.height=96, engine=bullet",
    )


def add_cluster(to: argparse.ArgumentParser) -> None:
    where = to.add_argument_group("where parts are built (Dask)")
    where.add_argument("--workers", type=int, default=0, help="local processes (one a core)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a running one: tcp://10.0.0.5:8786")
    where.add_argument("--cluster-class", metavar="NAME", help="dask_jobqueue.SLURMCluster and kin")
    where.add_argument("--cluster-kwargs", type=json.loads, default={}, metavar="JSON")
    where.add_argument("--adapt-kwargs", type=json.loads, default={}, metavar="JSON")


def add_training(to: argparse.ArgumentParser) -> None:
    how = to.add_argument_group("training")
    how.add_argument("--budget", type=seconds, default=480.0, help="90s, 8m, 1h (default 8m)")
    how.add_argument("--preset", default="tiny", help="tiny, small, base or pro")
    how.add_argument("--seed", type=int, default=0, help="of weights and window order")


def add_judging(to: argparse.ArgumentParser) -> None:
    how = to.add_argument_group("judging")
    how.add_argument("--split", default="test", help="to judge on (default test)")
    how.add_argument("--clips", type=int, help="the first so many of it (default all)")


def seconds(text: str) -> float:
    """A duration such as 90s, 8m or 1.5h in seconds."""
    try:
        return duration_s(text)
    except BadParameter as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def require_published(store: Path) -> None:
    """Raise unless the folder is a complete dataset."""
    reader.open(store)


def require_checkpoint(path: Path) -> None:
    """Raise FileNotFoundError unless there is such a file."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; flows/train_model.py makes one")


def cluster_of(given: argparse.Namespace) -> Cluster:
    """The Cluster that the arguments of add_cluster ask for."""
    return Cluster(**{name: getattr(given, name) for name in Cluster.model_fields})


def run(work: Callable[[], int], *, check: Callable[[], object], server: Path) -> int:
    """The exit code of `work`, a flow called under a Prefect server.

    Args:
        work: Calls the flow; returns an exit code.
        check: Refuses bad input before a server is started for it.
        server: Folder for an embedded server's files.
    """
    try:
        check()
        say("starting Prefect (8 s; 20 s the first time)")
        embedded.start(server)
        share_console()
        return work()
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        return INTERRUPTED
    except Exception as error:
        return explain(error)


def explain(error: Exception) -> int:
    """Say what went wrong, and the exit code for it.

    Our own errors and those that the command lines know carry their whole message; any other is
    our mistake, and its traceback helps to mend it.
    """
    codes = {"ValidationError": USAGE, **EXIT_CODES}
    name = type(error).__name__
    if name in codes or type(error).__module__.split(".")[0] in ("simgen", "worldmodel"):
        say(f"error: {error}")
    else:
        say("".join(traceback.format_exception(error)))
    return codes.get(name) or exit_code(error)
