"""A first walk over the page Explain, wide and on a phone, light and dark, with the shipped model."""

from __future__ import annotations

import re

import pytest

from tests.browser.serving import SIZES, serving, shoot, shoot_all, violations

pytestmark = pytest.mark.slow
WALKS = [(size, theme) for size in SIZES for theme in ("light", "dark")]
SCRUB = """
(layer) => {
  const roots = [...document.querySelectorAll('*')].map((e) => e.shadowRoot);
  const root = roots.find((r) => r?.querySelector('.layers'));
  const slider = root.querySelector('.layers input');
  slider.value = layer;
  slider.dispatchEvent(new Event('input'));
  return root.querySelectorAll('.w.gone').length;
}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("explained")) as server:
        yield server.url


def words(page):
    return page.locator(".w[data-i]")


def settled(page):
    page.wait_for_timeout(500)
    page.locator("[data-test-script-state=notRunning]").wait_for()


@pytest.mark.parametrize(("size", "theme"), WALKS)
def test_a_first_walk(open_page, size, theme):
    page = open_page("", size, theme)
    words(page).first.wait_for()
    settled(page)
    shoot(page, f"first-{size}-{theme}")
    for place in (page.locator(".verdict"), words(page).filter(has_text=re.compile("^joy$"))):
        box = place.first.bounding_box()
        assert box["y"] + box["height"] < page.viewport_size["height"]  # above the fold
    assert float(words(page).first.evaluate("e => getComputedStyle(e).fontSize").rstrip("px")) >= 18
    page.get_by_text("the model agrees").wait_for()

    words(page).filter(has_text=re.compile("^joy$")).click()
    page.get_by_text("With 1 word deleted").wait_for()
    settled(page)
    assert re.match(r"(POS|NEG) 0\.\d{3} \([+-]0\.\d{3}\)", page.locator(".beside .answer-now").inner_text())
    shoot(page, f"clicked-{size}-{theme}")
    page.get_by_label("Replace the word by").fill("bore")
    page.get_by_label("Replace the word by").press("Enter")
    page.get_by_text("With 1 word replaced").wait_for()
    assert page.locator(".w.new").inner_text() == "bore"
    page.keyboard.press("Escape")
    assert page.locator(".beside").is_hidden()
    page.get_by_text("Two versions").click()
    page.get_by_role("heading", name="After").wait_for()
    settled(page)
    assert violations(page, ".w", "data-i") == []
    shoot_all(page, f"versions-{size}-{theme}")
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("With 1 word deleted").wait_for()


def test_layers_are_scrubbed_without_the_server(open_page, url):
    page = open_page()
    words(page).first.wait_for()
    settled(page)
    gone = [page.evaluate(SCRUB, layer) for layer in range(7)]  # each within one turn of the page's own clock
    assert gone == sorted(gone)
    assert gone[0] == 0 < gone[6] < words(page).count()
    page.get_by_role("button", name="Play the layers").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_text(re.compile("^layer 6 of 6")).wait_for()
    page.get_by_role("button", name="Play the layers").wait_for()
    page.wait_for_url("**layer=6**")


def test_the_fewest_words_that_flip_the_answer_are_found_and_shared(open_page, url):
    page = open_page()
    words(page).first.wait_for()
    page.get_by_role("button", name="Find a minimal flip").click()
    page.get_by_text("the answer is NEG").wait_for()
    page.locator(".w.out").first.wait_for()  # the words are drawn after the answer
    out = page.locator(".w.out").all_inner_texts()
    assert 1 <= len(out) <= 25
    page.wait_for_url("**edits=**")
    again = open_page(page.url.split("/")[-1])
    again.locator(".w.out").first.wait_for()
    assert again.locator(".w.out").all_inner_texts() == out
    assert again.locator(".answer .verdict").inner_text().startswith("NEG")


def test_the_keyboard_reaches_the_words_and_what_stands_beside_one(open_page):
    page = open_page()
    words(page).first.wait_for()
    settled(page)
    words(page).first.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.get_by_text("With 1 word deleted").wait_for()
    settled(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("train")
    page.keyboard.press("Enter")
    page.get_by_text("With 1 word replaced").wait_for()
    words(page).nth(2).filter(has_text="train").wait_for()  # drawn after the answer
    assert words(page).nth(2).inner_text() == "train"
