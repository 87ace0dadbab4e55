"""The palette by computation: contrast after WCAG 2, distances as colour-blind readers see them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rationale.attribution import METHODS
from rationale.settings import CHOOSERS, DEFAULT_METHODS
from rationale.templates.palette import (
    AGAINST,
    BAR,
    COLOURS,
    FOR,
    GONE,
    INK,
    MARKS,
    METHODS_IN_ORDER,
    PANEL,
    PAPER,
    STEPS,
    UNSIGNED,
    contrast,
    look,
    shade,
    step_class,
    variables,
)
from tests.helpers.colour_vision import VISION, apart, lab

AA_TEXT = 4.5
CLEARLY = 15  # ΔE*ab: several times what is just noticed
STANDARD = (*CHOOSERS, *DEFAULT_METHODS)
themes = pytest.mark.parametrize("theme", ["light", "dark"])


@themes
def test_ink_is_legible_on_every_ground(theme):
    grounds = [shade(s) for s in range(-STEPS, STEPS + 1)] + [
        shade(s, signed=False) for s in range(STEPS + 1)
    ]
    grounds += [*MARKS.values(), PANEL]
    ink = getattr(INK, theme)
    assert min(contrast(ink, getattr(ground, theme)) for ground in grounds) >= AA_TEXT
    assert min(contrast(getattr(muted, theme), getattr(PAPER, theme)) for muted in (GONE, BAR)) >= AA_TEXT


@themes
@pytest.mark.parametrize("vision", VISION)
def test_for_against_and_unsigned_stay_apart_for_every_reader(theme, vision):
    hues = [getattr(c, theme) for c in (FOR, AGAINST, UNSIGNED)]
    assert min(apart(*pair, vision) for pair in combinations(hues, 2)) >= CLEARLY


@themes
@pytest.mark.parametrize("vision", VISION)
def test_marks_stay_apart_for_every_reader(theme, vision):
    marks = [getattr(c, theme) for c in MARKS.values()]
    assert min(apart(*pair, vision) for pair in combinations(marks, 2)) >= CLEARLY
    assert min(apart(m, getattr(PAPER, theme), vision) for m in marks) >= CLEARLY


@themes
def test_stronger_scores_stand_out_more(theme):
    paper = getattr(PAPER, theme)
    for ramp in ([shade(s) for s in range(STEPS + 1)], [shade(-s) for s in range(STEPS + 1)],
                 [shade(s, signed=False) for s in range(STEPS + 1)]):  # fmt: skip
        distances = [apart(getattr(c, theme), paper) for c in ramp]
        assert distances == sorted(distances)
        assert distances[0] == 0


@themes
def test_every_class_of_a_word_has_its_colour(theme):
    style = variables()
    for step in range(1, STEPS + 1):
        for signed, sign in ((True, 1), (True, -1), (False, 1)):
            found = style.split(f".{step_class(sign * step, signed)}{{background:")[1].split("}")[0]
            assert getattr(shade(sign * step, signed), theme) in found


def test_methods_keep_their_look_in_every_company():
    everyone = look([*METHODS, "a stranger"])
    assert len(set(everyone.values())) == len(METHODS) + 1
    assert set(METHODS) <= set(METHODS_IN_ORDER)
    for one, other in combinations(METHODS, 2):
        assert look([one, other, "a stranger"]).items() <= everyone.items()


def test_the_usual_methods_differ_in_colour_alone():
    colours = [colour for colour, _ in look(STANDARD).values()]
    assert len(set(colours)) == len(STANDARD)
    worst = min(apart(*pair, vision) for pair in combinations(colours, 2) for vision in VISION)
    assert worst >= 10
    assert min(contrast(c, "#ffffff") for c in colours) >= 1.9  # and the marker tells


def test_models_differ_in_colour_as_long_as_there_are_colours():
    looks = look(f"model {i}" for i in range(len(COLOURS)))
    assert [colour for colour, _ in looks.values()] == list(COLOURS)


def test_distances_are_those_of_the_standard():
    """White is L* 100; sRGB's red is (53.2, 80.1, 67.2); without red cones red is far darker."""
    assert lab("#ffffff") == pytest.approx(np.array([100, 0, 0]), abs=0.1)
    assert lab("#ff0000") == pytest.approx(np.array([53.2, 80.1, 67.2]), abs=0.1)
    assert lab("#ff0000", "protanopia")[0] < 45
    assert apart("#ff0000", "#00aa00", "deuteranopia") < apart("#ff0000", "#00aa00") / 2
