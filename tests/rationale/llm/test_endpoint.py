"""One question, one reply: where it goes, what is tried again, what is refused."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from eraser import InputError
from rationale.llm import endpoint as module
from rationale.llm.endpoint import Endpoint, Reply, key_from, read_reply
from tests.helpers.llm_server import BusyError, completion, serving
from tests.helpers.refusals import refusal


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(module, "WAITS_S", (0.0, 0.0))


def test_a_question_is_one_message_and_the_reply_is_read():
    with serving(lambda question: completion(question.upper(), {"A": -0.5}, "length")) as (url, requests):
        found = Endpoint(url, "tiny", temperature=0.5, max_tokens=9, key="s3cret").ask("why?\ud83d")
    assert found == Reply("WHY?\ud83d", "length", 7, 3, {"A": -0.5})
    (request,) = requests
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["Authorization"] == "Bearer s3cret"
    assert request["body"] == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "why?\ud83d"}],
        "temperature": 0.5,
        "max_tokens": 9,
    }


def test_without_a_key_none_is_sent_and_probabilities_are_asked_for_on_demand(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert key_from("OPENAI_API_KEY") == ""
    monkeypatch.setenv("OPENAI_API_KEY", " from-the-environment\n")
    assert key_from("OPENAI_API_KEY") == "from-the-environment"
    with serving(lambda _: "fine") as (url, requests):
        assert Endpoint(f"{url}/chat/completions/", "m", logprobs=True).ask("q").first is None
    assert "Authorization" not in requests[0]["headers"]
    assert requests[0]["body"]["logprobs"] is True
    assert requests[0]["body"]["top_logprobs"] == 20


def test_a_busy_server_is_asked_again():
    answers = iter([BusyError(429, Retry_After="0"), BusyError(503), "at last"])

    def answer(_):
        found = next(answers)
        if isinstance(found, BusyError):
            raise found
        return found

    with serving(answer) as (url, requests):
        assert Endpoint(url, "m").ask("q").text == "at last"
    assert len(requests) == 3


def test_a_server_that_stays_busy_or_asks_to_wait_long_is_given_up():
    def answer(question):
        raise BusyError(429, Retry_After="900") if question == "long" else BusyError(500)

    with serving(answer) as (url, requests):
        where = f"{url}/chat/completions"
        said = refusal(Endpoint(url, "m").ask, "q")
        assert said.startswith(f"{where}: no reply after 3 tries: HTTP 500")
        assert said.endswith("run the command again to go on")
        assert len(requests) == 3
        said = refusal(Endpoint(url, "m").ask, "long")
        assert "HTTP 429 Too Many Requests; the server asks to wait 900 s: run the command again then" in said
        assert len(requests) == 4


def test_a_server_is_waited_for_as_long_as_it_asks_but_not_after_the_last_try(monkeypatch):
    slept = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))

    def answer(_):
        raise BusyError(429, Retry_After="44")

    with serving(answer) as (url, _):
        assert "no reply after 3 tries: HTTP 429" in refusal(Endpoint(url, "m").ask, "q")
    assert slept == [0.0, 44.0, 44.0]


UNSUPPORTED = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."


def test_the_newer_name_of_the_limit_is_used_where_a_model_asks_for_it():
    found = []

    def answer(question):
        if len(found) == 0:
            found.append(question)
            raise BusyError(400, json.dumps({"error": {"message": UNSUPPORTED}}))
        return question.upper()

    with serving(answer) as (url, requests):
        asked = Endpoint(url, "o1", max_tokens=9)
        assert [asked.ask("a").text, asked.ask("b").text] == ["A", "B"]
    limits = [{k: v for k, v in r["body"].items() if k.startswith("max")} for r in requests]
    assert limits == [{"max_tokens": 9}, {"max_completion_tokens": 9}, {"max_completion_tokens": 9}]
    assert asked == Endpoint(url, "o1", max_tokens=9)
    assert asked.identity()["max_tokens"] == 9


def test_a_model_that_refuses_both_names_of_the_limit_is_told_once():
    def answer(_):
        raise BusyError(400, UNSUPPORTED)

    with serving(answer) as (url, requests):
        said = refusal(Endpoint(url, "m").ask, "q")
    assert "HTTP 400 Bad Request: Unsupported parameter: 'max_tokens'" in said
    assert len(requests) == 2


def test_a_redirect_is_not_followed():
    def answer(_):
        raise BusyError(307, Location="http://evil.example/v1")

    with serving(answer) as (url, requests):
        said = refusal(Endpoint(url, "m", key="s3cret").ask, "q")
    assert "HTTP 307 Temporary Redirect to 'http://evil.example/v1', which is not followed" in said
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("status", "key", "logprobs", "message"),
    [
        (401, "s3cret", False, f"HTTP 401 Unauthorized: the key was not accepted: {module.WHERE_KEY}"),
        (401, "", False, f"HTTP 401 Unauthorized: the key is missing: {module.WHERE_KEY}"),
        (400, "s3cret", False, "HTTP 400 Bad Request: no such model for …"),
        (400, "", True, "(some servers know no log-probabilities: --no-logprobs): no such model for s3cret"),
    ],
)
def test_other_errors_are_told_at_once_and_never_the_key(status, key, logprobs, message):
    def answer(_):
        raise BusyError(status, "no such model\nfor s3cret")

    with serving(answer) as (url, requests):
        said = refusal(Endpoint(url, "m", logprobs=logprobs, key=key).ask, "q")
    assert message in said
    assert not key or key not in said
    assert len(requests) == 1


LONG_KEY = "sk-" + "0123456789" * 5


@pytest.mark.parametrize(
    "answer",
    [
        b'{"headers": {"Authorization": "Bearer ' + LONG_KEY.encode() + b'"}}',  # and no completion
        b"x" * 90 + LONG_KEY.encode(),
        BusyError(400, "x" * 280 + LONG_KEY),
        BusyError(307, Location=f"https://a.example/?key={LONG_KEY}"),
    ],
)
def test_no_part_of_a_key_that_a_server_sends_back_is_told(answer):
    def echo(_):
        if isinstance(answer, BusyError):
            raise answer
        return answer

    with serving(echo) as (url, _):
        said = refusal(Endpoint(url, "m", key=LONG_KEY).ask, "q")
    assert "sk-" not in said
    assert "…" in said


def test_a_key_is_in_no_printed_endpoint():
    found = Endpoint("https://api.example/v1", "m", key="s3cret")
    assert "s3cret" not in repr(found)
    assert "s3cret" not in json.dumps(found.identity())


def test_replies_have_a_bound_and_an_end(monkeypatch):
    monkeypatch.setattr(module, "MOST_REPLY", 2**16)
    with serving(lambda _: b" " * 2**17) as (url, _):
        assert "the reply is larger than 65,536 bytes" in refusal(Endpoint(url, "m").ask, "q")


def test_no_server_is_told_at_once():
    with serving(lambda _: "") as (url, _):
        pass
    told = refusal(Endpoint(url, "m").ask, "q")
    assert told.endswith("/chat/completions: cannot be reached: Connection refused")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "http://api.example/v1"}, "expected an https:// address, or http:// on this machine, got 'http://api"),
        ({"url": "file:///etc/passwd"}, "expected an https:// address"),
        ({"url": "https://[/v1"}, "expected an https:// address"),
        ({"url": "http://localhost/é/v1"}, "expected a valid host and port, ASCII and no spaces, got 'http"),
        ({"url": "https://a..b/v1"}, "expected a valid host and port, ASCII and no spaces"),
        ({"url": f"https://{'a' * 70}/v1"}, "expected a valid host and port, ASCII and no spaces"),
        ({"url": "http://localhost:99999/v1"}, "expected a valid host and port, ASCII and no spaces"),
        ({"url": "http://localhost:80a/v1"}, "expected a valid host and port, ASCII and no spaces"),
        ({"url": "http://localhost:1/a b"}, "expected a valid host and port, ASCII and no spaces"),
        ({"url": "https://a.example/v1?key=1"}, "expected an address without ? and #"),
        ({"url": "https://me:pw@a.example/v1"}, "expected an address without a user's name"),
        ({"model": " "}, "expected the name of a model, got ' '"),
        ({"temperature": 3.0}, "expected a temperature from 0 to 2, got 3.0"),
        ({"max_tokens": 0}, "expected at least 1 token of a reply, got 0"),
        ({"timeout_s": 0}, "expected a timeout above 0, got 0"),
        ({"key": "a\nb"}, "expected a key of printable characters, got others"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InputError) as caught:
        Endpoint(**{"url": "https://a.example/v1", "model": "m", **settings})
    assert message in str(caught.value)


def test_a_refusal_to_answer_is_an_empty_text():
    assert read_reply(json.dumps(completion(None)).encode(), "u").text == ""


NONE = (b"<html>", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": 3}}]}', b"[" * 9999)


@pytest.mark.parametrize("content", NONE)
def test_what_is_no_completion_is_refused(content):
    said = refusal(read_reply, content, "https://a.example")
    assert said.startswith(
        "https://a.example: expected a chat completion, with choices[0].message.content, got"
    )
