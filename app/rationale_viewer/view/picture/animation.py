"""The layers as a moving picture: words fade as the model drops them. GIF, WebP, and a page without a script.

Axes: L layer, W word; the first of L+1 is the text as it comes in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

from markupsafe import Markup
from PIL import Image

from eraser.types import Mask
from rationale_viewer.view.html import page
from rationale_viewer.view.picture.card import Card, drawn

BEAT_MS, HOLD_MS = 900, 2400  # of each layer, and of the last
SHRUNK = 2  # times smaller than a card
COLOURS = 128  # of a GIF


def frames(card: Card, kept: Mask) -> Iterator[Card]:
    """Yield the card of each layer [L+1,W], which says how many words are left."""
    depth, n = len(kept) - 1, len(card.words)
    for layer in range(depth + 1):
        left = int(kept[layer].sum())
        foot = f"{n} words go in" if layer == 0 else f"layer {layer} of {depth}: {left} of {n} words"
        yield replace(card, kept=kept[layer], foot=foot)


def _pictures(card: Card, kept: Mask) -> list[Image.Image]:
    found = [drawn(frame) for frame in frames(card, kept)]
    return [picture.reduce(SHRUNK) for picture in found]


def _beats(n: int) -> list[int]:
    return [BEAT_MS] * (n - 1) + [HOLD_MS]


def as_gif(card: Card, kept: Mask) -> bytes:
    """Return the layers as a GIF that begins again at its end."""
    first, *rest = [p.quantize(COLOURS) for p in _pictures(card, kept)]
    buffer = BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=_beats(len(rest) + 1), loop=0)
    return buffer.getvalue()


def as_webp(card: Card, kept: Mask) -> bytes:
    """Return the layers as an animated WebP that begins again at its end."""
    first, *rest = _pictures(card, kept)
    buffer, beats = BytesIO(), _beats(len(rest) + 1)
    first.save(buffer, "WEBP", save_all=True, append_images=rest, duration=beats, loop=0, quality=85)
    return buffer.getvalue()


def as_html(title: str, body: Markup, legend: Markup, kept: Mask) -> str:
    """Return a page on which the words fade by themselves; its box stops them, no script is in it.

    Where a reader wants no motion, the page stands still with the last layer's words.
    """
    head = Markup("<h1>{}</h1>").format(title)
    box = Markup('<p><input type="checkbox" id="stop"> <label for="stop">pause</label></p>')
    return str(page(title, head + legend + box + body, _motion(kept)))


def _motion(kept: Mask) -> str:
    """Return the style in which each word fades after its last layer [L+1,W]."""
    depth = len(kept) - 1
    whole = BEAT_MS * depth + HOLD_MS
    lived = kept[1:].sum(0)
    rules = []
    for layer in range(depth):
        words = ",".join(f'.w[data-i="{i}"]' for i in (lived == layer).nonzero()[0])
        at = 100 * BEAT_MS * (layer + 1) / whole
        if words:
            rules.append(f"@keyframes f{layer}{{0%,{at - 2:.1f}%{{opacity:1}}{at:.1f}%,100%{{opacity:.25}}}}")
            rules.append(f"{words}{{animation:f{layer} {whole}ms infinite;opacity:.25}}")
    still = "p:has(#stop:checked)~* .w{animation:none}"
    return "".join(rules) + still + "@media (prefers-reduced-motion:reduce){.w{animation:none!important}}"
