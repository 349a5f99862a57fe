"""Loaded by every Dask worker at its start (`distributed.worker.preload`).

Ctrl-C reaches every process of a terminal. A worker that took it would die with a traceback and be
started again while its cluster closes; so only the parent listens, and closes its workers.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
