from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace

import httpx
import pytest
from starlette.testclient import TestClient

from eraser import InputError
from rationale.onnx.answer import Answer, AnswerWord
from rationale.serve.application import application
from rationale.serve.bodies import PredictRequest, body_of
from rationale.serve.limits import Limits
from tests.helpers.same_answers import LONG
from tests.rationale.serve.conftest import LIMITS

SHAPES = (
    "inputs: expected a string, [string], a pair [string, string], or a batch [[string], [string, string], …]"
)


def predictions(answer):
    return [{"label": x, "score": p} for x, p in sorted(answer.scores.items(), key=lambda item: -item[1])]


# ── what text-embeddings-inference's clients ask ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ("A warm, moving film.", "A warm, moving film."),
        (["A warm, moving film."], "A warm, moving film."),
        (["is it good ?", "a dull film"], ("is it good ?", "a dull film")),
    ],
)
def test_one_text_or_pair_gets_a_list_of_labels_the_best_first(ask, model, inputs, text):
    found = ask(inputs=inputs)
    assert (found.status_code, found.json()) == (200, predictions(model.answer(text)))


def test_a_batch_gets_a_list_for_each(ask, model):
    found = ask(
        inputs=[["a dull film"], ["is it good ?", "a dull film"], [LONG]], truncate=False, raw_scores=False
    )
    texts = ["a dull film", ("is it good ?", "a dull film"), LONG]
    assert found.json() == [predictions(answer) for answer in model.predict(texts)]


def test_raw_scores_are_logits(ask, model):
    (first, second) = ask(inputs="a dull film", raw_scores=True).json()
    logits = dict(zip(model.labels, model.answer("a dull film").logits, strict=True))
    assert {first["label"]: first["score"], second["label"]: second["score"]} == logits
    assert first["score"] >= second["score"]


def test_a_long_text_is_read_in_windows_unless_it_shall_be_truncated(ask, model):
    assert ask(inputs=LONG).json() == predictions(model.answer(LONG))
    cut = ask(inputs=LONG, truncate=True, truncation_direction="Right")
    expected = model.answer(LONG, long_texts="truncate")
    assert cut.json() == predictions(expected)
    assert int(cut.headers["x-truncated"]) == int(cut.headers["x-unread"]) == expected.truncated > 0
    assert ask(inputs=LONG).headers["x-truncated"] == "0"


# ── the rationale ───────────────────────────────────────────────────────────────────────────────────────


def test_the_rationale_is_every_word_with_its_characters_layer_and_score(ask, model):
    text = "A warm, moving film \u0301\u0301."
    answer, body = model.answer(text), ask(inputs=text, rationale=True).json()
    assert body["predictions"] == predictions(answer)
    assert body["label"] == answer.label
    assert [text[w["start"] : w["end"]] for w in body["rationale"]] == [w["text"] for w in body["rationale"]]
    assert [(w["layer"], w["score"], w["side"]) for w in body["rationale"]] == [
        (w.layer, w.score, w.side) for w in answer.words
    ]
    counts = {name: body[name] for name in ("depth", "windows", "unread", "truncated")}
    assert counts == {"depth": 3, "windows": 1, "unread": answer.unread, "truncated": 0}


def test_a_score_stays_below_that_of_any_word_of_the_next_layer():
    """A model's only piece has all of the contribution, 1.0: layer 2 and 1.0 are not a score of 3."""
    words = (AnswerWord("a", 0, 1, 2, 1.0), AnswerWord("b", 2, 3, 3, 0.0), AnswerWord("c", 4, 5, None, None))
    answer = Answer("POS", {"POS": 1.0}, (0.0,), words, 3, 1, 1, 0)
    first, second, unread = (
        w["score"] for w in body_of(answer, PredictRequest(inputs="a b c", rationale=True))["rationale"]
    )
    assert 2.99 < first < second == 3
    assert unread is None


def test_a_batch_with_rationales_is_a_list_of_them(ask):
    alone = [ask(inputs=text, rationale=True).json() for text in ("a dull film", ["is it good ?", "a film"])]
    assert ask(inputs=[["a dull film"], ["is it good ?", "a film"]], rationale=True).json() == alone


def test_a_model_that_drops_nothing_has_no_rationale(model):
    dense = replace(model, described=replace(model.described, adaptive=False))
    client = TestClient(application(dense, "dense", LIMITS))
    assert client.post("/predict", json={"inputs": "a film"}).status_code == 200
    found = client.post("/predict", json={"inputs": "a film", "rationale": True})
    assert (found.status_code, found.json()["error"]) == (
        422,
        "the model drops no tokens: it has no rationale",
    )


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({}, "inputs: Field required"),
        ({"inputs": 3}, f"{SHAPES}, got 3"),
        ({"inputs": []}, f"{SHAPES}, got []"),
        ({"inputs": [[]]}, f"{SHAPES}, got [[]]"),
        ({"inputs": ["a", "b", "c"]}, f"{SHAPES}, got ['a', 'b', 'c']"),
        ({"inputs": ["a", ["b"]]}, f"{SHAPES}, got ['a', ['b']]"),
        ({"inputs": [["a", "b", "c"]]}, f"{SHAPES}, got [['a', 'b', 'c']]"),
        ({"inputs": "a", "raw_scores": "yes"}, "raw_scores: Input should be a valid boolean, got 'yes'"),
        ({"inputs": "a", "rational": True}, "rational: Extra inputs are not permitted, got True"),
        (
            {"inputs": "a", "truncation_direction": "left"},
            "truncation_direction: Input should be 'right' or 'Right', got 'left'",
        ),
        ({"inputs": ""}, "inputs: the text has no words"),
        ({"inputs": "\u200b\n"}, "inputs: the text has no words"),
        ({"inputs": [["a"], [""]]}, "inputs[1]: the text has no words"),
        ({"inputs": ["", "b"]}, "inputs: expected two texts with words in a pair, got ('', 'b')"),
        (
            {"inputs": ["a " * 40, "b"]},
            "inputs: expected a first text that leaves 8 of 24 pieces to the text, got 40 pieces",
        ),
    ],
)
def test_a_wrong_request_gets_422_and_one_line(ask, body, line):
    found = ask(**body)
    assert (found.status_code, found.json()["error"]) == (422, line)
    assert set(found.json()) == {"error", "error_type"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"nonsense", "the body is no JSON: Expecting value"),
        (b"", "body: Field required"),
        (b"[" * 4000, "the body is no JSON that can be read"),
        (b'{"inputs": "\\ud800"}', "inputs: expected text without lone surrogates, got '\\ud800'"),
        (b'{"inputs": "\xff"}', "the body is no JSON that can be read"),
    ],
)
def test_nonsense_gets_422_and_one_line(client, content, line):
    found = client.post("/predict", content=content, headers={"content-type": "application/json"})
    assert (found.status_code, found.json()["error"]) == (422, line)


def test_a_body_that_is_not_marked_as_json_is_told_how(client):
    found = client.post("/predict", content=b'{"inputs": "a"}', headers={"content-type": "text/plain"})
    line = "the body is not marked as JSON: send content-type: application/json"
    assert (found.status_code, found.json()["error"]) == (422, line)


def test_other_routes_are_refused_in_the_same_form(client):
    assert client.get("/predict").json() == {"error": "Method Not Allowed", "error_type": "validation"}
    assert client.get("/docs").json() == {"error": "Not Found", "error_type": "validation"}


def test_what_is_too_large_gets_413(ask):
    long = ask(inputs="a" * 1001)
    assert (long.status_code, long.json()["error"]) == (413, "a text has 1001 characters, more than 1000")
    many = ask(inputs=[["a"]] * 5)
    assert (many.status_code, many.json()["error"]) == (413, "batch size 5 > maximum allowed batch size 4")
    large = ask(inputs="a" * 5001)
    assert (large.status_code, large.json()["error"]) == (413, "the body is larger than 5000 bytes")


def test_a_model_that_fails_is_told_in_the_same_form(model):
    class Fails:
        described, labels = model.described, model.labels

        def answer(self, *asked):
            raise RuntimeError("Failed to allocate memory\nat 0x7f")

    client = TestClient(application(Fails(), "fails", LIMITS), raise_server_exceptions=False)
    found = client.post("/predict", json={"inputs": "a film"})
    told = {"error": "the server failed: RuntimeError: Failed to allocate memory", "error_type": "backend"}
    assert (found.status_code, found.json()) == (500, told)
    assert 'rationale_requests_total{status="500"} 1.0' in client.get("/metrics").text


def test_limits_are_above_0(model):
    with pytest.raises(InputError, match="^expected max_texts above 0, got 0$"):
        application(model, "made", Limits(max_texts=0))


# ── as one that asks it on a socket would ───────────────────────────────────────────────────────────────


def slow(model, gate: threading.Event):
    """A model that answers only when the gate is open."""

    class Slow:
        described, labels = model.described, model.labels

        def answer(self, *asked):
            gate.wait(30)
            return model.answer(*asked)

    return Slow()


def test_more_requests_than_places_get_429_and_the_others_their_answers(model):
    gate = threading.Event()
    app = application(slow(model, gate), "slow", replace(LIMITS, max_concurrency=3))

    async def asked():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            posts = [
                asyncio.create_task(client.post("/predict", json={"inputs": "a film"})) for _ in range(10)
            ]
            while sum(post.done() for post in posts) < 7:
                await asyncio.sleep(0.01)
            assert (await client.get("/health")).status_code == 200  # whatever happens
            gate.set()
            return await asyncio.gather(*posts)

    found = asyncio.run(asked())
    assert sorted(answer.status_code for answer in found) == [200] * 3 + [429] * 7
    refused = next(answer for answer in found if answer.status_code == 429)
    assert refused.json() == {"error": "the server is full: try again later", "error_type": "overloaded"}
    assert refused.headers["retry-after"] == "1"
    metrics = TestClient(app).get("/metrics").text
    assert 'rationale_requests_total{status="429"} 7.0' in metrics
    assert 'rationale_requests_total{status="200"} 3.0' in metrics
    assert "rationale_requests_in_flight 0.0" in metrics


def test_texts_of_a_client_that_left_are_not_read(model):
    gate, begun, read = threading.Event(), threading.Event(), []

    class Slow:
        described, labels = model.described, model.labels

        def answer(self, text, *asked):
            begun.set()
            gate.wait(30)
            read.append(text)
            return model.answer(text, *asked)

    app = application(Slow(), "slow", LIMITS)
    body = json.dumps({"inputs": [["one film"], ["two films"], ["a third"]]}).encode()

    async def leaves():
        messages = iter([{"type": "http.request", "body": body}])

        async def receive():
            if (message := next(messages, None)) is not None:
                return message
            while not begun.is_set():
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        headers = [(b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "query_string": b"",
            "headers": headers,
        }
        await app(scope, receive, send)
        gate.set()

    asyncio.run(leaves())
    assert TestClient(app).post("/predict", json={"inputs": "another film"}).status_code == 200
    assert read == ["one film", "another film"]
    assert 'rationale_requests_total{status="499"} 1.0' in TestClient(app).get("/metrics").text


def test_a_body_that_does_not_come_gets_408(model):
    async def trickle():
        yield b'{"inputs": '
        await asyncio.sleep(30)

    async def asked():
        transport = httpx.ASGITransport(app=application(model, "made", replace(LIMITS, seconds=0.05)))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            headers = {"content-type": "application/json"}
            return await client.post("/predict", content=trickle(), headers=headers)

    found = asyncio.run(asked())
    assert (found.status_code, found.json()["error"]) == (408, "the body took longer than 0.05 s to come")


def test_bodies_that_come_all_at_once_may_not_fill_the_memory(model, monkeypatch):
    monkeypatch.setattr("rationale.serve.limits.HELD", 1)
    gate = threading.Event()
    app = application(slow(model, gate), "slow", LIMITS)

    async def asked():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            body = {"inputs": [["a film"]] * 4, "rationale": False}
            padded = {"inputs": [["a film" + " " * 900]] * 4}
            posts = [asyncio.create_task(client.post("/predict", json=b)) for b in (padded, padded, body)]
            while sum(post.done() for post in posts) < 1:
                await asyncio.sleep(0.01)
            gate.set()
            return await asyncio.gather(*posts)

    assert [found.status_code for found in asyncio.run(asked())] == [200, 429, 200]


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────


def test_info_says_what_is_served_and_its_limits(client, model):
    info = client.get("/info").json()
    assert info["model_id"] == "made"
    assert info["model_sha"] == model.described.model
    assert info["model_type"]["classifier"]["id2label"] == {"0": "NEG", "1": "POS"}
    assert (info["max_input_length"], info["max_client_batch_size"], info["rationale"]) == (24, 4, True)


def test_openapi_describes_request_and_answers(client):
    described = client.get("/openapi.json").json()
    body = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/PredictRequest"}
    fields = described["components"]["schemas"]["PredictRequest"]["properties"]
    assert set(fields) == {"inputs", "raw_scores", "truncate", "truncation_direction", "rationale"}
    assert set(described["paths"]["/predict"]["post"]["responses"]) == {
        "200",
        "408",
        "413",
        "422",
        "429",
        "500",
    }


def test_metrics_count_texts_windows_and_words_that_were_not_read(model):
    client = TestClient(application(model, "made", LIMITS))
    client.post("/predict", json={"inputs": [[LONG], ["a film"]], "truncate": True})
    lines = client.get("/metrics").text.splitlines()
    lost = model.answer(LONG, long_texts="truncate").truncated
    for line in ("texts_total 2.0", "windows_total 2.0", f"truncated_words_total {float(lost)}"):
        assert f"rationale_{line}" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
