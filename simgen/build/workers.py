"""Parts on Dask: a local cluster of one-thread processes, or a scheduler that already runs."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

SETTINGS = {
    # Parts are retried by the store's own count; Dask must not give up on an innocent neighbour.
    "distributed.scheduler.allowed-failures": 100,
    # A busy machine misses heartbeats; 15 s closed healthy workers and hung the run.
    "distributed.deploy.lost-worker-timeout": "120s",
    "distributed.worker.daemon": True,
    "distributed.worker.preload": ["simgen.build.preload"],
    "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": 1,
    "distributed.nanny.pre-spawn-environ.NUMBA_NUM_THREADS": 1,
    "distributed.admin.tick.limit": "1h",
}


@contextmanager
def interruptible(
    said: str = "finishing what is in hand; Ctrl-C again drops it",
) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one raises KeyboardInterrupt as usual.

    `said` goes to stderr at the first. Nothing changes in a thread other than the main one, which
    signals never reach, and where Ctrl-C is ignored.
    """
    stop = threading.Event()
    here = threading.current_thread() is threading.main_thread()
    if not here or not callable(signal.getsignal(signal.SIGINT)):
        yield stop
        return

    def first(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        print(said, file=sys.stderr)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def client(count: int, scheduler: str | None = None) -> Iterator[Any]:
    """A Dask client on `count` local processes, or on the scheduler at that address."""
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(SETTINGS):
        if scheduler is not None:
            with Client(scheduler, set_as_default=False) as connected:
                yield connected
            return
        with (
            LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, set_as_default=False) as connected,
        ):
            yield connected


def run(
    client: Any,
    function: Callable,
    parts: Sequence,
    *,
    recipe: Any,
    out: Any,
    stop: threading.Event,
    **options: Any,
) -> Iterator:
    """Results of function(recipe, part, out, **options) as they finish.

    Two parts a worker are in flight: enough to keep it busy, and few to finish when `stop` is set.
    An error is raised when they are finished too: a part that is cut off counts as a crash.
    """
    from distributed import as_completed

    waiting = iter(parts)
    flying = as_completed(loop=client.loop)
    ahead = 2 * max(1, sum(client.nthreads().values()))

    def submit() -> None:
        if not stop.is_set() and (part := next(waiting, None)) is not None:
            flying.add(client.submit(function, recipe, part, out, pure=False, **options))

    for _ in range(ahead):
        submit()
    try:
        for future in flying:
            yield future.result()
            future.release()
            submit()
    except Exception:
        for future in flying:
            future.exception()  # waits
        raise
