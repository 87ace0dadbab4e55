"""How long a connection is kept that neither asks nor takes its answer: uvicorn would wait for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def impatient(seconds: float) -> type[H11Protocol]:
    """Return a protocol that drops a connection on which for so long, or up to twice, nothing went on.

    That is one of which the head of a request has not come whole, whose client does not take its answer, or
    does not end a request that is answered. Before that a body has a limit of its own (`Gate`), and while an
    answer is computed nothing need go on. Its heads have at most 64 kB, as h11 has it.
    """

    class Impatient(H11Protocol):
        seen: tuple[Any, int] | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._look()

        def _look(self) -> None:
            """Drop the connection if it waits for its client and is where it was at the last look."""
            if self.transport.is_closing():
                return
            unread = self.transport.get_write_buffer_size()
            answered = self.cycle is not None and self.cycle.response_complete
            waits = unread or answered or self.conn.their_state is h11.IDLE
            if waits and self.seen == (self.cycle, unread):
                self.transport.abort()
                return
            self.seen = (self.cycle, unread) if waits else None
            self.loop.call_later(seconds, self._look)

    return Impatient
