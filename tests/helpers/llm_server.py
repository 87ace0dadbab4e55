"""An OpenAI-compatible endpoint on this machine, whose answers a test makes up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class BusyError(Exception):
    """Answered with this status and these headers."""

    def __init__(self, status: int, body: str = "", **headers: str) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


def completion(
    text: str | None, first: dict[str, float] | None = None, ended: str = "stop"
) -> dict[str, Any]:
    """Return a chat completion; `first` are log-probabilities of the first token."""
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}, "finish_reason": ended}
    if first is not None:
        top = [{"token": token, "logprob": logprob} for token, logprob in first.items()]
        choice["logprobs"] = {"content": [{"token": text, "top_logprobs": top}]}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


@contextmanager
def serving(answer: Callable[[str], Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Lend the address of a server, and the list that its requests are added to.

    `answer` makes of a question a completion, a text, bytes sent as they are, or raises BusyError.
    """
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
            try:
                found = answer(body["messages"][-1]["content"])
                status, headers = 200, {}
            except BusyError as busy:
                found, status, headers = busy.body.encode(), busy.status, busy.headers
            if isinstance(found, str):
                found = completion(found)
            content = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Say nothing of clients that hang up: another test's output would hold it."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
