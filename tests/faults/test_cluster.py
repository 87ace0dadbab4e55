"""A Ray cluster of two nodes that is there already; here both are processes of one machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.processes import PATIENCE_S, finish, run, start, tables
from tests.helpers.evaluate_command import EVALUATE

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 2, "RAY_USAGE_STATS_ENABLED": "0"}


def node(*options: object) -> subprocess.Popen[bytes]:
    """Start a node of one CPU, in a process group of its own."""
    ray = Path(sys.executable).with_name("ray")
    command = [ray, "start", "--block", "--num-cpus", 1, "--include-dashboard", "false", *options]
    return subprocess.Popen(
        [*map(str, command)],
        env=os.environ | TOKEN,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def cluster():
    """Address of a cluster of two nodes, and the second of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = node("--head", "--port", port)
    address = f"127.0.0.1:{port}"
    time.sleep(8)
    second = node("--address", address)
    try:
        yield address, second
    finally:
        kill(second)
        kill(head)


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory, tokenizer):
    from tests.conftest import save_tiny

    folder = tmp_path_factory.mktemp("cluster")
    save_tiny(folder / "model", tokenizer)
    return ("evaluate", "--model", folder / "model", *EVALUATE, "--out")


def test_nodes_share_the_work_and_one_may_die(evaluate, cluster, tmp_path):
    address, second = cluster
    run(*evaluate, tmp_path / "here")
    ray = ("--runner", "ray", "--workers", 2, "--address", address)
    process = start(*evaluate, tmp_path / "there", *ray, **TOKEN)
    parts, until = tmp_path / "there" / "parts", time.monotonic() + PATIENCE_S
    while not list(parts.glob("*.parquet")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    kill(second)
    finish(process)
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    run(*evaluate, tmp_path / "own", "--runner", "ray", **TOKEN)  # without an address a cluster of its own
    assert tables(tmp_path / "own") == tables(tmp_path / "here")


@pytest.mark.parametrize(
    ("address", "got"),
    [
        ("127.0.0.1:9", "[Errno 111]"),
        ("[::1]:9", "[Errno "),
        ("127.0.0.1:99999", "Port out of range"),
        ("nowhere", "no host:port"),
    ],
)
def test_an_address_where_no_cluster_is(evaluate, tmp_path, address, got):
    error = finish(start(*evaluate, tmp_path, "--runner", "ray", "--address", address), 2)
    assert f"error: cannot reach a Ray cluster at {address}: {got}" in error
