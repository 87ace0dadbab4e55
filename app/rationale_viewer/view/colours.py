"""The viewer's colours, in light and in dark: safe for colour-blind readers, every word legible.

Orange and blue (for and against), and Okabe and Ito's bluish green, orange and reddish purple (hit, missed,
extra), thinned until ink on them passes WCAG 2's contrast of 4.5; a test computes it for each.
"""

from __future__ import annotations

from dataclasses import dataclass

STEPS = 8  # shades that a reader still tells apart
LEAST = 0.14  # of the full colour, in the faintest shade
LINEAR_BELOW, GAMMA = 0.04045, 2.4  # of sRGB


@dataclass(frozen=True)
class Colour:
    """One colour in the light and in the dark theme, as #rrggbb."""

    light: str
    dark: str

    @property
    def css(self) -> str:
        """Return it as CSS, which picks by the page's own colour scheme."""
        return f"light-dark({self.light}, {self.dark})"


PAPER = Colour("#ffffff", "#0e1117")
PANEL = Colour("#f5f6f8", "#191f29")  # sidebar and fields
INK = Colour("#22262b", "#eceff4")
GONE = Colour("#70757d", "#858c98")  # words that the model has dropped
LINE = Colour("#d5d9de", "#3a414c")
FOR = Colour("#f0a030", "#9f5806")
AGAINST = Colour("#6cb4e6", "#1f66a6")
BAR = Colour("#0072b2", "#56b4e9")
MARKS = {
    "hit": Colour("#a5decb", "#0a6049"),
    "missed": Colour("#fbdc9a", "#7a5600"),
    "extra": Colour("#edc9df", "#7b3a66"),
}


def mix(paper: str, colour: str, share: float) -> str:
    """Return `share` of a colour on paper.

    >>> mix("#ffffff", "#000000", 0.5)
    '#808080'
    """
    pairs = zip(_channels(paper), _channels(colour), strict=True)
    return "#" + "".join(f"{round(p + (c - p) * share):02x}" for p, c in pairs)


def shade(step: int) -> Colour:
    """Return the colour of a step from -STEPS (against) to STEPS (for); 0 is paper."""
    if step == 0:
        return PAPER
    full, share = FOR if step > 0 else AGAINST, LEAST + (1 - LEAST) * (abs(step) - 1) / (STEPS - 1)
    return Colour(mix(PAPER.light, full.light, share), mix(PAPER.dark, full.dark, share))


def contrast(one: str, other: str) -> float:
    """Return WCAG 2's contrast ratio of two colours, 1 to 21.

    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    darker, lighter = sorted(_luminance(c) for c in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    parts = [c / 255 for c in _channels(colour)]
    red, green, blue = (p / 12.92 if p <= LINEAR_BELOW else ((p + 0.055) / 1.055) ** GAMMA for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
