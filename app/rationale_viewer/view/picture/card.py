"""A picture of a text for a chat or a slide: the answer, the coloured words, the legend, model and method.

It is laid out once, in pixels, and drawn as PNG or written as SVG. Its font is matplotlib's own DejaVu Sans;
signs that the font lacks are boxes in the PNG.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from io import BytesIO
from pathlib import Path

import matplotlib
from markupsafe import Markup
from PIL import Image, ImageDraw, ImageFont

from eraser.types import Mask
from eraser.words import direction
from rationale.templates.palette import BAR, GONE, INK, PAPER, STEPS, shade
from rationale_viewer.view.html import USED

WIDTH, LEAST = 1200, 630  # pixels: what chats show uncut
MARGIN, LINE, SIZE, PAD, EDGE = 56, 46, 26, 6, 2
LINES = 14  # of the text; what does not fit is counted
HEAD, SMALL = 46, 20  # sizes of letters
FOOT = 34  # of the line above the legend
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FACES = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}


@dataclass(frozen=True)
class Card:
    """What is shown: the answer, whose it is, the words with their shades, what stands after each word.

    `speaks` is the class that signed shades speak for; `kept` are the words that a layer still works on;
    `marks` are words that were taken out ("out") or put in another's place ("new"), by their index.
    """

    answer: str
    by: str
    words: Sequence[str]
    steps: Sequence[int]
    after: Sequence[str] | None = None
    speaks: str | None = None
    kept: Mask | None = None
    foot: str = ""
    marks: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Box:
    """A filled rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True)
class Label:
    """A line of text, by the left end of its middle."""

    x: float
    y: float
    text: str
    size: int
    colour: str
    bold: bool = False

    @property
    def width(self) -> float:
        """Its width in pixels."""
        return _width(self.text, self.size, self.bold)


@dataclass(frozen=True)
class Layout:
    """A picture's height, and what is drawn, in order."""

    height: int
    items: tuple[Box | Label, ...]


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / FACES[bold]), size)


def _width(text: str, size: int, bold: bool = False) -> float:
    return _font(size, bold).getlength(text)


def laid_out(card: Card) -> Layout:
    """Return where everything stands."""
    top = MARGIN + HEAD / 2
    items: list[Box | Label] = [Label(MARGIN, top, _fitting(card.answer, HEAD, True), HEAD, INK.light, True)]
    items.append(Label(MARGIN, top + 52, _fitting(card.by, SMALL), SMALL, GONE.light))
    words = sorted(_worded(card, top + 120), key=lambda item: isinstance(item, Label))  # boxes hide no letter
    items += words
    bottom = max((item.y for item in words if isinstance(item, Label)), default=top + 120)
    height = max(LEAST, round(bottom + 130))
    items += _legend(card, height - MARGIN)
    return Layout(height, tuple(items))


def _fitting(text: str, size: int, bold: bool = False) -> str:
    """Return a line that fits the card, cut short with an ellipsis where it is too long."""
    room = WIDTH - 2 * MARGIN
    text = " ".join(text.split())
    while _width(text, size, bold) > room:
        text = text[: -max(2, len(text) // 20)].rstrip() + "…"
    return text


def _worded(card: Card, top: float) -> Iterator[Box | Label]:
    """Yield the words, from the right to the left where the text runs so."""
    turned = direction(card.words) == "rtl"
    for item in _placed(card, top):
        yield replace(item, x=WIDTH - item.x - item.width) if turned else item


def _placed(card: Card, top: float) -> Iterator[Box | Label]:
    """Yield the words, line by line; those beyond the last line are counted in its place."""
    x, row, n = float(MARGIN), 0, len(card.words)
    for i, (word, gap) in enumerate(zip(card.words, card.after or [" "] * n, strict=True)):
        word = _fitting(word, SIZE)
        width = _width(word, SIZE)
        if x > MARGIN and x + width > WIDTH - MARGIN:
            x, row = float(MARGIN), row + 1
        if row == LINES:
            yield Label(
                MARGIN, top + row * LINE, f"… and {n - i} more word{'s' * (n - i > 1)}", SMALL, GONE.light
            )
            return
        yield from _word(card, i, word, x, top + row * LINE, width)
        x += width + (PAD + 6 if any(map(str.isspace, gap)) else 1)
        if "\n" in gap:
            x, row = float(MARGIN), row + 1


def _word(card: Card, i: int, word: str, x: float, y: float, width: float) -> Iterator[Box | Label]:
    how = card.marks.get(i)
    if how == "new":
        yield Box(x - PAD / 2, y - 18, width + PAD, 36, BAR.light)
        yield Box(x - PAD / 2 + EDGE, y - 18 + EDGE, width + PAD - 2 * EDGE, 36 - 2 * EDGE, PAPER.light)
    if how == "out":
        yield Box(x, y, width, EDGE, GONE.light)
    gone = how == "out" or (how is None and card.kept is not None and not card.kept[i])
    if how is None and card.steps[i] and not gone:
        yield Box(x - PAD / 2, y - 18, width + PAD, 36, shade(card.steps[i], card.speaks is not None).light)
    yield Label(x, y, word, SIZE, GONE.light if gone else INK.light)


def _legend(card: Card, y: float) -> Iterator[Box | Label]:
    """Yield the ramps with what they mean, and the foot at the right: above them where they leave no room."""
    x = float(MARGIN)
    ramps = [(1, USED if card.speaks is None else f"speaks for {card.speaks}")]
    if card.speaks is not None:
        ramps.append((-1, f"speaks against {card.speaks}"))
    for sign, says in ramps:
        for step in range(1, STEPS + 1):
            yield Box(x, y - 9, 14, 18, shade(sign * step, card.speaks is not None).light)
            x += 14
        label = Label(x + 12, y, says, SMALL, INK.light)
        yield label
        x += 12 + label.width + 36
    if card.foot:
        left = WIDTH - MARGIN - _width(card.foot, SMALL)
        yield Label(left, y if x <= left else y - FOOT, card.foot, SMALL, GONE.light)


def drawn(card: Card) -> Image.Image:
    """Return the card as a picture."""
    layout = laid_out(card)
    picture = Image.new("RGB", (WIDTH, layout.height), PAPER.light)
    pen = ImageDraw.Draw(picture)
    for item in layout.items:
        if isinstance(item, Box):
            corners = (item.x, item.y, item.x + item.width, item.y + item.height)
            pen.rounded_rectangle(corners, min(5, item.height / 2), fill=item.colour)
        else:
            font = _font(item.size, item.bold)
            pen.text((item.x, item.y), item.text, fill=item.colour, font=font, anchor="lm")
    return picture


def as_png(card: Card) -> bytes:
    """Return the card as PNG."""
    buffer = BytesIO()
    drawn(card).save(buffer, "PNG")
    return buffer.getvalue()


def as_svg(card: Card) -> str:
    """Return the card as SVG; each text is as wide as it was laid out, whatever font shows it."""
    layout = laid_out(card)
    parts = [_as_svg(item) for item in layout.items]
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img">'
        '<title>{title}</title><rect width="{w}" height="{h}" fill="{paper}"/>'
        '<g font-family="DejaVu Sans, Verdana, sans-serif" dominant-baseline="central">'
    ).format(w=WIDTH, h=layout.height, title=f"{card.answer}: {card.by}", paper=PAPER.light)
    return str(Markup("\n").join([head, *parts, Markup("</g></svg>\n")]))


def _as_svg(item: Box | Label) -> Markup:
    if isinstance(item, Box):
        shape = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="5" fill="{}"/>')
        return shape.format(item.x, item.y, item.width, item.height, item.colour)
    line = Markup(
        '<text x="{:.1f}" y="{:.1f}" font-size="{}" font-weight="{}" fill="{}" textLength="{:.1f}">{}</text>'
    )
    weight = 700 if item.bold else 400
    return line.format(item.x, item.y, item.size, weight, item.colour, item.width, _allowed(item.text))


def _allowed(text: str) -> str:
    """Return a text without the control characters that XML does not allow."""
    return "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in text)
