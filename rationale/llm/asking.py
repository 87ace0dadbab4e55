"""Many questions → a file of answers that grows line by line: a killed run resumes where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import lines_of, regular
from eraser.files.lock import locked
from eraser.files.owned import claim, is_done, read_made
from eraser.progress import Progress, say
from rationale.llm.endpoint import Endpoint, Reply
from rationale.llm.prompts import tokens_of

ANSWERS = "answers.jsonl"
MOST_LINE = 2**24  # bytes
KEY = "id"


@dataclass(frozen=True)
class Survey:
    """Questions to a language model by their keys, and the folder of its answers."""

    endpoint: Endpoint
    labels: tuple[str, ...]
    questions: Mapping[str, str]
    folder: Path
    prompt: str
    by: ClassVar[str]  # the command whose folder it is

    @property
    def file(self) -> Path:
        """The answers."""
        return self.folder / ANSWERS

    @property
    def made_of(self) -> dict[str, Any]:
        """All that the answers depend on."""
        of = {**self.endpoint.identity(), "prompt": self.prompt}
        return of | {"content_of_questions": content_of_questions(self.questions)}

    def claimed(self, overwrite: bool = False) -> bool:
        """Take the folder, or refuse another's; return whether all is done."""
        return claim(self.folder, self.by, self.made_of, (), (ANSWERS,), overwrite)

    def is_done(self, overwrite: bool = False) -> bool:
        """Return whether all is done, or refuse another's folder; nothing is written."""
        return is_done(self.folder, self.by, self.made_of, (), overwrite)

    def left(self) -> dict[str, str]:
        """Return the questions without an answer; answers of other work, to be overwritten, are none."""
        made = read_made(self.folder)
        of = json.loads(json.dumps(self.made_of))
        ours = made is not None and (made.by, made.of) == (self.by, of)
        return pending(self.questions, self.file) if ours else dict(self.questions)

    def ask(self, parallel: int = 1) -> None:
        """Ask the remaining questions; answers are kept if this is killed."""
        ask_all(self.endpoint, self.questions, self.row, self.file, parallel)

    def row(self, key: str, reply: Reply) -> dict[str, Any]:
        """Return the fields of a reply's line besides its key."""
        raise NotImplementedError


def pending(questions: Mapping[str, str], file: Path) -> dict[str, str]:
    """Return the questions that a file has no answer to."""
    done = {row[KEY] for row in read_answers(file)}
    return {key: question for key, question in questions.items() if key not in done}


def ask_all(
    endpoint: Endpoint,
    questions: Mapping[str, str],
    row_of: Callable[[str, Reply], dict[str, Any]],
    file: Path,
    parallel: int = 1,
) -> None:
    """Ask the pending questions; each reply is written as a line of the file when it arrives.

    Args:
        endpoint: is asked.
        questions: by key.
        row_of: makes of key and reply what its line says besides the key.
        file: of answers.
        parallel: the number of simultaneous questions.
    """
    if parallel < 1:
        raise InputError(Fault("at least 1 question at a time", str(parallel)))
    with growing(file) as add, ThreadPoolExecutor(parallel) as pool:
        left = pending(questions, file)

        def one(key: str) -> None:
            add({KEY: key, **row_of(key, endpoint.ask(left[key]))})

        under_way = [pool.submit(one, key) for key in left]
        try:
            with Progress("ask", "questions", len(questions), len(questions) - len(left)) as shown:
                for future in as_completed(under_way):
                    future.result()
                    shown.add()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def growing(file: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield a function that appends a line to a file; a killed run's half line is cut off first."""
    waits = f"{file}: another process asks these questions; waiting until it ends"
    with locked(file, lambda _: say(waits)):
        number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            _cut_half_a_line(number)
            one_at_a_time = Lock()

            def add(row: Mapping[str, Any]) -> None:
                line = json.dumps(row, ensure_ascii=True).encode() + b"\n"
                with one_at_a_time:
                    _write(number, line, file)

            yield add
        finally:
            os.close(number)


def _write(number: int, line: bytes, file: Path) -> None:
    size = os.fstat(number).st_size
    try:
        if os.write(number, line) < len(line):
            raise OSError("the line was cut")
        os.fsync(number)
    except OSError as error:
        os.ftruncate(number, size)
        raise InputError(Fault.of(f"cannot write: {error.strerror or error}", file)) from None


def _cut_half_a_line(number: int) -> None:
    end = os.fstat(number).st_size
    while end and os.pread(number, 1, end - 1) != b"\n":
        end -= 1
    os.ftruncate(number, end)


def read_answers(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of answers; none where it is not there, and no half line."""
    if not file.exists():
        return []
    rows = []
    with regular(file) as opened:
        for number, line in enumerate(lines_of(opened, file, MOST_LINE), start=1):
            if not line.endswith(b"\n"):
                break
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(Fault("one JSON object a line", str(error), file, number)) from None
            if not isinstance(row, dict) or not isinstance(row.get(KEY), str):
                raise InputError(Fault(f'an object with "{KEY}"', short_repr(row), file, number))
            rows.append(row)
    return rows


def content_of_questions(questions: Mapping[str, str]) -> str:
    """Return a hash of questions."""
    return sha256(json.dumps(dict(questions)).encode()).hexdigest()


def cost(questions: Mapping[str, str], endpoint: Endpoint, prices: tuple[float, float] | None) -> str:
    """Estimate in words what questions may cost; models differ in how they count tokens.

    `prices` are those of a million tokens of questions and of replies.
    """
    asked = sum(map(tokens_of, questions.values()))
    most = len(questions) * endpoint.max_tokens
    told = f"{len(questions):,} questions of about {asked:,} tokens, an estimate; replies of at most {most:,}"
    if prices is None:
        return f"{told} (--prices tells what that costs)"
    low, more = asked * prices[0] / 1e6, most * prices[1] / 1e6
    return f"{told}; at these prices about {low:.2f} for the questions and at most {more:.2f} for the replies"
