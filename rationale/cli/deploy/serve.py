"""The command `rationale serve`: an exported model behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from rationale.cli.deploy.predict import Exported, open_model
from rationale.process.terminal import say


def serve_command(  # noqa: PLR0913 (one option each)
    model: Exported = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; by default only this machine can connect.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.")] = 8080,
    max_concurrency: Annotated[
        int, typer.Option(help="Requests running or waiting at once; more get status 429.")
    ] = 512,
    max_length: Annotated[
        int, typer.Option(help="Most characters (not word pieces) per text; longer texts get status 413.")
    ] = 100_000,
    max_texts: Annotated[int, typer.Option(help="Most texts per request; more get status 413.")] = 32,
    threads: Annotated[int, typer.Option(help="Texts read at once, each on its own CPU core.")] = 1,
) -> None:
    """Serve an exported model over HTTP, with the API of text-embeddings-inference and rationales."""
    from rationale.serve.application import application
    from rationale.serve.limits import Limits
    from rationale.serve.server import serve

    limits = Limits(max_concurrency, max_length, max_texts, threads=threads)
    limits.check()
    loaded = open_model(model, threads=1)
    name = "movies" if model is None else model.stem

    def ready(address: str) -> None:
        say(
            f"{name}: {', '.join(loaded.labels)}; POST {address}/predict, described by {address}/openapi.json"
        )
        asked = """-H 'content-type: application/json' -d '{"inputs": "A warm, moving film."}'"""
        say(f"next: curl {address}/predict {asked}")

    serve(application(loaded, name, limits), host, port, limits.seconds, ready)
