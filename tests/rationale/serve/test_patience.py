"""Connections on which nothing goes on are dropped; those that wait for an answer are not."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from rationale.serve.patience import impatient

SECONDS = 0.2
BEGUN = b"GET /short HTTP/1.1\r\nHost: x\r\nX: "
LONG = b"a" * 20_000_000  # more than sockets hold


async def answers(scope, receive, send):
    """An application whose answers are long, or late."""
    if scope["path"] == "/late":
        await asyncio.sleep(5 * SECONDS)
    headers = [(b"content-length", str(len(body := LONG if scope["path"] == "/long" else b"ok")).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def asked(*parts: bytes, pause: float = 0.0, before: float = 0.0) -> bytes:
    """Send parts with a pause between them; return what comes until the connection ends, or for a while."""
    config = uvicorn.Config(answers, http=impatient(SECONDS), lifespan="off", timeout_keep_alive=60)
    config.load()
    state = ServerState()

    def connection():
        return config.http_protocol_class(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=2**12)
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)
        await asyncio.sleep(before)
        found = bytearray()
        try:
            async with asyncio.timeout(20 * SECONDS):
                while block := await reader.read(2**20):
                    found += block
        except (ConnectionError, TimeoutError) as error:
            found += type(error).__name__.encode()
        writer.close()
    return bytes(found)


def test_half_a_request_is_not_waited_for():
    assert asyncio.run(asked()) == b""  # closed, and in time
    assert asyncio.run(asked(BEGUN)) == b""


def test_a_byte_now_and_then_is_no_request():
    assert not asyncio.run(asked(BEGUN, *[b"a"] * 20, pause=SECONDS / 2)).startswith(b"HTTP/1.1 200")


def test_half_a_request_after_a_whole_one():
    whole = BEGUN + b"\r\n\r\n"
    assert asyncio.run(asked(whole, BEGUN, pause=0.1)).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("more", [(), (b"x",)])
def test_a_body_that_is_announced_but_does_not_come_is_not_waited_for(more):
    announced = b"GET /short HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    assert asyncio.run(asked(announced, *more, pause=0.1)).endswith(b"\r\n\r\nok")  # and then is closed


def test_an_answer_that_is_not_taken_is_not_kept():
    whole = b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n"
    assert len(asyncio.run(asked(whole, before=8 * SECONDS))) < len(LONG)
    assert len(asyncio.run(asked(whole))) > len(LONG)


def test_an_answer_that_is_late_comes():
    assert b"\r\n\r\nok" in asyncio.run(asked(b"GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))


def test_a_head_without_end_is_refused_before_it_fills_the_memory():
    found = asyncio.run(asked(BEGUN, *[b"a" * 2**20] * 4))
    assert not found.startswith(b"HTTP/1.1 200")
