"""WebAnno TSV 3, as INCEpTION and WebAnno export it: one token a line, annotations in columns by layer.

https://inception-project.github.io (user guide, appendix "WebAnno TSV 3.3"). A file is a text; its sentences
are its lines. In a folder of exports `NAME/USER.tsv` the text is NAME and the annotator USER. Layers of parts
of speech, lemmas and the like are not read, nor are relations and chains.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eraser.data.custom.options import ColumnNames
from eraser.data.forms.marks import Annotated, Found, Mark, Told, lines_in
from eraser.data.offsets import in_characters
from eraser.errors import Fault, InputError, short_repr

FORMAT = "#FORMAT=WebAnno TSV 3"
GRAMMAR = re.compile(r"\.(lexmorph|segmentation|syntax|transform)\.")  # layers that are no evidence
ESCAPED = re.compile(r"\\(.)")
NUMBERED = re.compile(r"(.*?)(?:\[(\d+)\])?", re.DOTALL)
DOCUMENT = re.compile(r".+\.[A-Za-z0-9]{2,5}")  # an export's folder is called as the file that was annotated


@dataclass(frozen=True)
class _Layer:
    """A layer of spans: its name, and which columns of a line it has."""

    name: str
    columns: range


@dataclass
class _File:
    """What was read of a file so far: where tokens stand in the text, and spans by layer and number."""

    layers: list[_Layer] = field(default_factory=list)
    width: int = 0  # columns of layers
    text: str = ""
    after: int = 0  # where the last token ends
    tokens: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # place, and its offset in the file
    spans: dict[tuple[str, str], Mark] = field(default_factory=dict)


def is_webanno(path: Path) -> bool:
    """Return whether a file is of this format, or a folder has such files."""
    if path.is_dir():
        path = next(iter(sorted(path.rglob("*.tsv"))), path)
    if not path.is_file() or path.suffix.lower() != ".tsv":
        return False
    try:
        return next(lines_in(path), "").startswith(FORMAT)
    except InputError:
        return False


def read_webanno(path: Path, names: ColumnNames, told: Told) -> Found:
    """Read a file, or all .tsv files of a folder and of those in it."""
    for file in sorted(path.rglob("*.tsv")) if path.is_dir() else [path]:
        try:
            found = _read(file, told)
        except InputError as error:
            yield from error.faults
            continue
        of_document = path.is_dir() and file.parent != path and DOCUMENT.fullmatch(file.parent.name)
        id = file.parent.name if of_document else file.stem
        who = file.stem if of_document else None
        yield Annotated(1, found.text, None, id, who, tuple(found.spans.values()), file=file)


def _read(path: Path, told: Told) -> _File:
    found, opened = _File(), False
    for number, line in enumerate(lines_in(path, told), start=1):
        if number == 1 and not line.startswith(FORMAT):
            raise InputError(Fault(f"a first line {FORMAT}", short_repr(line), path, 1))
        if line.startswith("#T_"):
            _add_layer(found, line, told)
        elif line.startswith("#Text="):
            found = _add_sentence(found, _unescaped(line.removeprefix("#Text=")), opened)
        elif line and not line.startswith("#"):
            _add_token(found, line.split("\t"), Fault("a token line", short_repr(line), path, number))
        opened = line.startswith("#Text=")
    return found


def _add_layer(found: _File, line: str, told: Told) -> None:
    """Note a layer of the header and its columns."""
    kind, _, rest = line.partition("=")
    name, *features = rest.split("|")
    columns = range(found.width, found.width + max(1, len(features)))
    found.width = columns.stop
    if kind == "#T_SP" and not GRAMMAR.search(name):
        found.layers.append(_Layer(name.rpartition(".")[2], columns))
    else:
        told.left_out(f"layer not read: {name.rpartition('.')[2]}, files")


def _add_sentence(found: _File, text: str, goes_on: bool) -> _File:
    """Add a sentence, or another line of the one that was just begun."""
    found.text += "\n" * bool(found.text)
    if not goes_on:
        found.after = len(found.text)
    found.text += text
    return found


def _add_token(found: _File, cells: Sequence[str], wrong: Fault) -> None:
    """Find a token, or a part of one, in the sentence; add it to its spans."""
    try:
        id, offsets, word = cells[:3]
        begin, end = map(int, offsets.split("-"))
    except ValueError:
        raise InputError(wrong) from None
    word = _unescaped(word)
    if "." in id:
        place = _part(found, id.partition(".")[0], begin, word, wrong)
    else:
        start = found.text.find(word, found.after)
        if start < 0 or not word or found.text[found.after : start].strip():
            raise InputError(
                Fault(f"the token {short_repr(word)} next in its #Text", wrong.got, wrong.file, wrong.line)
            )
        place = (start, start + len(word))
        found.after = place[1]
        found.tokens[id] = (*place, begin)
    for layer in found.layers:
        _add_spans(found, layer, [c for n, c in enumerate(cells[3:]) if n in layer.columns], place, id)


def _part(found: _File, token: str, begin: int, word: str, wrong: Fault) -> tuple[int, int]:
    """Return where a part of a token stands; offsets count UTF-16 units."""
    if token not in found.tokens:
        raise InputError(Fault("a part of a token above", wrong.got, wrong.file, wrong.line))
    start, end, at = found.tokens[token]
    size = len(word.encode("utf-16-le", "surrogatepass")) // 2
    try:
        ((first, last),) = in_characters(found.text[start:end], [(begin - at, begin - at + size)], "utf16")
    except InputError:
        raise InputError(wrong) from None
    return start + first, start + last


def _add_spans(found: _File, layer: _Layer, cells: Sequence[str], place: tuple[int, int], id: str) -> None:
    """Add a token to the spans that its cells name: `LABEL[2]` is of span 2, `|` stands between several."""
    split = [
        [NUMBERED.fullmatch(v) for v in re.split(r"(?<!\\)\|", cell)]
        for cell in cells
        if cell not in ("", "_")
    ]
    for values in zip(*split, strict=False):
        numbers = [value[2] for value in values if value and value[2]]
        labels = tuple(_unescaped(v[1]) for v in values if v and v[1] not in ("*", "_"))
        key = (layer.name, numbers[0] if numbers else f"of {id}")
        before = found.spans.get(key, Mark(*place, labels or (layer.name,)))
        start, end = min(before.start, place[0]), max(before.end, place[1])
        found.spans[key] = Mark(start, end, before.labels)


def _unescaped(text: str) -> str:
    r"""Return a text without its backslashes.

    >>> _unescaped(r"a\tb \[c\]")
    'a\tb [c]'
    """
    return ESCAPED.sub(lambda found: {"t": "\t", "n": "\n", "r": "\r"}.get(found[1], found[1]), text)
