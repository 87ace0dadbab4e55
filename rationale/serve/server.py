"""The server process: its socket, its signals, its limit of open files."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import uvicorn

from eraser.errors import Fault, InputError
from rationale.serve.patience import impatient

BACKLOG = 2048  # connections that wait to be accepted
MOST_PORTS = 65_535
FILES = 65_536  # open at once, if the system allows it


def serve(app: Any, host: str, port: int, seconds: float, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; then accept no new requests and finish those in flight.

    Args:
        app: the application.
        host: the address to listen at.
        port: the port; 0 takes a free one.
        seconds: how long to wait for requests in flight at the end, and for a client that does nothing.
        ready: called with the address once connections are accepted.

    Raises:
        InputError: the server cannot listen at this address.
    """
    _allow_files()
    with closing(_listening(host, port)) as listening:
        config = uvicorn.Config(
            app,
            http=impatient(seconds),
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=int(seconds),
            backlog=BACKLOG,
        )
        ready(_address(listening))
        uvicorn.Server(config).run([listening])


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port <= MOST_PORTS:
        raise InputError(Fault(f"a port from 0 to {MOST_PORTS}", str(port)))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = error.strerror or error
        raise InputError(Fault.of(f"cannot listen at {host}, port {port}: {why}")) from None


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_files() -> None:
    """Raise the limit of open files, up to what the system allows: each connection is a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
