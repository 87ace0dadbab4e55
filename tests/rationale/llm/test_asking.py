"""A file of answers grows line by line; what is there is not asked again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from eraser import InputError
from rationale.llm.asking import ask_all, cost, growing, pending, read_answers
from rationale.llm.endpoint import Endpoint
from tests.helpers.llm_server import BusyError, serving
from tests.helpers.paths import PYTHONPATH

QUESTIONS = {f"q{n}": f"question {n}" for n in range(6)}


def row_of(key, reply):
    return {"said": reply.text}


def test_every_question_is_asked_once_and_answers_are_lines(tmp_path):
    file = tmp_path / "a.jsonl"
    with serving(str.upper) as (url, requests):
        ask_all(Endpoint(url, "m"), dict(list(QUESTIONS.items())[:2]), row_of, file)
        ask_all(Endpoint(url, "m"), QUESTIONS, row_of, file, parallel=3)
        ask_all(Endpoint(url, "m"), QUESTIONS, row_of, file)
    asked = [r["body"]["messages"][0]["content"] for r in requests]
    assert sorted(asked) == sorted(QUESTIONS.values())
    assert {row["id"]: row["said"] for row in read_answers(file)} == {
        k: q.upper() for k, q in QUESTIONS.items()
    }


def test_half_a_line_is_no_answer_and_is_cut_off(tmp_path):
    file = tmp_path / "a.jsonl"
    whole = json.dumps({"id": "q0", "said": "yes"}) + "\n"
    file.write_text(whole + '{"id": "q1", "sa')
    assert list(pending(QUESTIONS, file)) == ["q1", "q2", "q3", "q4", "q5"]
    with growing(file) as add:
        add({"id": "q1", "said": "no"})
    assert file.read_text() == whole + '{"id": "q1", "said": "no"}\n'
    file.write_text("half")
    with growing(file):
        pass
    assert file.read_text() == ""


def test_an_error_keeps_what_is_answered(tmp_path):
    def answer(question):
        if question == "question 2":
            raise BusyError(400, "too long")
        return "fine"

    file = tmp_path / "a.jsonl"
    with serving(answer) as (url, _), pytest.raises(InputError, match="HTTP 400 Bad Request: too long"):
        ask_all(Endpoint(url, "m"), QUESTIONS, row_of, file)
    assert {"q0", "q1"} <= {row["id"] for row in read_answers(file)}


ASKER = """
import sys
from pathlib import Path
from rationale.llm.asking import ask_all
from rationale.llm.endpoint import Endpoint
questions = {f"q{n}": f"question {n}" for n in range(6)}
ask_all(Endpoint(sys.argv[1], "m"), questions, lambda k, r: {"said": r.text}, Path(sys.argv[2]))
"""


def test_a_run_that_is_killed_goes_on(tmp_path):
    file = tmp_path / "a.jsonl"
    slow = [True]

    def answer(question):
        if question == "question 3" and slow[0]:
            time.sleep(30)
        return "fine"

    with serving(answer) as (url, requests):
        environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
        process = subprocess.Popen([sys.executable, "-c", ASKER, url, str(file)], env=environment)
        while len(requests) < 4 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        slow[0] = False
        assert [row["id"] for row in read_answers(file)] == ["q0", "q1", "q2"]
        ask_all(Endpoint(url, "m"), QUESTIONS, row_of, file)
    assert [row["id"] for row in read_answers(file)] == list(QUESTIONS)
    assert len(requests) == 7


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense\n", ":1: expected one JSON object a line"),
        ('{"ID": 1}\n', ''':1: expected an object with "id"'''),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, line, message):
    file = tmp_path / "a.jsonl"
    file.write_text(line)
    with pytest.raises(InputError) as caught:
        read_answers(file)
    assert str(caught.value).startswith(f"{file}{message}")


def test_who_waits_for_another_run_says_so(tmp_path, capsys):
    file, said = tmp_path / "a.jsonl", ""
    with ThreadPoolExecutor(1) as pool, serving(lambda _: "fine") as (url, _):
        with growing(file):
            waiting = pool.submit(ask_all, Endpoint(url, "m"), QUESTIONS, row_of, file)
            while not said.endswith("\n"):
                time.sleep(0.01)
                said += capsys.readouterr().err
        waiting.result()
    assert said == f"{file}: another process asks these questions; waiting until it ends\n"
    assert len(read_answers(file)) == len(QUESTIONS)


def test_no_question_at_a_time_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected at least 1 question at a time, got 0"):
        ask_all(Endpoint("https://a.example", "m"), QUESTIONS, row_of, tmp_path / "a", 0)


def test_the_cost_is_an_estimate_and_says_so():
    found = Endpoint("https://a.example", "m", max_tokens=500_000)
    questions = {"a": "x" * 3_999_999, "b": "x"}
    told = cost(questions, found, None)
    assert told.startswith("2 questions of about 1,000,001 tokens, an estimate; replies of at most 1,000,000")
    assert told.endswith("(--prices tells what that costs)")
    assert cost(questions, found, (0.15, 0.6)).endswith(
        "; at these prices about 0.15 for the questions and at most 0.60 for the replies"
    )
