"""An OpenAI-compatible endpoint: one question, one reply. Nothing else in the suite sends a text anywhere.

Over https, or http on this machine alone; redirects are refused, so that key and texts go where they were
meant to go. The key comes from the environment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from socket import gaierror
from ssl import SSLCertVerificationError
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request

from eraser.errors import Fault, InputError, short_repr
from eraser.files.web import answer_to, is_safe

BUSY = frozenset({408, 409, 429, 500, 502, 503, 504, 529})  # HTTP answers that may be others the next time
KEY_REFUSED = frozenset({401, 403})
OK, NO_SENSE = 200, 400
COUNTS = ("prompt_tokens", "completion_tokens")
HOPELESS = (ConnectionRefusedError, SSLCertVerificationError, gaierror)  # will be the same the next time
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # before each new try
MOST_WAIT_S = 60.0  # that a server may ask for
MOST_REPLY, CHUNK = 2**22, 2**16  # bytes
WHERE_KEY = "put it into the environment variable OPENAI_API_KEY, or the one that --key-variable names"
LIMIT, NEWER_LIMIT = "max_tokens", "max_completion_tokens"  # some models of OpenAI know only the second
TOP = 20  # tokens whose probability is asked for, the most that OpenAI gives


@dataclass(frozen=True)
class Reply:
    """A model's reply: the text, why it ended, its tokens, and the likeliest first tokens.

    `first` has the log-probability of each; it is None where none came.
    """

    text: str
    ended: str | None = None
    prompt_tokens: int | None = None
    tokens: int | None = None
    first: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where a language model is asked, and how.

    Args:
        url: up to `/v1`; `/chat/completions` is added.
        model: its name there.
        temperature: 0 for the answer that is most likely.
        max_tokens: of a reply.
        timeout_s: until a reply must be there.
        logprobs: whether the probabilities of the first token are asked for.
        key: sent as `Authorization: Bearer`; "" for none.
    """

    url: str
    model: str
    temperature: float = 0.0
    max_tokens: int = 512
    timeout_s: float = 120.0
    logprobs: bool = False
    key: str = field(default="", repr=False)
    _limit: list[str] = field(default_factory=lambda: [LIMIT], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_safe(self.url):
            raise InputError(Fault("an https:// address, or http:// on this machine", short_repr(self.url)))
        found = urlsplit(self.url)
        rules = [
            (not (found.query or found.fragment), "an address without ? and #", short_repr(self.url)),
            (
                _names_a_place(self.url),
                "a valid host and port, ASCII and no spaces",
                short_repr(self.url),
            ),
            (found.username is None, "an address without a user's name (the key is sent apart)", "one"),
            (bool(self.model.strip()), "the name of a model", repr(self.model)),
            (0 <= self.temperature <= 2, "a temperature from 0 to 2", str(self.temperature)),  # noqa: PLR2004
            (self.max_tokens >= 1, "at least 1 token of a reply", str(self.max_tokens)),
            (self.timeout_s > 0, "a timeout above 0", str(self.timeout_s)),
            (self.key.isascii() and self.key.isprintable(), "a key of printable characters", "others"),
        ]
        if faults := [Fault(expected, got) for holds, expected, got in rules if not holds]:
            raise InputError(*faults)

    @property
    def address(self) -> str:
        """Where questions are sent."""
        base = self.url.rstrip("/")
        return base if base.endswith("/chat/completions") else f"{base}/chat/completions"

    def identity(self) -> dict[str, Any]:
        """Return what its answers depend on; the key is none of it."""
        names = ("url", "model", "temperature", "max_tokens", "logprobs")
        return {name: getattr(self, name) for name in names}

    def ask(self, question: str) -> Reply:
        """Return the reply to one question; a busy server is asked again.

        A server that knows the limit of a reply by its newer name alone is asked so from then on.

        Raises:
            InputError: no reply came, or none that can be read.
        """
        try:
            return self._reply(self._body(question))
        except _OtherLimitError:
            self._limit[0] = NEWER_LIMIT
            return self._reply(self._body(question))

    def _body(self, question: str) -> dict[str, Any]:
        """Return what is sent."""
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": self.temperature,
            self._limit[0]: self.max_tokens,
            **({"logprobs": True, "top_logprobs": TOP} if self.logprobs else {}),
        }

    def _reply(self, body: Mapping[str, Any]) -> Reply:
        """Return the reply, after several tries if need be."""
        data, got, after = json.dumps(body).encode("utf-8", "surrogatepass"), "", 0.0
        for wait in (0.0, *WAITS_S):
            time.sleep(max(wait, after))
            after = 0.0
            try:
                return self._attempt(data, LIMIT in body)
            except _BusyError as error:
                got, after = str(error), error.after
                if after > MOST_WAIT_S:
                    message = f"{got}; the server asks to wait {after:.0f} s: run the command again then"
                    raise InputError(Fault.of(message, self.address)) from None
            except (URLError, OSError, HTTPException) as error:
                cause = getattr(error, "reason", error)  # of a URLError
                got = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
                got = self._without_key(got)  # a line that is no HTTP is quoted
                if isinstance(cause, HOPELESS):
                    raise InputError(Fault.of(f"cannot be reached: {got}", self.address)) from None
        message = f"no reply after {1 + len(WAITS_S)} tries: {got}; run the command again to go on"
        raise InputError(Fault.of(message, self.address))

    def _attempt(self, data: bytes, older: bool) -> Reply:
        """Return the reply to one try; `older`: with the older name of the limit."""
        headers = {"Content-Type": "application/json", "User-Agent": "rationale"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        deadline = time.monotonic() + self.timeout_s
        with answer_to(Request(self.address, data, headers), self.timeout_s) as response:
            content = _read(response, deadline, self.address)
            if older and response.status == NO_SENSE and NEWER_LIMIT.encode() in content:
                raise _OtherLimitError
            if response.status != OK:
                self._refuse(response, content)
        return read_reply(content, self.address, self._without_key)

    def _without_key(self, text: str) -> str:
        """Return what a server said, all of it, without the key: it may send it back."""
        return text.replace(self.key, "…") if self.key else text

    def _refuse(self, response: HTTPResponse, content: bytes) -> None:
        reply = self._without_key(content.decode("utf-8", "replace"))[:300]
        got = self._without_key(f"HTTP {response.status} {response.reason}")
        if response.status in BUSY:
            raise _BusyError(got, _seconds(response.headers.get("Retry-After", "")))
        if response.status in KEY_REFUSED:
            key = "the key was not accepted" if self.key else "the key is missing"
            raise InputError(Fault.of(f"{got}: {key}: {WHERE_KEY}", self.address))
        if 300 <= response.status < 400:  # noqa: PLR2004 (a redirect)
            place = short_repr(self._without_key(response.headers.get("Location", "")))
            got += f" to {place}, which is not followed; give that address if you trust it"
        more = "" if not self.logprobs else " (some servers know no log-probabilities: --no-logprobs)"
        raise InputError(Fault.of(f"{got}{more}: {' '.join(reply.split())}", self.address))


def _names_a_place(url: str) -> bool:
    """Return whether an address can be asked for at all: what is wrong in it is the same at each try."""
    try:
        found = urlsplit(url)
        (found.hostname or "").encode("idna")  # as it is looked up
        return found.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:  # a UnicodeError is one
        return False


class _OtherLimitError(Exception):
    """The server knows the limit of a reply by its newer name."""


class _BusyError(Exception):
    """The server may answer later: `after` seconds, if it says how many."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


def key_from(variable: str) -> str:
    """Return the key that an environment variable holds; "" where it is not set."""
    return os.environ.get(variable, "").strip()


def read_reply(content: bytes, address: str, hidden: Callable[[str], str] = str) -> Reply:
    """Return what a reply says.

    Args:
        content: the reply.
        address: where it came from.
        hidden: takes out of a text what an error must not show.

    Raises:
        InputError: it is of another form.
    """
    try:
        value = json.loads(content)
        choice = value["choices"][0]
        text = choice["message"]["content"]
        if not isinstance(text, str | None):
            raise TypeError("a content that is no text")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        expected = "a chat completion, with choices[0].message.content"
        got = f"{short_repr(hidden(content.decode('utf-8', 'replace')), 120)} ({type(error).__name__})"
        raise InputError(Fault(expected, got, address)) from None
    usage = value.get("usage")
    used = usage if isinstance(usage, dict) else {}
    asked, replied = (n if type(n := used.get(name)) is int else None for name in COUNTS)
    ended = choice.get("finish_reason")
    return Reply(text or "", ended if isinstance(ended, str) else None, asked, replied, _first(choice))


def _first(choice: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the log-probabilities of the likeliest first tokens; None where the reply has none."""
    try:
        tokens = choice["logprobs"]["content"][0]["top_logprobs"]
        found = {str(token["token"]): float(token["logprob"]) for token in tokens}
    except (LookupError, TypeError, ValueError):
        return None
    return found or None


def _read(response: HTTPResponse, deadline: float, address: str) -> bytes:
    """Return what comes, until the deadline."""
    found = bytearray()
    while block := response.read1(CHUNK):
        found += block
        if len(found) > MOST_REPLY:
            raise InputError(Fault.of(f"the reply is larger than {MOST_REPLY:,} bytes", address))
        if time.monotonic() > deadline:
            raise TimeoutError("the reply took too long")
    if response.length:
        raise ConnectionError(f"the reply ended {response.length} bytes too soon")
    return bytes(found)


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:  # a date, or nothing
        return 0.0
