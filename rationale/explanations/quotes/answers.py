"""A model's answer → the passages it quotes: JSON, JSON inside other text, repaired JSON, or a list.

Each result says how it was read, so that readings can be counted. Other answers are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

AnswerForm = Literal[
    "a list of quotes",
    "JSON",
    "JSON among other text",
    "JSON that was repaired",
    "numbered or bulleted lines",
]
KEYS = (  # the first that an object has
    "quotes", "quote", "rationales", "rationale", "passages", "passage", "evidence", "evidences", "spans",
    "span", "phrases", "phrase", "words", "word", "reasons", "reason", "text",
)  # fmt: skip
MOST_ANSWER = 2**20  # characters
BEGINS = re.compile(r'\[\s*["{\[]|\{\s*"')  # of JSON: "[sic]" is none
TOKENS = re.compile(
    r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^"\[\]{},]++|.', re.S
)  # a string, which may lack its end, what is none, or a sign
FENCE = "```"
THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)
ITEM = re.compile(r"(?:[-*+•–—]|\(?(?:\d{1,3}|[a-z])[.):])\s+(?P<said>\S.*)")
QUOTED = re.compile(r'(?:"(?P<a>[^"]+)"|“(?P<b>[^”]+)”|«(?P<c>[^»]+)»|`(?P<d>[^`]+)`|\'(?P<e>.+)\'(?!\w))')
CLOSERS = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Answer:
    """The passages that an answer quotes, how it was read, and how many of its entries hold no passage."""

    quotes: tuple[str, ...]
    how: AnswerForm
    without_quote: int = 0


Pairs = tuple[tuple[str, Any], ...]  # of a JSON object: a key may be there twice


def read_answer(value: object, key: str | None = None) -> Answer | None:
    r"""Return what an answer quotes, or None if it cannot be read.

    Args:
        value: what a file holds: a list, an object, or the answer's text.
        key: the only one under which objects hold their passages; by default the first of KEYS that is there.

    >>> read_answer('Sure: [{"quotes": "dull"}, {"score": 1}]')
    Answer(quotes=('dull',), how='JSON among other text', without_quote=1)
    >>> read_answer("1. dull\n2. no plot").quotes
    ('dull', 'no plot')
    """
    keys = KEYS if key is None else (key,)
    if isinstance(value, list | dict):
        try:
            return _of_json(_pairs(value), keys, "a list of quotes")
        except RecursionError:
            return None
    if not isinstance(value, str) or len(value) > MOST_ANSWER:
        return None
    text = _unfenced(without_thinking(value).strip())
    try:
        return _of_json(_decoded(text), keys, "JSON")
    except (ValueError, RecursionError):
        return _of_text(text, keys)


def without_thinking(answer: str) -> str:
    """Return an answer without what a model says to itself first, of which the beginning or end may be cut.

    >>> without_thinking('<think>Is it ["dull"]?</think> ["slow"]')
    ' ["slow"]'
    """
    return THINKING.sub("", answer).rpartition("</think>")[2]


def _unfenced(text: str) -> str:
    """Return the content of a code fence, if the text is one."""
    first, _, rest = text.partition("\n")
    if not (first.startswith(FENCE) and rest.endswith(FENCE) and FENCE not in rest[: -len(FENCE)]):
        return text
    return rest[: -len(FENCE)].strip()


def _of_text(text: str, keys: Sequence[str]) -> Answer | None:
    """Return what an answer quotes that is not JSON and nothing else."""
    begin = BEGINS.search(text)
    if begin is None:
        return _of_lines(text)
    mended, end = _mended(text, begin.start())
    if BEGINS.search(text, end):
        return None  # of two lists either may be meant
    sound = mended == text[begin.start() : end]
    try:
        return _of_json(
            _decoded(mended), keys, "JSON among other text" if sound else "JSON that was repaired"
        )
    except (ValueError, RecursionError):
        return None


def _decoded(text: str) -> Any:
    """Return a JSON value, objects as Pairs."""
    return json.loads(text, object_pairs_hook=tuple)


def _pairs(value: Any) -> Any:
    """Return a value with its objects as Pairs, as `_decoded` has them."""
    if isinstance(value, dict):
        return tuple((key, _pairs(x)) for key, x in value.items())
    return [_pairs(x) for x in value] if isinstance(value, list) else value


def _mended(text: str, begin: int) -> tuple[str, int]:
    """Return the JSON that begins in a text, with the closing brackets that it lacks, and where it ends.

    Without commas, too, that stand before a closing bracket.

    >>> _mended('[{"quotes": "dull",}', 0)
    ('[{"quotes": "dull"}]', 20)
    """
    kept, missing, end = list[str](), list[str](), begin
    for found in TOKENS.finditer(text, begin):
        token, end = found[0], found.end()
        if token in CLOSERS:
            missing.append(CLOSERS[token])
        elif token in ("]", "}"):
            _drop_comma(kept)
            while missing and missing[-1] != token:
                kept.append(missing.pop())
            missing = missing[:-1]
        kept.append(token)
        if not missing:
            break
    else:
        _drop_comma(kept)
    return "".join([*kept, *reversed(missing)]), end


def _drop_comma(kept: list[str]) -> None:
    """Remove a trailing comma from a list of tokens, and the white space around it."""
    last = next((i for i in reversed(range(len(kept))) if not kept[i].isspace()), None)
    if last is not None and kept[last] == ",":
        del kept[last:]


def _of_json(value: Any, keys: Sequence[str], how: AnswerForm) -> Answer | None:
    """Return the passages of a JSON value: texts, lists, and what objects have under a key.

    None where there is something, but no text or key: the passages may be under another one.
    """
    quotes, without, known = list[str](), 0, False
    todo = [value]
    while todo:
        entry = todo.pop()
        known |= isinstance(entry, str)
        if isinstance(entry, str) and entry.strip():
            quotes.append(entry.strip())
        elif isinstance(entry, list):
            todo += reversed(entry)
        elif held := _held(entry, keys) if _is_object(entry) else []:
            todo += reversed(held)
            known = True
        else:
            without += 1
    return Answer(tuple(quotes), how, without) if known or not without else None


def _held(entry: Pairs, keys: Sequence[str]) -> list[Any]:
    """Return what an object has under the first of the keys that it has; others may repeat the text."""
    folded = [(name.casefold(), x) for name, x in entry]
    first = next((key for key in map(str.casefold, keys) if any(name == key for name, _ in folded)), None)
    return [x for name, x in folded if name == first]


def _is_object(entry: Any) -> TypeGuard[Pairs]:
    return isinstance(entry, tuple)


def _of_lines(text: str) -> Answer | None:
    """Return the items of a list of lines; of an item that begins with a quotation, that alone."""
    items = [found["said"] for line in text.splitlines() if (found := ITEM.fullmatch(line.strip()))]
    return Answer(tuple(map(_quotation, items)), "numbered or bulleted lines") if items else None


def _quotation(item: str) -> str:
    item = re.sub(r"\*\*(.+?)\*\*", r"\1", item)
    found = QUOTED.match(item)
    return next(said for said in found.groups() if said) if found else item
