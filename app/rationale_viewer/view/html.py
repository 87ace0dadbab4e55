"""The only maker of HTML: pure functions, every text of a user or a data set escaped by markupsafe.

Axes: W word of a text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from eraser.types import Floats, Mask
from eraser.words import direction, tied
from rationale.templates.palette import STEPS, step_class, variables
from rationale_viewer.view.told import number_of, told_of

CHANGED = {"out": "taken out", "new": "put in another word's place"}
COMPARED = {"was": "taken out or replaced in the other version", "now": "masked or put in"}  # still coloured
USED = "the stronger, the more it counts, for or against"  # what colours without a sign mean
TOLD = {"hit": "annotators and model", "missed": "annotators only", "extra": "model only"}


@dataclass(frozen=True)
class WordMarkup:
    """How one word stands on the page: its text, its CSS classes, and what is told of it."""

    text: str
    classes: str
    told: str


def steps(scores: Floats) -> list[int]:
    """Return for each word [W] its shade, -STEPS to STEPS, the strongest score full; NaN is 0."""
    known = np.nan_to_num(np.asarray(scores, dtype=np.float64))
    strongest = np.abs(known).max(initial=0.0)
    if strongest == 0:
        return [0] * len(known)
    sizes = np.ceil(np.abs(known) / strongest * STEPS - 1e-9)
    return [int(s) for s in np.sign(known) * sizes]


def highlighted(  # noqa: PLR0913 (what may be shown of a word)
    words: Sequence[str],
    scores: Floats,
    pieces: Sequence[Sequence[str]] | None,
    kept: Mask | None = None,
    changed: Mapping[int, str] | None = None,
    after: Sequence[str] | None = None,
    signed: bool = True,
) -> Markup:
    """Return a text, its words coloured by score.

    Args:
        words: the text's.
        scores: one a word, NaN where unread.
        pieces: each word's word pieces; None where they are not known.
        kept: words [W] that the model still works on; the others fade.
        changed: words that were taken out ("out") or put in another's place ("new"), whose own scores are
            not these; or, in colour, what only this of two versions has ("was", "now").
        after: what stands after each word; default a space.
        signed: whether scores speak for and against; others have a hue of their own.
    """
    classes = [step_class(step, signed) for step in steps(scores)]
    for i in range(len(words)):
        if kept is not None and not kept[i]:
            classes[i] = "gone"
    told = told_of(scores, pieces)
    for i, how in (changed or {}).items():
        if how in COMPARED:
            classes[i], told[i] = f"{classes[i]} {how}".strip(), f"{told[i]} · {COMPARED[how]}"
        else:
            classes[i], told[i] = how, CHANGED[how]
    return _text([WordMarkup(*row) for row in zip(words, classes, told, strict=True)], after)


def scored(words: Sequence[str], scores: Floats, signed: bool) -> Markup:
    """Return a text, its words coloured by scores."""
    return highlighted(words, scores, None, signed=signed)


def stacked(
    words: Sequence[str],
    by_method: Mapping[str, Floats],
    kept: Mask | None = None,
    changed: Mapping[int, str] | None = None,
    unsigned: Collection[str] = (),
) -> Markup:
    """Return a text, under each word a bar for each method in turn; the others as in `highlighted`.

    `unsigned` names the methods whose scores speak neither for nor against.
    """
    shades = [[step_class(s, m not in unsigned) for s in steps(scores)] for m, scores in by_method.items()]
    rows = []
    for i, word in enumerate(words):
        told = " · ".join(f"{method} {number_of(scores[i])}" for method, scores in by_method.items())
        bars = Markup("").join(Markup('<i class="{}"></i>').format(s[i] or "p0") for s in shades)
        faded = "" if kept is None or kept[i] else " gone"
        how = (changed or {}).get(i)
        rows.append(_word(WordMarkup(word, "stack" + (f" {how}" if how else faded), told), i, bars))
    return Markup('<div class="text stacks" dir="{}">{}</div>').format(
        direction(words), Markup(" ").join(rows)
    )


def stack_legend(methods: Sequence[str]) -> Markup:
    """Return which bar belongs to which method."""
    names = Markup("").join(
        Markup('<span role="listitem"><b>{}</b> {}</span>').format(n, m)
        for n, m in enumerate(methods, start=1)
    )
    return Markup('<div class="legend" role="list"><span>bars from the top:</span>{}</div>').format(names)


def marked(
    words: Sequence[str],
    gold: Mask,
    selected: Mask,
    told: Sequence[str] | None = None,
    after: Sequence[str] | None = None,
    shown: Collection[str] = tuple(TOLD),
) -> Markup:
    """Return a text, its words coloured as hit, missed or extra; `after` as in `highlighted`.

    `shown` are the kinds that are coloured, so that one side can stand alone with its words' colours.
    """
    kinds = [kind if kind in shown else "" for kind in mark_kinds(gold, selected)]
    captions = told or [TOLD.get(kind, "nobody") for kind in kinds]
    return _text([WordMarkup(*row) for row in zip(words, kinds, captions, strict=True)], after)


def mark_kinds(gold: Mask, selected: Mask) -> list[str]:
    """Return hit, missed, extra or "" for each word [W].

    >>> mark_kinds(np.array([True, True, False]), np.array([True, False, True]))
    ['hit', 'missed', 'extra']
    """
    names = {(True, True): "hit", (True, False): "missed", (False, True): "extra"}
    return [names.get((bool(g), bool(p)), "") for g, p in zip(gold, selected, strict=True)]


def mark_legend() -> Markup:
    """Return what the colours of `marked` mean."""
    items = [(kind, kind, of_whom) for kind, of_whom in TOLD.items()]
    return legend(Markup('<b class="w {}">{}</b> {}').format(*item) for item in items)


def score_legend(label: str | None, fading: bool = False, unsigned: Sequence[str] = ()) -> Markup:
    """Return what the colours of `highlighted` and `stacked` mean, each ramp named.

    `label` is the class that signed scores speak for, None where there are none; `unsigned` names the methods
    without a sign where others stand beside them.
    """
    items = []
    if label is not None:
        items.append(_ramp(range(1, STEPS + 1), f"speaks for {label}"))
        items.append(_ramp(range(-1, -STEPS - 1, -1), f"speaks against {label}"))
    if label is None or unsigned:
        of = f" ({', '.join(unsigned)})" if unsigned and label is not None else ""
        items.append(_ramp(range(1, STEPS + 1), f"{USED}{of}", signed=False))
    if fading:
        items.append(Markup('<b class="w gone">{}</b> {}').format("word", "dropped by the model"))
    return legend(items)


def probabilities(
    probs: Mapping[str, float],
    before: Mapping[str, float] | None = None,
    what: str = "Probabilities",
    predicted: Collection[str] | None = None,
) -> Markup:
    """Return a bar for each label, with its change from `before`; those `predicted` stand out."""
    top = {max(probs, key=lambda label: probs[label])} if predicted is None else set(predicted)
    rows = []
    for label, p in probs.items():
        change = "" if before is None else f"{round(p - before[label], 3) + 0.0:+.3f}"
        row = Markup(
            '<tr class="{}"><th scope="row">{}</th><td class="bar"><span style="width:{:.1f}%"></span></td>'
            '<td class="n">{:.3f}</td><td class="n">{}</td></tr>'
        )
        rows.append(row.format("top" if label in top else "", label, 100 * p, p, change))
    return Markup('<table class="probs" aria-label="{}">{}</table>').format(what, Markup("").join(rows))


def headed(title: str, says: str) -> Markup:
    """Return a page's title, and in a line what it shows."""
    return Markup('<h1 class="title">{}</h1><p class="note">{}</p>').format(title, says)


def answered(said: Markup, bars: Markup, more: Markup | str = "") -> Markup:
    """Return what the model says, what it might have said beside it, and remarks below."""
    return Markup('<div class="answer"><div>{}{}</div>{}</div>').format(said, more, bars)


def verdict(label: str, probability: float) -> Markup:
    """Return what the model decided."""
    return Markup('<p class="verdict"><b>{}</b> {:.3f}</p>').format(label, probability)


def verdict_line(text: str) -> Markup:
    """Return a sentence that stands out."""
    return Markup('<p class="verdict">{}</p>').format(text)


def predicted_labels(labels: Sequence[str]) -> Markup:
    """Return the labels that the model says, which may be none."""
    return Markup('<p class="verdict"><b>{}</b></p>').format(_listed(labels))


def number(name: str, value: float, before: float | None = None) -> Markup:
    """Return the number that the model gives, with its change from `before`."""
    change = "" if before is None else f" {round(value - before, 3) + 0.0:+.3f}"
    return Markup('<p class="verdict"><b>{}</b> {:.3f}<small>{}</small></p>').format(name, value, change)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "no label"


def judgement(label: str, predicted: str, tags: Iterable[str] = (), verb: str | None = None) -> Markup:
    """Return what annotators and the model decided, whom a text is about; `verb` is how the two compare."""
    verb = verb or ("agrees" if label == predicted else "is wrong")
    sentence = Markup('<p class="verdict">Annotators say <b>{}</b>; the model {}: <b>{}</b></p>')
    about = Markup("").join(Markup("<small>about {}</small> ").format(tag) for tag in tags)
    return sentence.format(label or "no label", verb, predicted or "no label") + about


def note(text: str) -> Markup:
    """Return a remark: of names and numbers, which Markdown might read as more than they are."""
    return Markup('<p class="note">{}</p>').format(text)


def sentences(of: str, said: Iterable[str]) -> Markup:
    """Return sentences below each other, under whose they are."""
    each = Markup("").join(Markup("<li>{}</li>").format(sentence) for sentence in said)
    head = Markup('<p class="note">{}</p>').format(of) if of else Markup("")
    return head + Markup('<ul class="sentences">{}</ul>').format(each)


def plain(text: str) -> Markup:
    """Return a text as it is."""
    return Markup('<p class="text" dir="auto">{}</p>').format(text)


def picture(data: str, says: str) -> Markup:
    """Return a PNG (base64), and what it says for those who cannot see it; a wide one is pushed sideways."""
    tag = '<div class="picture" tabindex="0"><img alt="{}" src="data:image/png;base64,{}"></div>'
    return Markup(tag).format(says, data)


def facts(pairs: Iterable[tuple[str, str, str]]) -> Markup:
    """Return (number, what it is, more) side by side."""
    items = (Markup("<div><b>{}</b><span>{}</span><small>{}</small></div>").format(*pair) for pair in pairs)
    return Markup('<div class="facts">{}</div>').format(Markup("").join(items))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a small table of texts and numbers."""
    top = Markup("").join(Markup('<th scope="col">{}</th>').format(cell) for cell in head)
    lines = (Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row) for row in rows)
    body = Markup("").join(Markup("<tr>{}</tr>").format(line) for line in lines)
    return Markup('<table class="small"><tr>{}</tr>{}</table>').format(top, body)


def framed() -> Markup:
    """Return the style of the viewer's pages, which stands on each once."""
    return Markup("<style>{}{}</style>").format(Markup(STYLE), Markup(_file("frame.css")))


def page(title: str, body: Markup, more_style: str = "") -> Markup:
    """Return a whole page that needs nothing else, light or dark as its reader prefers.

    `more_style` is CSS of ours, never a text of others.
    """
    whole = Markup(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<style>{}{}</style></head><body class="page">{}</body></html>\n'
    )
    return whole.format(title, Markup(PAGE_STYLE), Markup(STYLE + more_style), body)


def _text(shown: Sequence[WordMarkup], after: Sequence[str] | None = None) -> Markup:
    """Return the words of a text, each of which can be pointed at and told of.

    Each is a box of its own, so that only the direction of the whole says where the first one stands.
    """
    each, way = [_word(one, i) for i, one in enumerate(shown)], direction(one.text for one in shown)
    if after is None:
        return Markup('<div class="text" dir="{}">{}</div>').format(way, Markup(" ").join(each))
    runs: list[tuple[list[Markup], str]] = []  # words between which no line ends, what stands after them
    for word, gap, to_last in zip(each, after, tied([one.text for one in shown], after), strict=True):
        if to_last:
            runs[-1] = ([*runs[-1][0], word], gap)
        else:
            runs.append(([word], gap))
    lines = Markup("").join(_run(run) + _gap(gap) for run, gap in runs)
    return Markup('<div class="text close" dir="{}">{}</div>').format(way, lines)


def _run(words: Sequence[Markup]) -> Markup:
    return Markup('<span class="tied">{}</span>').format(Markup("").join(words)) if words[1:] else words[0]


def _gap(between: str) -> Markup:
    return Markup("<br>") if "\n" in between else Markup(" " * any(map(str.isspace, between)))


def _word(one: WordMarkup, index: int, more: Markup | str = "") -> Markup:
    """Return one word; `bdi` keeps a word's own direction from turning its neighbours."""
    tag = '<span class="w {}" data-i="{}" title="{}"><bdi>{}</bdi>{}</span>'
    return Markup(tag).format(one.classes, index, f"{one.text} · {one.told}", one.text, more)


def legend(items: Iterable[Markup]) -> Markup:
    """Return what stands for what, in as many lines as it needs."""
    each = Markup("").join(Markup('<span role="listitem">{}</span>').format(item) for item in items)
    return Markup('<div class="legend" role="list">{}</div>').format(each)


def _ramp(shades: Iterable[int], says: str, signed: bool = True) -> Markup:
    bars = Markup("").join(Markup('<i class="{}"></i>').format(step_class(s, signed)) for s in shades)
    return Markup('<span class="ramp">{}</span> {}').format(bars, says)


def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


STYLE = variables() + _file("words.css")
PAGE_STYLE = ":root{color-scheme:light dark}body{max-width:46rem;margin:2rem auto;padding:0 1rem}"
