"""Names beside the marks of a scatter, where they cover nothing."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.layout_engine import ConstrainedLayoutEngine

from eraser.types import Floats

FONT, INK = 7.5, "#222222"  # size in points, colour
NEAR = 6  # points; a name further from its mark is joined to it by a line
DISTANCES = (NEAR, 12, 20, 30, 42, 56, 72)
SIDES = ((1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
ANCHORS = {1: ("left", "bottom"), -1: ("right", "top"), 0: ("center", "center")}
MARK, BAR, GAP = 4.0, 1.0, 1.5  # half a mark, half a bar, the room around a name, points
OUTSIDE, ON_TEXT, ON_MARK, ON_BAR, CROSSED, FAR = 40.0, 41.0, 40.0, 20.0, 3.0, 0.02  # what a place costs

# A box is (left, bottom, right, top) in pixels; boxes [N,4].


def label_marks(axes: Axes) -> Axes:
    """Write beside each mark of `scatter` its name, at the place nearby that covers least.

    All that takes room on the figure must have been drawn before: it is laid out here, once and for all.
    """
    figure = axes.figure
    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        figure.draw_without_rendering()  # type: ignore[union-attr]
        figure.set_layout_engine("none")  # type: ignore[union-attr]
    pixels = figure.dpi / 72
    marks = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    points = [axes.transData.transform(np.asarray(mark.lines[0].get_xydata()))[0] for mark in marks]
    frame = np.array(axes.get_window_extent().extents)
    taken = [(_around(p, MARK * pixels), ON_MARK) for p in points]
    taken += [(box, ON_BAR) for mark in marks for box in _bars(axes, mark, BAR * pixels)]
    places = [(side, far) for far, side in product(DISTANCES, SIDES)]
    for i in sorted(range(len(marks)), key=lambda i: -points[i][1]):
        name = str(marks[i].get_label())
        size = _size(axes, name) + GAP * pixels
        boxes = np.array([_box(points[i], size, side, far * pixels) for side, far in places])
        lines = _lines(points[i], boxes)
        costs = _costs(boxes, lines, taken, frame) + FAR * np.array([far for _, far in places])
        best = int(np.argmin(costs))
        _write(axes, marks[i], name, *places[best])
        taken.append((boxes[best] + np.array([-1, -1, 1, 1]) * GAP * pixels, ON_TEXT))
        taken += [(_around(p, BAR * pixels), ON_BAR) for p in lines[best]]
    return axes


def _around(point: Floats, half: float) -> Floats:
    """Return the box around a point."""
    return np.array([*(point - half), *(point + half)])


def _bars(axes: Axes, mark: ErrorbarContainer, half: float) -> list[Floats]:
    """Return the boxes of a mark's error bars."""
    ends = [axes.transData.transform(s) for bars in mark.lines[2] for s in bars.get_segments()]
    return [np.array([*(e.min(0) - half), *(e.max(0) + half)]) for e in ends]


def _size(axes: Axes, name: str) -> Floats:
    """Return the width and height of a name."""
    text = axes.text(0, 0, name, fontsize=FONT, transform=axes.transAxes, parse_math=False)
    box = text.get_window_extent()
    text.remove()
    return np.array([box.width, box.height])


def _box(point: Floats, size: Floats, side: tuple[int, int], far: float) -> Floats:
    """Return the box of a name on that side of a point."""
    direction = np.array(side)
    middle = point + direction * (far / np.linalg.norm(direction) + size / 2)
    return np.concatenate([middle - size / 2, middle + size / 2])


def _overlap(boxes: Floats, other: Floats) -> Floats:
    """Return the share of each box that lies on another [N]."""
    low, high = np.maximum(boxes[:, :2], other[:2]), np.minimum(boxes[:, 2:], other[2:])
    areas = np.prod(np.clip(high - low, 0, None), axis=1)
    share: Floats = areas / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return share


def _lines(point: Floats, boxes: Floats) -> Floats:
    """Return points on the way from a mark to each box [N,9,2]."""
    ends = np.clip(point, boxes[:, :2], boxes[:, 2:])
    way: Floats = point + (ends - point)[:, None] * np.linspace(0, 1, 9)[None, :, None]
    return way


def _costs(boxes: Floats, lines: Floats, taken: list[tuple[Floats, float]], frame: Floats) -> Floats:
    """Return what each box covers, by weight, and whether its line crosses a name."""
    covered = sum((weight * _overlap(boxes, other) for other, weight in taken), np.zeros(len(boxes)))
    for name in (other for other, weight in taken if weight == ON_TEXT):
        inside = np.logical_and(lines >= name[:2], lines <= name[2:]).all(axis=2)
        covered = covered + CROSSED * np.any(inside, axis=1)
    return covered + OUTSIDE * (1 - _overlap(boxes, frame))


def _write(axes: Axes, mark: ErrorbarContainer, name: str, side: tuple[int, int], far: float) -> None:
    line = mark.lines[0]
    join: Any = {"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    join["relpos"] = ((1 - side[0]) / 2, (1 - side[1]) / 2)  # where on the name it begins: nearest the mark
    axes.annotate(
        name,
        xy=tuple(np.asarray(line.get_xydata())[0]),
        xytext=tuple(np.array(side) * far / np.linalg.norm(side)),
        textcoords="offset points",
        ha=ANCHORS[side[0]][0],
        va=ANCHORS[side[1]][1],
        fontsize=FONT,
        color=INK,
        annotation_clip=False,
        parse_math=False,
        arrowprops=join if far > NEAR else None,
    )
