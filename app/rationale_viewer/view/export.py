"""A highlighted text as a file: stand-alone HTML, LaTeX, PNG, and the official JSON line."""

from __future__ import annotations

import json
import unicodedata
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from eraser import Prediction, Text
from eraser.data.official_records import official_record
from eraser.types import Floats, Mask
from rationale.report.plots import new_figure, png
from rationale.templates.palette import INK, MARKS, PAPER, shade
from rationale_viewer.view.html import page

COLUMNS = 88  # characters a line of a picture
CHAR, LINE = 0.088, 0.24  # inches: a character's width, a line's height
LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    '"': r"\textquotedbl{}", "|": r"\textbar{}",
})  # fmt: skip


def as_html(title: str, legend: Markup, body: Markup) -> str:
    """Return a page that needs no network and no script."""
    heading = Markup("<h1>{}</h1>").format(title)
    return str(page(title, heading + legend + body))


def as_latex(
    words: Sequence[str],
    shades: Sequence[str],
    title: str,
    after: Sequence[str] | None = None,
    marks: Mapping[int, str] | None = None,
) -> str:
    r"""Return a fragment for a document with \usepackage[T1]{fontenc} and \usepackage{xcolor}.

    `after` is what stands after each word; default a space. `marks` are words that were taken out ("out"),
    which are struck out by \usepackage[normalem]{ulem}, or put in another's place ("new"), which are framed.
    """
    packages = "\\usepackage[T1]{fontenc} \\usepackage{xcolor}" + " \\usepackage[normalem]{ulem}" * bool(
        marks
    )
    head = f"% {' '.join(title.split())}\n% {packages}\n"
    set_ = r"{\setlength{\fboxsep}{1.5pt}\raggedright" + "\n"
    ends = map(_latex_gap, [" "] * len(words) if after is None else after)
    each = [_latex_word(*one, (marks or {}).get(i)) for i, one in enumerate(zip(words, shades, strict=True))]
    body = "".join(word + end for word, end in zip(each, ends, strict=True))
    return head + set_ + body + "\\par}\n"


def _latex_gap(between: str) -> str:
    return "\\newline\n" if "\n" in between else "\n" if any(map(str.isspace, between)) else "%\n"


def _latex_word(word: str, colour: str, how: str | None = None) -> str:
    text = word.translate(LATEX)
    if how is not None:
        return rf"\sout{{{text}}}" if how == "out" else rf"\fbox{{\strut {text}}}"
    return text if colour == PAPER.light else rf"\colorbox[HTML]{{{colour[1:].upper()}}}{{\strut {text}}}"


def as_png(
    words: Sequence[str], shades: Sequence[str], title: str, after: Sequence[str] | None = None
) -> bytes:
    """Return a picture of the text in a font of one width; signs the font lacks are boxes.

    `after` is what stands after each word; default a space.
    """
    places, lines = _places(words, after)
    edge = 0.25 if after is None else 0.0
    figure, (axes,) = new_figure(1, width=(COLUMNS + 4) * CHAR, height=(lines + 3) * LINE)
    axes.set(xlim=(-1, COLUMNS + 1), ylim=(lines + 0.5, -1.6))
    axes.axis("off")
    font = FontProperties(family="monospace", size=9.5)
    axes.text(0, -1, title, size=10, weight="bold", va="center", color=INK.light, parse_math=False)
    for word, colour, (row, column, width) in zip(words, shades, places, strict=True):
        corner = (column - edge, row - 0.42)
        axes.add_patch(Rectangle(corner, width + 2 * edge, 0.84, color=colour, linewidth=0))
        axes.text(
            column,
            row,
            word,
            fontproperties=font,
            va="center",
            color=INK.light,
            parse_math=False,
            clip_on=True,
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        return png(figure)


def _places(
    words: Sequence[str], after: Sequence[str] | None = None
) -> tuple[list[tuple[int, int, int]], int]:
    """Return (line, column, width) of each word, and the number of lines."""
    row = column = 0
    places = []
    for word, gap in zip(words, [" "] * len(words) if after is None else after, strict=True):
        width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in word)
        if column and column + width > COLUMNS:
            row, column = row + 1, 0
        places.append((row, column, width))
        column += width + any(map(str.isspace, gap))
        if "\n" in gap:
            row, column = row + 1, 0
    return places, row + 1


def shades_of(steps: Sequence[int], signed: bool = True) -> list[str]:
    """Return each word's colour on paper; of scores without a sign in their own hue."""
    return [shade(step, signed).light for step in steps]


def mark_colour(kind: str) -> str:
    """Return the colour of hit, missed or extra on paper; of other words, paper's."""
    return MARKS[kind].light if kind else PAPER.light


def as_jsonl(text: Text, label: str, probs: Mapping[str, float], scores: Floats, selected: Mask) -> str:
    """Return a line of an official ERASER prediction file."""
    prediction = Prediction(text.example_id, label, probs, scores, selected & ~np.isnan(scores))
    return json.dumps(official_record(text, prediction), ensure_ascii=False) + "\n"
