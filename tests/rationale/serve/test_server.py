"""The server as a process: how it starts, what it takes at once, how it stops."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from eraser import InputError
from rationale.serve.server import serve
from tests.helpers.made_graph import made_file
from tests.helpers.paths import ROOT
from tests.helpers.served import served

TEXTS = [["a warm and moving film , never dull . " * 2000]] * 2  # take a second or more


@pytest.fixture(scope="module")
def made(tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_file(tmp_path_factory.mktemp("served") / "made.onnx", tokenizer)


def test_a_port_that_is_taken_is_told_in_a_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = f"^cannot listen at 127.0.0.1, port {port}: Address already in use"
        with pytest.raises(InputError, match=line):
            serve(None, "127.0.0.1", port, 1.0, print)
    with pytest.raises(InputError, match="^expected a port from 0 to 65535, got 70000$"):
        serve(None, "127.0.0.1", 70000, 1.0, print)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_line_that_it_prints_asks_it(made: Path):
    with served(made) as (process, _):
        line = process.stdout.readline()
        assert line.startswith("next: curl http://127.0.0.1:")
        asked = [*shlex.split(line.removeprefix("next: ")), "--silent", "--noproxy", "*"]
        answer = subprocess.run(asked, capture_output=True, check=True, timeout=60).stdout
        assert {found["label"] for found in json.loads(answer)} == {"NEG", "POS"}


class Healthy(BaseHTTPRequestHandler):
    """A server that is well."""

    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_image_asks_its_server_without_a_proxy():
    (line,) = [x for x in (ROOT / "Dockerfile").read_text().splitlines() if x.startswith("HEALTHCHECK ")]
    python, *command = json.loads(line.partition(" CMD ")[2])
    assert python == "python"
    proxy = {**os.environ, "http_proxy": "http://127.0.0.1:1", "no_proxy": ""}
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = [sys.executable, *(part.replace("8080", str(server.server_port)) for part in command)]
        done = subprocess.run(asked, env=proxy, capture_output=True, check=False)
        server.shutdown()
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_stopped_server_answers_what_is_in_flight_and_takes_no_more(made: Path):
    with served(made) as (process, address):
        found: list[int] = []

        def post() -> None:
            found.append(httpx.post(f"{address}/predict", json={"inputs": TEXTS}, timeout=60).status_code)

        threads = [threading.Thread(target=post) for _ in range(4)]
        for thread in threads:
            thread.start()
        while "rationale_requests_in_flight 4.0" not in httpx.get(f"{address}/metrics").text:
            if found:
                pytest.fail("the texts were too short")
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert found == [200] * 4
        assert process.wait(30) == 128 + signal.SIGTERM
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health")


@pytest.mark.slow
def test_a_thousand_connections_at_once_are_all_answered(made: Path):
    async def ask(address: str) -> list[int]:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(limits=limits, timeout=120) as client:
            posts = [client.post(f"{address}/predict", json={"inputs": f"a film {n}"}) for n in range(1000)]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    with served(made, "--max-concurrency", "200") as (process, address):
        found = asyncio.run(ask(address))
        assert set(found) <= {200, 429}
        assert found.count(200) >= 200
        assert len(found) == 1000
        counted = httpx.get(f"{address}/metrics").text
        for status in (200, 429):
            line = f'rationale_requests_total{{status="{status}"}} {float(found.count(status))}'
            assert not found.count(status) or line in counted
        assert httpx.post(f"{address}/predict", json={"inputs": "a film"}).status_code == 200
        assert process.poll() is None


@pytest.mark.slow
def test_a_body_of_ten_megabytes_is_told_that_it_is_too_large(made: Path):
    with served(made) as (_, address), httpx.Client() as client:
        found = client.post(f"{address}/predict", json={"inputs": "a" * 10_000_000}, timeout=60)
        assert (found.status_code, found.json()["error"]) == (413, "the body is larger than 10000000 bytes")
        assert client.post(f"{address}/predict", json={"inputs": "a film"}).status_code == 200


@pytest.mark.slow
def test_connections_that_send_rubbish_or_nothing_stop_nobody(made: Path):
    with served(made) as (process, address):
        host, port = address.removeprefix("http://").split(":")
        silent = [socket.create_connection((host, int(port))) for _ in range(50)]
        for connection in silent[::2]:
            connection.sendall(b"\x16\x03\x01\0\r\n\r\n")
        assert httpx.post(f"{address}/predict", json={"inputs": "a film"}).status_code == 200
        for connection in silent:
            connection.close()
        assert process.poll() is None
