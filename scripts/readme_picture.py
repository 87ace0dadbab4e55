"""Draw the picture of the README: a review whose words fade layer by layer in the shipped model.

python -m scripts.readme_picture        writes docs/img/fading.svg

The words that each layer reads are the model's own on one review of the bundled sample. Without animation
(prefers-reduced-motion) the picture stands still: the earlier a word was dropped, the paler it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

OUT = Path(__file__).parents[1] / "docs" / "img" / "fading.svg"
REVIEW = "a066.txt"  # of the sample's test split
WIDTH, MARGIN, SIZE, LINE = 800, 24, 17, 34  # pixels
STEP, HOLD = 1.6, 3.2  # seconds for each layer, and at the end
PALE = (0.35, 0.5, 0.62, 0.72, 0.8, 0.9, 1.0)  # opacity without animation, by layers survived


@dataclass(frozen=True)
class Fading:
    """A text, how many layers read each word (0: none), whether a person marked it, and the answer."""

    words: tuple[str, ...]
    layers: tuple[int, ...]
    marked: tuple[bool, ...]
    label: str
    probability: float

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of words in the text, then those that each layer reads."""
        return tuple(sum(n >= k for n in self.layers) for k in range(max(self.layers) + 1))


def read_fading(review: str = REVIEW) -> Fading:
    """Ask the shipped model which words of a sample review each of its layers reads."""
    import rationale
    from eraser.load import load

    sample = load("sample")
    example = next(e for e in sample.examples("test") if e.id == review)
    words = sample.text(example).words
    found = rationale.explain(rationale.load(), " ".join(words), methods="survivors", words="whitespace")[0]
    if found.words != words:
        raise ValueError(f"{review} is cut into other words")
    layers = tuple(int(score) for score in found.scores)  # the fraction only breaks ties
    marked = tuple(bool(x) for x in sample.truth(example).gold)
    return Fading(words, layers, marked, found.label, float(found.probs[found.label]))


def picture(fading: Fading) -> str:
    """Return the SVG."""
    text = list(_text(fading))
    steps_at = MARGIN + LINE * text[-1][0] + 76
    height = steps_at + 54
    summary = f"{len(fading.words)} words go in; the last layer reads {fading.counts[-1]}."
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>A film review fades, word by word, as the layers of the model drop words</title>",
        f"<desc>{escape(summary)} Those that remain explain the answer {escape(fading.label)}.</desc>",
        f"<style>\n{_style(len(fading.counts))}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
        *(line for _, line in text),
        *_steps(fading.counts, steps_at),
        f'<text class="note" x="{MARGIN}" y="{height - 14}">{escape(summary)} Answer: '
        f"{escape(fading.label)}, {fading.probability:.2f}. Underlined: words that a person marked.</text>",
        "</svg>\n",
    ])  # fmt: skip


def _text(fading: Fading) -> Iterator[tuple[int, str]]:
    """Yield each word as SVG, with its line; a sign stands close to the word before it."""
    advance, x, line = 0.6 * SIZE, float(MARGIN), 0
    for word, layers, marked in zip(fading.words, fading.layers, fading.marked, strict=True):
        width = advance * len(word)
        gap = advance if x > MARGIN and word.strip(".,!?;:") else 0.0
        if x + gap + width > WIDTH - MARGIN:
            x, line, gap = float(MARGIN), line + 1, 0.0
        x += gap
        y = MARGIN + 20 + LINE * line
        under = f'<path class="mark" d="M{x:.1f} {y + 6}h{width:.1f}"/>' if marked else ""
        at = f'x="{x:.1f}" y="{y}" textLength="{width:.1f}"'
        yield line, f'<g class="w l{layers}"><text {at}>{escape(word)}</text>{under}</g>'
        x += width


def _steps(counts: Sequence[int], y: int) -> Iterator[str]:
    """Yield a box for the text and for each layer, with its number of words."""
    gap = 8
    width = (WIDTH - 2 * MARGIN - gap * (len(counts) - 1)) / len(counts)
    for k, n in enumerate(counts):
        x, name = MARGIN + k * (width + gap), f"layer {k}" if k else "text"
        middle = x + width / 2
        yield (
            f'<g class="s s{k}"><rect x="{x:.1f}" y="{y - 30}" width="{width:.1f}" height="44" rx="6"/>'
            f'<text x="{middle:.1f}" y="{y - 13}">{name}</text>'
            f'<text class="n" x="{middle:.1f}" y="{y + 6}">{n} words</text></g>'
        )


def _style(n: int) -> str:
    """Return the CSS: still, dark, and moving, for `n` steps."""
    still = "".join(f".l{k}{{opacity:{PALE[k * (len(PALE) - 1) // (n - 1)]}}}\n" for k in range(n))
    return (
        "svg{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;--ink:#1f2328;--paper:#fff;"
        "--edge:#d0d7de;--hot:#b35900;--mark:#0969da}\n"
        "@media (prefers-color-scheme:dark){svg{--ink:#e6edf3;--paper:#0d1117;--edge:#3d444d;--hot:#ffa657;"
        "--mark:#58a6ff}}\n"
        f".card{{fill:var(--paper);stroke:var(--edge)}}\n.w{{font-size:{SIZE}px;fill:var(--ink)}}\n"
        f".l{n - 1}{{fill:var(--hot);font-weight:700}}\n.mark{{stroke:var(--mark);stroke-width:2}}\n{still}"
        ".s{font-size:13px;fill:var(--ink);text-anchor:middle}\n.s rect{fill:none;stroke:var(--edge)}\n"
        f".n{{font-weight:700}}\n.s{n - 1} rect{{stroke:var(--hot);stroke-width:2}}\n"
        ".note{font-size:12.5px;fill:var(--ink);font-family:system-ui,sans-serif}\n"
        f"@media (prefers-reduced-motion:no-preference){{\n{_moving(n)}}}\n"
    )


def _moving(n: int) -> str:
    """Return the animation: before step k the words fade that its layer does not read."""
    whole = n * STEP + HOLD

    def at(seconds: float) -> str:
        return f"{100 * seconds / whole:.1f}%"

    lines = []
    for k in range(n - 1):  # words that k layers read are gone from step k + 1 on
        gone = (k + 1) * STEP
        lines.append(
            f"@keyframes w{k}{{0%,{at(gone)}{{opacity:1}}"
            f"{at(gone + 0.6)},{at(whole - 0.5)}{{opacity:.1}}100%{{opacity:1}}}}\n"
            f".l{k}{{animation:w{k} {whole}s infinite}}\n"
        )
    for k in range(n):
        start, end = k * STEP, (k + 1) * STEP + (HOLD - 0.5 if k == n - 1 else 0)
        lit = "stroke:var(--hot);stroke-width:3"
        off = "stroke:var(--edge);stroke-width:1"
        before = "" if k == 0 else f"0%,{at(start)}{{{off}}}"
        begin = "0%" if k == 0 else at(start + 0.1)
        lines.append(
            f"@keyframes s{k}{{{before}{begin},{at(end)}{{{lit}}}{at(end + 0.1)},100%{{{off}}}}}\n"
            f".s{k} rect{{animation:s{k} {whole}s infinite}}\n"
        )
    return "".join(lines)


if __name__ == "__main__":
    OUT.write_text(picture(read_fading()), encoding="utf-8")
    sys.stdout.write(f"written: {OUT}\n")
