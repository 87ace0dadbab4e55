"""The questions: stated, shown by `--show-prompt`, and part of what answers depend on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase

from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import read_bytes

ASK = """\
Read the text and decide which label fits it. The labels: {labels}

Then quote the passages of the text that are the reasons for this label: word for word as they stand in the
text, as short as they can be, and only what the decision stands on.

Answer with one JSON object and nothing else:
{"label": "the label", "quotes": ["a passage", "another passage"]}

{query}Text:
{text}
"""
CLASSIFY = """\
Read the text, in which words may be missing, and decide which label fits it.

{choices}

Answer with the letter of the label and nothing else.

{query}Text:
{text}
"""
FIELD = re.compile(r"\{(text|labels|choices|query)\}")
MARKUP = " \t\r\n\"'`“”‘’*_()[]{}.,:"  # that may stand around a letter or a label
LETTER = re.compile(r"[\W_]*+([A-Za-z])(?![^\W_])[\"'`”’*_)\]}.,:]*+(.*)", re.S)
MOST_PROMPT = 2**16  # bytes
CHARACTERS_A_TOKEN = 4  # of English, about


def read_prompt(path: Path | None, usual: str, needed: Sequence[str]) -> str:
    """Return a prompt of one's own, or the usual one.

    Raises:
        InputError: the file cannot be read, or lacks a field that is needed.
    """
    if path is None:
        return usual
    try:
        prompt = read_bytes(path, MOST_PROMPT).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(Fault("UTF-8 text", str(error), path)) from None
    except OSError as error:
        raise InputError(Fault.of(f"the file cannot be read: {error.strerror}", path)) from None
    if missing := [name for name in needed if f"{{{name}}}" not in prompt]:
        fields = " and ".join(f"{{{name}}}" for name in needed)
        raise InputError(Fault(f"a prompt with {fields}", f"none with {{{missing[0]}}}", path))
    return prompt


def filled(prompt: str, text: str, labels: Sequence[str], query: str | None = None) -> str:
    """Return the question about one text; what stands in text, labels or query is never a field itself.

    >>> filled("{labels}: {text}", "a {labels} b", ["NEG", "POS"])
    'NEG, POS: a {labels} b'
    """
    values = {
        "text": text,
        "labels": ", ".join(labels),
        "choices": "\n".join(f"{letter}: {label}" for letter, label in letters(labels).items()),
        "query": f"Question: {query}\n\n" if query else "",
    }
    return FIELD.sub(lambda found: values[found[1]], prompt)


def letters(labels: Sequence[str]) -> dict[str, str]:
    """Return the label of each letter: one token is the whole answer, whatever a label is called."""
    if len(labels) > len(ascii_uppercase):
        raise InputError(Fault(f"at most {len(ascii_uppercase)} labels", str(len(labels))))
    return dict(zip(ascii_uppercase, labels, strict=False))


def label_named(answer: object, labels: Sequence[str]) -> str | None:
    """Return the label that a model named, in whatever case; None where it named none.

    >>> label_named(" pos", ["NEG", "POS"]), label_named("good", ["NEG", "POS"])
    ('POS', None)
    """
    if not isinstance(answer, str | int):
        return None
    said = str(answer).strip()
    for found in (said.casefold(), said.strip(MARKUP).casefold()):  # a label may have such signs itself
        same = [label for label in labels if label.casefold() == found]
        if len(same) == 1:
            return same[0]
    return None


def label_lettered(answer: str, labels: Sequence[str]) -> str | None:
    """Return the label whose letter an answer begins with, or that it names; None where it does neither.

    >>> [label_lettered(said, ["NEG", "POS"]) for said in ("**B**", " (b) POS.", "A: NEG", "Pos", "A film")]
    ['POS', 'POS', 'NEG', 'POS', None]
    """
    found = LETTER.match(answer)
    by_letter = letters(labels).get(found[1].upper()) if found else None
    rest = found[2] if found else ""
    if by_letter is not None and (not rest.strip(MARKUP) or label_named(rest, labels) == by_letter):
        return by_letter
    return label_named(answer, labels)


def probabilities(first: Mapping[str, float] | None, labels: Sequence[str]) -> dict[str, float] | None:
    """Return the probability of each label by its letter, from the likeliest first tokens; they sum to 1.

    None where no probabilities came, or where letters have less than half of it: the model would then
    rather have said something else.
    """
    if first is None:
        return None
    by_letter = dict.fromkeys(letters(labels), 0.0)
    for token, logprob in first.items():
        letter = token.strip(MARKUP).upper()
        if letter in by_letter:
            by_letter[letter] += math.exp(min(logprob, 0.0))
    total = sum(by_letter.values())
    if not total >= 0.5:  # noqa: PLR2004 (half)
        return None
    return {label: by_letter[letter] / total for letter, label in letters(labels).items()}


def tokens_of(question: str) -> int:
    """Estimate the number of tokens of a question; models differ in how they count."""
    return math.ceil(len(question) / CHARACTERS_A_TOKEN)


def refuse_strange(labels: Sequence[str]) -> None:
    """Refuse labels that a prompt cannot list so that answers can be told apart."""
    if len({label.casefold() for label in labels}) < len(labels):
        raise InputError(
            Fault("labels that differ in more than upper and lower case", short_repr(list(labels)))
        )
    letters(labels)
