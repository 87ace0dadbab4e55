"""The picture in the browser's tab: three words, one of them marked."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rationale.templates.palette import BAR, FOR, GONE

SIDE = 32
BARS = ((GONE, 6, 20), (FOR, 14, 28), (BAR, 22, 16))  # colour, top, right end


def icon() -> Image.Image:
    """Return it, drawn here because Streamlit fetches its own icons from the network."""
    picture = np.zeros((SIDE, SIDE, 4), dtype=np.uint8)
    for colour, top, end in BARS:
        picture[top : top + 5, 4:end] = [*bytes.fromhex(colour.light[1:]), 255]
    return Image.fromarray(picture)
