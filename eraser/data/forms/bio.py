"""Lines of a token and its tag (CoNLL): B-X begins a span, I-X goes on, O is outside; also BIOES and BILUO.

The tag is the last column. A blank line ends a sentence, `-DOCSTART-` begins a text; where a file has none,
each sentence is a text. Comments `# id = …` and `# label = …` before a text name it and its class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from eraser.data.custom.options import ColumnNames
from eraser.data.forms.marks import Annotated, Found, Mark, Told, lines_in
from eraser.errors import Fault, InputError

ENDINGS = (".txt", ".conll", ".conll2003", ".bio", ".iob", ".iob2", ".bioes", ".tsv")
TAG = re.compile(r"(?:([BIESLU])(?:[-_](\S+))?|O)$")
COMMENT = re.compile(r"#\s*(id|sent_id|text_id|label)\s*[=:]\s*(.*\S)")
DOCUMENT = "-DOCSTART-"
LOOKED_AT = 200  # lines, to know such a file


@dataclass
class _Text:
    """The tokens of a text as they come in, by sentences, with their tags."""

    line: int
    about: dict[str, str] = field(default_factory=dict)
    sentences: list[list[tuple[str, str, str]]] = field(default_factory=lambda: [[]])  # token, tag, label

    def end_sentence(self) -> None:
        if self.sentences[-1]:
            self.sentences.append([])


def is_bio(path: Path) -> bool:
    """Return whether a file's first lines are tokens with tags."""
    if not path.is_file() or not (path.suffix.lower() in ENDINGS or path.stem.lower().endswith(ENDINGS)):
        return False
    try:
        lines = [_cells(line) for line in islice(lines_in(path), LOOKED_AT)]
    except InputError:
        return False
    tokens = [parts for parts in lines if parts and not parts[0].startswith("#")]
    return bool(tokens) and all(len(p) > 1 and TAG.match(p[-1]) for p in tokens)


def read_bio(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read a file: each document, or where it names none each sentence, is a text."""
    by_document = any(line.startswith(DOCUMENT) for line in lines_in(path, Told(files=told.files)))
    now = _Text(1)
    for number, line in enumerate(lines_in(path, told), start=1):
        parts = _cells(line)
        if not parts or parts[0] == DOCUMENT:
            now.end_sentence()
            if (parts or not by_document) and now.sentences[0]:
                yield from _made(now)
                now = _Text(number + 1)
        elif (comment := COMMENT.match(line)) and not now.sentences[-1]:
            now.about[comment[1]] = comment[2]
        elif line.startswith("# ") and not now.sentences[-1]:
            told.left_out("comments not read")
        elif len(parts) < 2 or not (tag := TAG.match(parts[-1])):
            yield Fault("a token and a tag B-X, I-X or O", repr(line.strip()[:60]), path, number)
        else:
            now.sentences[-1].append((parts[0], tag[1] or "O", tag[2] or ""))
    yield from _made(now)


def _cells(line: str) -> list[str]:
    """Return what stands between blanks and tabs; other white space may be part of a token."""
    return [cell for cell in re.split(r"[ \t]+", line) if cell]


def _made(text: _Text) -> Iterator[Annotated]:
    """Yield a text, if it has a token: its sentences are lines, its tokens have spaces between them."""
    sentences = [sentence for sentence in text.sentences if sentence]
    if not sentences:
        return
    marks, at, lines = list[Mark](), 0, list[str]()
    for sentence in sentences:
        line = " ".join(token for token, _, _ in sentence)
        marks += _spans(sentence, at)
        at += len(line) + 1
        lines.append(line)
    id = next((text.about[n] for n in ("id", "text_id", "sent_id") if n in text.about), None)
    yield Annotated(text.line, "\n".join(lines), text.about.get("label"), id, marks=tuple(marks))


def _spans(sentence: Sequence[tuple[str, str, str]], at: int) -> Iterator[Mark]:
    """Yield the spans of a sentence that begins at a character of the text."""
    opened: tuple[int, int, str] | None = None  # its start, its end so far, its label
    for token, tag, label in sentence:
        end = at + len(token)
        if opened and (tag in "OBSU" or label != opened[2]):
            yield _mark(opened)
            opened = None
        if tag != "O":
            opened = (opened[0] if opened else at, end, label)
            if tag in "ELSU":
                yield _mark(opened)
                opened = None
        at = end + 1
    if opened:
        yield _mark(opened)


def _mark(opened: tuple[int, int, str]) -> Mark:
    return Mark(opened[0], opened[1], (opened[2],) if opened[2] else ())
