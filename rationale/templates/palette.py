"""The one palette of viewer, report, notebooks and exports, in light and in dark.

Signed scores are orange (for) and blue (against), scores without a sign violet; marks are green (hit), yellow
(missed) and pale violet (extra). All are thinned until ink on them passes WCAG 2's contrast of 4.5, and stay
apart for colour-blind readers; tests compute both. Methods keep their colour and marker in every figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

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
UNSIGNED = Colour("#a78bfa", "#7a3fd0")  # how much a word counts, without for or against
BAR = Colour("#0072b2", "#56b4e9")
MARKS = {
    "hit": Colour("#6fc3a3", "#0b6b50"),
    "missed": Colour("#fbdc9a", "#7a5600"),
    "extra": Colour("#d9cdf2", "#5a3f8a"),
}

# Okabe and Ito's colours and two of Tol's, told apart by colour-blind readers; markers tell in grey
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999999",
    "#882255",
    "#44AA99",
)
MARKERS = "osD^vP*Xph"
HATCHES = ("", "///", "xxx", "...")  # of bars, told apart in grey
Look = tuple[str, str]  # colour and marker

# What are most often drawn together stand first, each in a colour of its own; later rows take another marker.
METHODS_IN_ORDER = (
    "survivors", "integrated_gradients", "attention", "kernel_shap", "leave_one_out", "contribution",
    "rollout", "random", "gradient_x_input", "saliency",
    "attention_max", "deeplift", "attention_layers", "gradient_shap", "occlusion", "gim",
    "attn_lrp", "position", "lime", "value_norm",
    "attention_x_gradient", "gradient_x_input_l1", "gradient_x_input_l2", "learned",
)  # fmt: skip


def _looks() -> tuple[Look, ...]:
    """Return every pair of colour and marker once, all colours before a colour comes again."""
    n, m = len(COLOURS), len(MARKERS)
    return tuple((COLOURS[i % n], MARKERS[(i + i // n) % m]) for i in range(n * m))


LOOKS = _looks()
RESERVED = 36  # looks for methods of ours, there or to come: a new one leaves other names as they are
KNOWN = dict(zip(METHODS_IN_ORDER, LOOKS, strict=False))


def look(names: Iterable[str]) -> dict[str, Look]:
    """Return each method's or model's colour and marker: a known method's are the same everywhere.

    Beside methods, other names take theirs by what they are called, and the next that is free where two would
    look alike. Where no method is among them (models, rules), they are dealt out in order. Up to 100 differ.
    """
    asked = sorted(set(names))
    if not any(name in KNOWN for name in asked):
        return {name: LOOKS[i % len(LOOKS)] for i, name in enumerate(asked)}
    found = {name: KNOWN[name] for name in asked if name in KNOWN}
    for name in asked:
        if name not in found:
            found[name] = _free(name, set(found.values()))
    return found


def _free(name: str, taken: set[Look]) -> Look:
    """Return the look of a name that is not known: never a known method's while others are free."""
    own = LOOKS[RESERVED:]
    start = crc32(name.encode("utf-8", "surrogatepass")) % len(own)
    order = (*own[start:], *own[:start], *LOOKS)
    return next((one for one in order if one not in taken), own[start])


def mix(paper: str, colour: str, share: float) -> str:
    """Return `share` of a colour on paper.

    >>> mix("#ffffff", "#000000", 0.5)
    '#808080'
    """
    pairs = zip(channels(paper), channels(colour), strict=True)
    return "#" + "".join(f"{round(p + (c - p) * share):02x}" for p, c in pairs)


def shade(step: int, signed: bool = True) -> Colour:
    """Return the colour of a step from -STEPS (against) to STEPS (for); 0 is paper.

    Scores without a sign have a hue of their own.
    """
    if step == 0:
        return PAPER
    full = (FOR if step > 0 else AGAINST) if signed else UNSIGNED
    share = LEAST + (1 - LEAST) * (abs(step) - 1) / (STEPS - 1)
    return Colour(mix(PAPER.light, full.light, share), mix(PAPER.dark, full.dark, share))


def step_class(step: int, signed: bool = True) -> str:
    """Return the CSS class of a step: p1 to p8 for, n1 to n8 against, u1 to u8 without a sign; "" for 0.

    >>> step_class(3), step_class(-2), step_class(8, signed=False), step_class(0)
    ('p3', 'n2', 'u8', '')
    """
    if step == 0:
        return ""
    sign = "p" if step > 0 else "n"
    return f"{sign if signed else 'u'}{abs(step)}"


def variables() -> str:
    """Return the colours as CSS, for a page (:root) and for a part with styles of its own (:host)."""
    named = {"paper": PAPER, "panel": PANEL, "ink": INK, "gone": GONE, "line": LINE, "bar": BAR}
    named |= {"for": FOR, "against": AGAINST, "unsigned": UNSIGNED, **MARKS}
    shades = "".join(
        f".{step_class(s, signed)}{{background:{shade(s, signed).css}}}"
        for s, signed in (
            *((s, True) for s in range(-STEPS, STEPS + 1) if s),
            *((s, False) for s in range(1, STEPS + 1)),
        )
    )
    return f":root,:host{{{''.join(f'--{name}:{c.css};' for name, c in named.items())}}}{shades}"


def contrast(one: str, other: str) -> float:
    """Return WCAG 2's contrast ratio of two colours, 1 to 21.

    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    darker, lighter = sorted(_luminance(c) for c in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def channels(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue of #rrggbb, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def linear(colour: str) -> tuple[float, float, float]:
    """Return red, green and blue of #rrggbb as light, 0 to 1."""
    parts = (c / 255 for c in channels(colour))
    red, green, blue = (p / 12.92 if p <= LINEAR_BELOW else ((p + 0.055) / 1.055) ** GAMMA for p in parts)
    return red, green, blue


def _luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
