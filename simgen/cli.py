"""The simgen command line: each command is thin over one plain function.

Everything heavy is imported inside the commands, so that --help is instant.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from simgen.commands.add import add
from simgen.commands.backfill import backfill
from simgen.commands.compact import compact
from simgen.commands.export import export
from simgen.commands.importing import import_clips
from simgen.commands.remove import remove, restore
from simgen.commands.repair import repair
from simgen.commands.stats import stats
from simgen.commands.verify import verify
from simgen.commands.versions import expire, versions
from simgen.commands.view import view
from simgen.terminal import (
    FAILED,
    INTEGRITY,
    QUARANTINED,
    USAGE,
    ProgressBar,
    run,
    say,
    working,
)

EXITS = """Exit codes: 0 done, 1 failure, 2 usage or recipe, 3 finished with quarantined
episodes, 4 integrity, 130 interrupted."""

app = typer.Typer(
    name="simgen", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a TOML file.", metavar="RECIPE")]
OutPath = Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="OUT")]
StorePath = Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="Recipe keys to change: engine=bullet, video.height=64, scene.0.weight=2.",
        metavar="[KEY=VALUE]...",
        show_default=False,
    ),
]
Episodes = Annotated[int | None, typer.Option(min=1, help="Episodes instead of the recipe's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.callback(epilog=EXITS)
def simgen(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Physics-grounded video datasets: recipe, simulation, frames and truth, captions, store."""


@app.command()
def recipes(
    folder: Annotated[
        Path, typer.Argument(help="Where to look.", exists=True, file_okay=False)
    ] = Path("datasets"),
    as_json: AsJson = False,
) -> None:
    """List the recipes under a folder and the scene families they can use.

    Example: simgen recipes datasets
    """
    from simgen.families import FAMILIES, family
    from simgen.recipe import load

    found = []
    for path in sorted(folder.rglob("recipe.toml")):
        recipe = load(path)
        families = sorted({f"{scene.family}/{scene.engine}" for scene in recipe.scene})
        found.append(
            {"path": str(path), "name": recipe.name, "episodes": recipe.episodes,
             "scenes": families, "buckets": list(recipe.buckets)}
        )  # fmt: skip
    known = {name: family(name).summary for name in sorted(FAMILIES)}
    lines = [
        f"{r['path']}  {r['episodes']} episodes of {', '.join(r['scenes'])} "
        f"as {', '.join(r['buckets'])}"
        for r in found
    ] or [f"no recipe.toml under {folder}"]
    lines += ["", "families:", *(f"  {name}: {said}" for name, said in known.items())]
    say({"recipes": found, "families": known}, "\n".join(lines), as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a recipe, the families' parameters included.

    Example: simgen schema > recipe.schema.json
    """
    from simgen.recipe import Recipe

    print(json.dumps(Recipe.schema(), indent=2))


@app.command()
def validate(
    recipe: RecipePath,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Check a recipe without building anything; every problem is named with its key.

    Example: simgen validate datasets/high_bar/recipe.toml video.height=256
    """
    from simgen.recipe import load

    loaded = load(recipe, overrides or ())
    facts = {"path": str(recipe), "name": loaded.name, "hash": loaded.hash, "valid": True}
    say(facts, f"{recipe} is valid: {loaded.name}, {loaded.hash[:8]}", as_json)


@app.command()
def plan(
    recipe: RecipePath,
    out: OutPath,
    overrides: Overrides = None,
    episodes: Episodes = None,
    as_json: AsJson = False,
) -> None:
    """Say what a build would do: parts, how many are done, bytes on disk.

    Example: simgen plan datasets/bouncing_balls/recipe.toml balls.zarr --episodes 32
    """
    from simgen.build.planning import plan as make_plan

    planned = make_plan(changed(recipe, overrides, episodes), out)
    facts = {
        "out": str(planned.out), "parts": len(planned.parts), "todo": len(planned.todo),
        "complete": planned.complete, "bytes": planned.bytes,
        "bytes_needed": planned.bytes_needed, "free_bytes": planned.free_bytes,
        "cpu_seconds": sum(part.seconds for part in planned.todo),
    }  # fmt: skip
    free = planned.free_bytes
    text = (
        f"{facts['out']}: {facts['todo']} of {facts['parts']} parts to make, about "
        f"{facts['bytes_needed'] / 1e6:.0f} MB and {facts['cpu_seconds']:.0f} CPU seconds"
        + ("" if free is None else f"; {free / 1e9:.1f} GB free")
    )
    say(facts, text, as_json)


@app.command()
def preview(
    recipe: RecipePath,
    overrides: Overrides = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The picture; .webp or .gif: one episode moving."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, max=64, help="How many.")] = 4,
    first: Annotated[int, typer.Option(min=0, help="Index of the first.")] = 0,
    columns: Annotated[int, typer.Option(min=1, max=64, help="Frames of each.")] = 6,
    all_channels: Annotated[
        bool, typer.Option("--all-channels", help="A row for each channel.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Simulate a few episodes and draw them on one sheet, captions underneath. Stores nothing.

    Example: simgen preview datasets/high_bar/recipe.toml -o sheet.png --episodes 6
    """
    from simgen.preview import animation, contact_sheet, make_place

    loaded = changed(recipe, overrides, None)
    output = output or Path(f"preview-{loaded.name}.png")
    try:
        make_place(output)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with working("drawing (the first time compiles)"):
        if output.suffix.lower() in (".webp", ".gif"):
            animation(loaded, first, output)
        else:
            indices = range(first, first + episodes)
            sheet = contact_sheet(loaded, indices, columns=columns, all_channels=all_channels)
            sheet.save(output)
    say({"picture": str(output.absolute())}, str(output.absolute()), as_json)


@app.command()
def build(
    recipe: RecipePath,
    out: OutPath,
    overrides: Overrides = None,
    episodes: Episodes = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 works in this one.")] = 2,
    scheduler: Annotated[str | None, typer.Option(help="A running Dask scheduler.")] = None,
    retry_quarantined: Annotated[
        bool, typer.Option("--retry-quarantined", help="Try crashed episodes again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build a dataset, or go on with one; the same command again does what is left.

    Example: simgen build datasets/bouncing_balls/recipe.toml balls.zarr --episodes 32 engine=bullet
    """
    from simgen.build import build as run_build

    loaded = changed(recipe, overrides, episodes)
    with ProgressBar() as step:
        report = run_build(
            loaded, out, workers=workers, scheduler=scheduler,
            retry_quarantined=retry_quarantined, progress=step,
        )  # fmt: skip
    text = (
        f"{report.out}: {report.episodes} episodes, {report.quarantined} quarantined, "
        f"{report.bytes / 1e6:.1f} MB; {report.parts_run} of {report.parts} parts made in "
        f"{report.seconds:.1f} s"
    )
    say(asdict(report), text, as_json)
    if report.quarantined:
        raise typer.Exit(QUARANTINED)


@app.command()
def inspect(
    path: StorePath,
    as_json: AsJson = False,
) -> None:
    """Say what is in a dataset, finished or not.

    Example: simgen inspect balls.zarr --json
    """
    from simgen.store.inspect import inspect as look
    from simgen.store.inspect import summary

    facts = look(path)
    say(facts, summary(facts), as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say which engines and renderers work here and what to install for the rest.

    Exits with 1 if something is missing that every build needs.

    Example: simgen doctor --json
    """
    from simgen.doctor import diagnose, summary

    checks = diagnose()
    say({"checks": [asdict(check) for check in checks]}, summary(checks), as_json)
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(FAILED)


for command in (
    verify, repair, stats, view, export, add, remove, restore, backfill, versions, expire, compact,
):  # fmt: skip
    app.command()(command)
app.command("import")(import_clips)


def changed(path: Path, overrides: list[str] | None, episodes: int | None) -> Any:
    """The recipe under the command line's changes."""
    from simgen.recipe import load

    return load(path, [*(overrides or ()), *([f"episodes={episodes}"] if episodes else ())])


def exit_code(error: Exception) -> int:
    """What an exception means for the shell."""
    from simgen.build.planning import BuildError
    from simgen.exchange import ExchangeError
    from simgen.recipe.problems import RecipeError
    from simgen.store.reader import UnreadableError
    from simgen.store.shard import IntegrityError
    from simgen.store.versions import RequestError, UnknownVersionError

    usage = RecipeError | BuildError | ExchangeError | RequestError | UnknownVersionError
    if isinstance(error, usage):
        return USAGE
    return INTEGRITY if isinstance(error, IntegrityError | UnreadableError) else FAILED


def main() -> None:
    """Run the command line and exit with the documented code."""
    sys.exit(run(app, "simgen", sys.argv[1:], exit_code))
