"""An unbounded tokenizer is first tried on the same texts in a process with limits.

The process imports `tokenizers` and nothing else. The system limits its memory and CPU time, the waiting
process its wall-clock time.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, TimeoutExpired
from typing import Any

from eraser import Fault, InputError
from eraser.errors import short_repr
from eraser.files.bounds import read_bytes
from rationale.process.children import run
from rationale.text.tokenizer_bounds import RULES, unbounded

MEMORY = 4 * 2**30  # bytes of address space
SECONDS = 20.0  # for whatever it is
CHARACTERS_PER_S = 100_000  # beside that: a hundred times slower than usual
MOST = 2**28  # bytes of a file: eight times the largest vocabularies
LOOKED_AT = 2**26  # bytes of a file that is parsed here, twice the largest vocabularies
LONGEST_TEXT = 2**24  # characters, of ten books
PROBES = ("", "a", "a a a a a a")  # what models and tokenizers are asked when they are loaded


def check_file(file: Path) -> None:
    """Refuse a tokenizer.json that cannot be read, or read a word with, within the limits.

    Raises:
        InputError: it cannot.
    """
    raw = read_bytes(file, MOST)
    spec = None
    if len(raw) <= LOOKED_AT:
        try:
            spec = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise InputError(Fault("a tokenizer's JSON", str(error), file)) from None
    check_spec(spec, raw.decode("utf-8", "replace"), file)


def check_spec(spec: Any, text: str, place: str | Path) -> None:
    """Refuse a tokenizer.json that cannot read a word within the limits.

    Args:
        spec: what it holds; None where it is too large to be parsed here.
        text: the JSON itself.
        place: the file that it stands in.

    Raises:
        InputError: it cannot.
    """
    reason = f"a file of {len(text)} characters" if spec is None else "no object"
    found = unbounded(spec) if isinstance(spec, dict) else reason
    if found is not None:
        _try(text, PROBES, found, place)


class Trial:
    """Tries texts of a loaded tokenizer before they are read with it, where it is not bounded by itself."""

    def __init__(self, backend: Any, place: str | None = None) -> None:
        """Look at a tokenizer of `tokenizers`, if there is one; `place` is where it is from."""
        self.backend, self.place = backend, place
        self.reason = None if backend is None else unbounded(_spec(backend))

    def check(self, texts: Sequence[str]) -> None:
        """Refuse texts that are too long, or that the tokenizer cannot read within the limits.

        Raises:
            InputError: it cannot.
        """
        if (longest := max(map(len, texts), default=0)) > LONGEST_TEXT:
            raise InputError(Fault(f"texts of at most {LONGEST_TEXT} characters", f"{longest}"))
        if self.reason is not None:
            _try(self.backend.to_str(), texts, self.reason, self.place)


def _spec(backend: Any) -> dict[str, Any]:
    """Return the parts of a loaded tokenizer as its file would have them, the model by what matters of it."""
    spec = {}
    for kind in RULES:
        with suppress(Exception):  # there is none, or it is the library's own code
            spec[kind] = json.loads(getattr(backend, kind).__getstate__())
    model, longest = backend.model, max(backend.get_vocab(False), key=len, default="")
    found = {"type": type(model).__name__, "vocab": {longest: 0}}
    limit = getattr(model, "max_input_chars_per_word", None)
    return {**spec, "model": found if limit is None else {**found, "max_input_chars_per_word": limit}}


def _try(spec: str, texts: Sequence[str], reason: str, place: str | Path | None) -> None:
    """Read a tokenizer and texts in another process.

    Raises:
        InputError: it did not end well within the limits.
    """
    seconds = SECONDS + sum(map(len, texts)) / CHARACTERS_PER_S
    given = json.dumps({"spec": spec, "texts": list(texts), "memory": MEMORY, "seconds": seconds})
    remedy = f"(nothing bounds it: {reason}; use a tokenizer without it, or shorter texts)"
    what = "this text" if len(texts) == 1 else f"these {len(texts)} texts"
    needs = f"the tokenizer needs more than {{}} for {what} {remedy}"
    too_slow, too_large = needs.format(f"{seconds:.0f} s"), needs.format(f"{MEMORY / 2**30:.0f} GiB")
    quiet = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    try:
        how = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE}
        done = run("rationale.text.tokenizer_trial", (), quiet, input=given, timeout=seconds, **how)
    except TimeoutExpired:
        raise InputError(Fault.of(too_slow, place)) from None
    if done.returncode == -signal.SIGXCPU:
        raise InputError(Fault.of(too_slow, place))
    if done.returncode < 0 or "memory" in done.stderr.lower():
        raise InputError(Fault.of(too_large, place))
    if done.returncode:
        *_, last = done.stderr.strip().splitlines() or [""]
        raise InputError(Fault.of(f"the tokenizer fails on {what}: {short_repr(last, 200)}", place))


def _child() -> None:
    """Read a tokenizer and texts with limits; the exit status is the answer."""
    given = json.loads(sys.stdin.read())
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = given["memory"] if most == resource.RLIM_INFINITY else min(given["memory"], most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    seconds = int(given["seconds"]) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(given["spec"])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text in given["texts"]:
        tokenizer.encode(text)


if __name__ == "__main__":
    _child()
