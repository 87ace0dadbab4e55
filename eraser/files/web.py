"""Requests over https, or over http to this machine alone; every answer is the caller's to judge."""

from __future__ import annotations

from http.client import HTTPResponse
from urllib.parse import urlsplit
from urllib.request import HTTPErrorProcessor, ProxyHandler, Request, build_opener

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def is_safe(url: str) -> bool:
    """Return whether nobody on the way to an address can read or change what is sent."""
    try:
        found = urlsplit(url)
        secure = found.scheme == "https" or (found.scheme == "http" and found.hostname in LOCAL)
    except ValueError:
        return False
    return secure and bool(found.hostname)


def is_local(url: str) -> bool:
    """Return whether an address is this machine's own."""
    return urlsplit(url).hostname in LOCAL


def answer_to(request: Request, timeout_s: float) -> HTTPResponse:
    """Return the answer to a request: also an error or a redirect. This machine is asked without a proxy."""
    handlers = [ProxyHandler({})] if is_local(request.full_url) else []
    response: HTTPResponse = build_opener(_AsTheyAre, *handlers).open(request, timeout=timeout_s)
    return response


class _AsTheyAre(HTTPErrorProcessor):  # which would raise for errors and follow redirects
    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        return response

    https_response = http_response
