"""The routes: POST /predict, GET /health, /info, /metrics and /openapi.json."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from time import thread_time
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from eraser.errors import InputError, first_line, printable, short_repr
from rationale import __version__
from rationale.onnx.answer import Answer
from rationale.onnx.model import OnnxModel
from rationale.serve.bodies import ErrorAnswer, ExplainedAnswer, LabelScore, PredictRequest, body_of
from rationale.serve.limits import Gate, Limits, refusal
from rationale.serve.metrics import Metrics

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": what}
    for status, what in {
        408: "The body took too long to come",
        413: "The body, a text or the number of texts is too large",
        422: "The request, or a text, cannot be read",
        429: "All places are taken: try again",
        500: "The model failed, as where there is too little memory",
    }.items()
}
ANSWERS = list[LabelScore] | list[list[LabelScore]] | ExplainedAnswer | list[ExplainedAnswer]
LEFT = 499  # the usual status for a client that left
UNPARSED = 400  # FastAPI's status for JSON that is nested too deeply
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
Read = tuple[Answer, bytes, float]  # an answer, its JSON, its CPU seconds


def application(model: OnnxModel, name: str, limits: Limits) -> FastAPI:
    """Return the server's application.

    Args:
        model: the exported model.
        name: its name in /info.
        limits: limits of each request and of all requests together.
    """
    limits.check()
    metrics = Metrics()
    app = FastAPI(title="rationale", version=__version__, docs_url=None, redoc_url=None)  # they load scripts
    app.add_middleware(Gate, limits=limits, entered=metrics.in_flight.inc, left=metrics.left)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)
    _answer(app, model, limits, metrics)
    _tell(app, information(model, name, limits), metrics)
    return app


def _answer(app: FastAPI, model: OnnxModel, limits: Limits, metrics: Metrics) -> None:
    """Add the route that reads texts."""
    pool = ThreadPoolExecutor(limits.threads, "read")

    @app.post("/predict", responses={200: {"model": ANSWERS}, **ERRORS})
    async def predict(asked: PredictRequest, request: Request) -> Response:
        """Return the labels of texts with their scores and, where asked for, the words that decided."""
        texts = asked.texts()
        _check(texts, asked, model, limits)
        jobs = [_job(model, metrics, text, asked, n) for n, text in enumerate(texts)]
        ended = await _unless_left([pool.submit(job) for job in jobs], request)
        failed = [each for each in ended if isinstance(each, BaseException)]
        if failed:
            raise (
                refusal(422, str(failed[0]), "tokenizer") if isinstance(failed[0], InputError) else failed[0]
            )
        found = [each for each in ended if not isinstance(each, BaseException)]
        return _response(found, asked, metrics)


async def _unless_left(running: Sequence[Future[Read]], request: Request) -> list[Read | BaseException]:
    """Return answers, or the errors in their place; if the client leaves, what has not begun never does."""
    ended = asyncio.gather(*map(asyncio.wrap_future, running), return_exceptions=True)
    left = asyncio.ensure_future(request.receive())  # after the body, that the client left
    try:
        await asyncio.wait((ended, left), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            raise refusal(LEFT, "the client left", "validation")  # for the metrics alone
        return await ended
    finally:
        left.cancel()
        for one in running:
            one.cancel()


def _tell(app: FastAPI, told: dict[str, Any], metrics: Metrics) -> None:
    """Add the routes that describe the server."""

    @app.get("/health", responses={200: {"description": "The server answers"}})
    async def health() -> dict[str, str]:
        """Report that the server is running."""
        return {"status": "ok"}

    @app.get("/info")
    async def info() -> dict[str, Any]:
        """Return what is served, and within which limits."""
        return told

    @app.get("/metrics")
    async def counts() -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(metrics.text(), media_type=PROMETHEUS)


def information(model: OnnxModel, name: str, limits: Limits) -> dict[str, Any]:
    """Return what is served, under the names of text-embeddings-inference and a few of our own."""
    described = model.described
    ids = {str(n): label for n, label in enumerate(described.labels)}
    return {
        "model_id": name,
        "model_sha": described.model,
        "model_dtype": described.precision,
        "model_type": {"classifier": {"id2label": ids, "label2id": {x: n for n, x in ids.items()}}},
        "max_concurrent_requests": limits.max_concurrency,
        "max_input_length": described.max_length,
        "max_client_batch_size": limits.max_texts,
        "max_text_characters": limits.max_length,
        "max_body_bytes": limits.max_bytes,
        "auto_truncate": described.long_texts == "truncate",
        "rationale": described.adaptive,
        "depth": described.depth,
        "version": __version__,
    }


def _check(texts: list[Any], asked: PredictRequest, model: OnnxModel, limits: Limits) -> None:
    """Refuse too many or too long texts, and a request for a rationale if the model has none."""
    if len(texts) > limits.max_texts:
        why = f"batch size {len(texts)} > maximum allowed batch size {limits.max_texts}"
        raise refusal(413, why, "validation")
    longest = max(len(side) for text in texts for side in ((text,) if isinstance(text, str) else text))
    if longest > limits.max_length:
        why = f"a text has {longest} characters, more than {limits.max_length}"
        raise refusal(413, why, "validation")
    if asked.rationale and not model.described.adaptive:
        raise refusal(422, "the model drops no tokens: it has no rationale", "validation")


def _job(
    model: OnnxModel, metrics: Metrics, text: Any, asked: PredictRequest, number: int
) -> Callable[[], Read]:
    """Return a function that reads one text: its answer, the answer's JSON, and its CPU seconds."""
    how = {None: None, True: "truncate", False: "window"}[asked.truncate]

    def job() -> Read:
        begun = thread_time()
        try:
            with metrics.seconds.time():
                answer = model.answer(text, asked.rationale, how)  # type: ignore[arg-type]
        except InputError as error:
            place = f"inputs[{number}]" if asked.is_batch else "inputs"
            raise InputError(*(replace(fault, id=place) for fault in error.faults)) from None
        content = to_json(body_of(answer, asked))  # several times as fast as the standard library's
        return answer, content, thread_time() - begun

    return job


def _response(found: list[Read], asked: PredictRequest, metrics: Metrics) -> Response:
    """Return answers as JSON; headers give the number of unread words and the CPU time in milliseconds."""
    answers = [answer for answer, _, _ in found]
    metrics.read(answers)
    content = b",".join(body for _, body, _ in found)
    content = b"[" + content + b"]" if asked.is_batch else content
    headers = {
        "x-compute-time": f"{1000 * sum(seconds for _, _, seconds in found):.3f}",
        "x-unread": str(sum(answer.unread for answer in answers)),
        "x-truncated": str(sum(answer.truncated for answer in answers)),
    }
    return Response(content, media_type="application/json", headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Answer a request that is not JSON, or does not match `PredictRequest`, with its first error."""
    assert isinstance(error, RequestValidationError)
    message = printable(_wrong(error.errors()[0]))
    return JSONResponse({"error": message, "error_type": "validation"}, 422)


def _wrong(first: dict[str, Any]) -> str:
    """Return the library's error in one line."""
    why = str(first.get("ctx", {}).get("error", first["msg"]))
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    if isinstance(first.get("input"), bytes):
        return "the body is not marked as JSON: send content-type: application/json"
    if first["type"] == "json_invalid":
        return f"the body is no JSON: {why}"
    if first["type"] in ("value_error", "missing"):
        return f"{place or 'body'}: {why}"
    return f"{place or 'body'}: {why}, got {short_repr(first.get('input'))}"


async def _refused(request: Request, error: Exception) -> Response:
    """Answer with an error, ours or the library's, in one line."""
    assert isinstance(error, HTTPException)
    told, status = error.detail, error.status_code
    if status == UNPARSED:
        told, status = "the body is no JSON that can be read", 422
    body = told if isinstance(told, dict) else {"error": printable(str(told)), "error_type": "validation"}
    return JSONResponse(body, status, headers=error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    """Answer with the first line of an error that nothing foresaw; the server prints all of it."""
    told = printable(f"the server failed: {first_line(error)}")
    return JSONResponse({"error": told, "error_type": "backend"}, 500)
