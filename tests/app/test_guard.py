"""Whom the viewer's server answers: tried on the guard alone, and on the server that the command starts."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from rationale_viewer.session.guard import guarded, inline_scripts, own_host

from tests.helpers.paths import PYTHONPATH


def asked(kind="http", **headers):
    """What the guard sends, and whether it asked the server behind it."""
    sent, reached = [], []

    async def served(scope, receive, send):
        reached.append(scope["type"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
    asyncio.run(guarded(served)(scope, None, send))
    return sent, reached


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8501"},
        {"host": "LocalHost"},
        {"host": "127.0.0.1:8501", "origin": "http://127.0.0.1:8501"},
        {"host": "[::1]:8501", "origin": "http://[::1]:8501"},
    ],
)
def test_this_machine_is_answered_with_the_policy(headers):
    (start,), reached = asked(**headers)
    answered = dict(start["headers"])
    assert reached == ["http"]
    assert answered[b"x-own"] == b"1"
    policy = answered[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"connect-src 'self' ws://{headers['host'].lower()} " in policy
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src 'self' blob: 'sha256-[^']+';", policy)


FOREIGN = [
    {},
    {"host": "evil.example:8501"},
    {"host": "localhost.evil.example"},
    {"host": "localhost:8501@evil.example"},
    {"host": "user@localhost:8501"},
    {"host": "localhost:port"},
    {"host": "localhost:8501/x"},
    {"host": "[::1"},
    {"host": "evil.example:8501", "origin": "http://evil.example:8501"},
    {"host": "localhost:8501", "origin": "http://evil.example:8501"},
    {"host": "localhost:8501", "origin": "http://localhost:3000"},  # another server of this machine
    {"host": "localhost:8501", "origin": "null"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_others_are_refused_before_the_server_hears_of_them(headers):
    (start, body), reached = asked(**headers)
    assert (start["status"], reached) == (403, [])
    assert body["body"] == b"This server answers this machine's own pages alone.\n"
    assert asked("websocket", **headers) == ([{"type": "websocket.close", "code": 1008}], [])


def test_two_hosts_are_none():
    assert own_host([(b"host", b"localhost:1"), (b"host", b"evil.example")]) is None


def test_starting_and_ending_are_let_through():
    assert asked("lifespan")[1] == ["lifespan"]


def test_a_script_in_the_page_is_named_by_its_hash():
    # printf '\n a' | openssl dgst -sha256 -binary | base64
    assert inline_scripts("<script src='x'></script><script>\n a</script>") == [
        "'sha256-HNRuhazQhs4/tVICiDdeJX7GWlsHO0jDvg4c+1i+t8Y='"
    ]


HOSTILE = """
[server]
address = "0.0.0.0"
enableCORS = false
enableXsrfProtection = false
corsAllowedOrigins = ["http://evil.example"]
enableStaticServing = true
baseUrlPath = "elsewhere"
sslCertFile = "/nowhere/certificate.pem"
sslKeyFile = "/nowhere/key.pem"

[browser]
serverAddress = "evil.example"

[theme]
font = "http://evil.example/font.woff2"
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "config.toml").write_text(HOSTILE)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        number = free.getsockname()[1]
    start = "from rationale.cli import main; main()"
    command = [sys.executable, "-c", start, "app", "--no-browser", "--port", str(number)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": PYTHONPATH}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        for _ in range(240):
            assert server.poll() is None, (folder / "log").read_text()
            with suppress(OSError), socket.create_connection(("localhost", number), 1):
                break
            time.sleep(0.25)
        yield number
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def status(port, path, *lines):
    """The first line and the headers of an answer."""
    with socket.create_connection(("localhost", port), 10) as to:
        to.sendall("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
        found = to.recv(4096).decode()
    return int(found.split()[1]), found


def opened(port, host, origin):
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")  # fmt: skip
    return status(port, "/_stcore/stream", f"Host: {host}", f"Origin: {origin}", *upgrade)[0]


def test_the_server_refuses_foreign_hosts_and_origins(port):
    here, evil = f"localhost:{port}", f"evil.example:{port}"
    code, answer = status(port, "/", f"Host: {here}")
    assert code == 200  # with its address, and without the keys that settings in the current folder ask for
    assert "content-security-policy: default-src 'none'" in answer
    assert status(port, "/", f"Host: {evil}")[0] == 403
    assert status(port, "/_stcore/health", f"Host: {here}", f"Origin: http://{evil}")[0] == 403
    assert opened(port, here, f"http://{here}") == 101
    assert opened(port, evil, f"http://{evil}") == 403
    assert opened(port, here, f"http://{evil}") == 403
    assert opened(port, here, "http://localhost:3000") == 403
