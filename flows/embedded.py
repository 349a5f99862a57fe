"""One Prefect server for one run: started here, found by the Dask workers, stopped at exit.

A run with PREFECT_API_URL set uses that server, and none of this does anything. Without it, Prefect
would let every Dask worker start a server of its own on one SQLite file; so the parent starts one,
keeps its database beside the run's output, and exports its address.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

START_TIMEOUT_S = 300  # a first start fills a database: 18 s, a minute on a busy machine
STOP_TIMEOUT_S = 5
ENVIRONMENT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # no outside call, and no writer that locks SQLite
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # what goes wrong reaches the caller, and is said once
    "PREFECT_CLI_PROMPT": "false",
    "DASK_LOGGING__DISTRIBUTED": "error",
}


def isolate() -> None:
    """Keep Prefect away from the user's ~/.prefect; call before prefect is imported."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    if "PREFECT_API_URL" not in os.environ and "prefect" not in sys.modules:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        home = cache / "physreel" / "prefect"
        home.mkdir(parents=True, exist_ok=True)
        os.environ["PREFECT_HOME"] = str(home)


# Prefect reads the environment once, at import, so this module comes first wherever it is imported.
isolate()


def start(folder: Path) -> str:
    """URL of the API that this run and its workers talk to.

    Args:
        folder: Holds the server's SQLite database. A second run there starts faster, since the
            tables are made already.
    Raises:
        RuntimeError: The server did not answer in time; the message shows what it printed.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "server.log"
    server = launch(folder, port, log)
    atexit.register(stop, server)  # after the flow: Prefect sends its last log lines at exit
    url = f"http://127.0.0.1:{port}/api"
    wait_for(f"{url}/health", server, log)
    os.environ["PREFECT_API_URL"] = url
    adopt_environment()
    return url


def launch(folder: Path, port: int, log: Path) -> subprocess.Popen:
    """The server's process, in a session of its own: Ctrl-C reaches the flow and not the server."""
    database = f"sqlite+aiosqlite:///{(folder / 'prefect.db').resolve()}"
    switches = {
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
        "PREFECT_UI_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, __file__, str(port), str(os.getpid())],
            env={**os.environ, **switches},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(health: str, server: subprocess.Popen, log: Path) -> None:
    """Return once the server answers."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    stop(server)
    said = log.read_text(errors="replace").strip()[-2000:] or "nothing"
    raise RuntimeError(f"Prefect's embedded server did not start; {log} says: {said}")


def adopt_environment() -> None:
    """Let an imported Prefect see the URL that we just exported."""
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def stop(server: subprocess.Popen) -> None:
    """End the server and wait for it, so that nothing of the run is left behind."""
    server.terminate()
    try:
        server.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(port: int, parent: int) -> None:
    """Run the server in this process until the parent ends, however it ends."""
    import threading

    import uvicorn

    app = "prefect.server.api.server:create_app"
    server = uvicorn.Server(
        uvicorn.Config(app, factory=True, host="127.0.0.1", port=port, log_level="error")
    )

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    server.run()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
