"""The picture of the README shows what the shipped model does, and stands alone."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from scripts.readme_picture import OUT, Fading, picture, read_fading
from tests.helpers.doc_blocks import ROOT

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_the_committed_picture_is_the_one_that_the_script_draws():
    assert OUT.read_text(encoding="utf-8") == picture(read_fading())


def test_the_readme_shows_it():
    assert f"]({OUT.relative_to(ROOT)})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_loads_nothing_and_can_be_read_without_being_seen_or_moved():
    text = OUT.read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text)
    assert not re.search(r"href|url\(|@import|<script|<image", text)
    assert tree.find(f"{SVG}title").text
    assert re.search(r"\d+ words go in; the last layer reads \d+\.", tree.find(f"{SVG}desc").text)
    still, moving = text.split("@media (prefers-reduced-motion:no-preference)")
    assert "animation" not in still
    assert "animation" in moving
    assert "@media (prefers-color-scheme:dark)" in still


def test_words_fade_when_their_layer_comes_and_markup_is_text():
    fading = Fading(("<b>", "fine", "."), (0, 2, 1), (False, True, False), "POS", 0.875)
    assert fading.counts == (3, 2, 1)
    tree = ElementTree.fromstring(picture(fading))
    groups = [g for g in tree.iter(f"{SVG}g") if g.get("class", "").startswith("w ")]
    words = {g.find(f"{SVG}text").text: g for g in groups}
    assert {word: g.get("class") for word, g in words.items()} == {"<b>": "w l0", "fine": "w l2", ".": "w l1"}
    assert [word for word, g in words.items() if g.find(f"{SVG}path") is not None] == ["fine"]
    boxes = [g for g in tree.iter(f"{SVG}g") if g.get("class", "").startswith("s ")]
    assert [g.findall(f"{SVG}text")[1].text for g in boxes] == ["3 words", "2 words", "1 words"]
    style = tree.find(f"{SVG}style").text
    gone = {k: float(x) for k, x in re.findall(r"@keyframes w(\d)\{0%,([\d.]+)%\{opacity:1\}", style)}
    assert gone["0"] < gone["1"]
    assert "w2" not in gone
