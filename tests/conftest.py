"""For every test: one thread a process, no network, and third parties' warnings allowed by name."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket

import pytest

# Started in the background, a shell has interrupts ignored, and so would every child that the tests
# interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes on two cores

# Warnings are errors; these come out of other people's code and ours can do nothing about them.
ALLOWED = (
    # Prefect leaves its connections to the server on this machine to the garbage collector
    r"ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning",
    r"ignore:unclosed <socket.socket .*127.0.0.1:ResourceWarning",
    r"ignore:unclosed transport:ResourceWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    for line in ALLOWED:
        config.addinivalue_line("filterwarnings", line)


def is_local(address: object) -> bool:
    """Whether a socket address stays on this machine."""
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    if address[0] == "localhost":
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """A test that reaches out of this machine fails with the address it wanted."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        if not is_local(address):
            raise RuntimeError(f"a test reached for the network: {address}")
        connect(self, address)

    socket.socket.connect = connect_here
    yield
    socket.socket.connect = connect
