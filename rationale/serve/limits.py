"""Limits of each request, and of requests at once; what exceeds them gets an error, never silence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException

from eraser.errors import Fault, InputError

Message = dict[str, Any]
ROUTES = ("/predict",)  # limited; health and metrics always answer
HELD = 8  # bodies of the largest size that may be in memory at once


@dataclass(frozen=True)
class Limits:
    """The limits: what is too large gets status 413, what comes when all places are taken status 429.

    `max_length` is in characters per text; `max_concurrency` is in requests, running or waiting. `threads`
    texts are read at once, each on its own core. A body that takes longer than `seconds` to arrive gets
    status 408; when the server is stopped, it waits as long for requests in flight.
    """

    max_concurrency: int = 512
    max_length: int = 100_000
    max_texts: int = 32
    max_bytes: int = 10_000_000
    threads: int = 1
    seconds: float = 30.0

    def check(self) -> None:
        """Refuse limits that would allow no request at all."""
        bad = [Fault(f"{name} above 0", str(n)) for name, n in vars(self).items() if n <= 0]
        if bad:
            raise InputError(*bad)


def refusal(status: int, message: str, kind: str) -> HTTPException:
    """Return an error in the form of text-embeddings-inference: one line, and its kind."""
    return HTTPException(status, {"error": message, "error_type": kind})


class Gate:
    """ASGI middleware: limits the number of requests, and the size and arrival time of each body.

    `entered` is called for each request that comes, `left` with the status of its answer.
    """

    def __init__(
        self, app: Any, limits: Limits, entered: Callable[[], None], left: Callable[[int], None]
    ) -> None:
        self.app, self.limits, self.entered, self.left = app, limits, entered, left
        self.inside = self.held = 0

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Pass a request on, or answer that the server is full."""
        if scope["type"] != "http" or scope["path"] not in ROUTES:
            await self.app(scope, receive, send)
            return
        status = 500  # unless an answer begins

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        body = _Body(receive, self)
        self.inside += 1
        self.entered()
        try:
            if self.inside > self.limits.max_concurrency:
                await _answer(sending, 429, "the server is full: try again later", "overloaded")
            else:
                await self.app(scope, body.receive, sending)
        finally:
            self.inside -= 1
            self.held -= body.size
            self.left(status)


class _Body:
    """A body as it arrives, within its limits."""

    def __init__(self, receive: Any, gate: Gate) -> None:
        self.wait, self.gate, self.size, self.whole = receive, gate, 0, False
        self.until = asyncio.get_running_loop().time() + gate.limits.seconds

    async def receive(self) -> Message:
        """Return the next part of the body; after its end, any other message."""
        if self.whole:
            found: Message = await self.wait()
            return found
        limits = self.gate.limits
        try:
            async with asyncio.timeout_at(self.until):
                found = await self.wait()
        except TimeoutError:
            why = f"the body took longer than {limits.seconds:g} s to come"
            raise refusal(408, why, "validation") from None
        n = len(found.get("body", b""))
        self.size, self.whole = self.size + n, not found.get("more_body", False)
        self.gate.held += n
        if self.size > limits.max_bytes:
            raise refusal(413, f"the body is larger than {limits.max_bytes} bytes", "validation")
        if self.gate.held > HELD * limits.max_bytes:
            raise refusal(429, "the server is full: try again later", "overloaded")
        return found


async def _answer(send: Any, status: int, message: str, kind: str) -> None:
    """Send an error without asking the application."""
    body = json.dumps({"error": message, "error_type": kind}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"retry-after", b"1")] * (status == 429)  # noqa: PLR2004
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
