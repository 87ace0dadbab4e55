"""Whom the viewer's server answers: this machine alone; what its pages load: nothing from elsewhere.

A page of another site that a reader has open can send requests here, and can give its own name this machine's
address; the browser then says so in Origin or in Host.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Served = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
REFUSED = b"This server answers this machine's own pages alone.\n"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self' blob: {scripts}",  # blob: is how Streamlit loads a component's script
    "style-src": "'self' 'unsafe-inline'",  # each widget writes its own
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self'",
    "connect-src": "'self' ws://{host} wss://{host}",
    "worker-src": "'self' blob:",
    "manifest-src": "'self'",
    "base-uri": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def guarded(served: Served) -> Served:
    """Return a server (ASGI) that refuses other hosts and origins, and sends the policy with each answer."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):  # starting and ending
            return await served(scope, receive, send)
        host = own_host(scope["headers"])
        if host is None:
            return await _refuse(scope["type"], send)
        more = [(name.encode(), value.encode()) for name, value in headers(host).items()]

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        return await served(scope, receive, with_policy)

    return serve


def own_host(headers: Headers) -> str | None:
    """Return the Host of a request to this machine; None where it, or its Origin, is another.

    >>> own_host([(b"host", b"localhost:8501"), (b"origin", b"http://localhost:8501")])
    'localhost:8501'
    >>> own_host([(b"host", b"evil.example:8501")])
    """
    hosts, origins = ([v.decode("latin-1") for k, v in headers if k == name] for name in (b"host", b"origin"))
    if len(hosts) != 1 or len(origins) > 1:
        return None
    host = hosts[0].lower()
    if not _is_here(host):
        return None
    return None if any(o.lower() not in (f"http://{host}", f"https://{host}") for o in origins) else host


def _is_here(host: str) -> bool:
    try:
        found = urlsplit(f"//{host}")
        name, port = found.hostname or "", found.port
    except ValueError:
        return False
    bare = f"[{name}]" if ":" in name else name
    return name in HOSTS and host == (bare if port is None else f"{bare}:{port}")


def headers(host: str) -> dict[str, str]:
    """Return what goes with each answer: what a page from this host may load, and ask."""
    given = {"host": host, "scripts": " ".join(inline_scripts(_start_page()))}
    policy = "; ".join(f"{name} {value.format(**given)}" for name, value in POLICY.items())
    return {"content-security-policy": policy, **ALWAYS}


def inline_scripts(page: str) -> list[str]:
    """Return the hash, as a policy names it, of each script that stands in a page itself."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return [f"'sha256-{b64encode(sha256(s.encode()).digest()).decode()}'" for s in scripts]


@cache
def _start_page() -> str:
    """Return Streamlit's page, in which everything is drawn."""
    return (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")


async def _refuse(kind: str, send: Send) -> None:
    if kind == "websocket":
        return await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(REFUSED))]
    await send({"type": "http.response.start", "status": 403, "headers": plain})
    return await send({"type": "http.response.body", "body": REFUSED})
