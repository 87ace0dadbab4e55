"""The viewer in headless Chromium, with the shipped model: typing, sliding, comparing, clicking, downloading.

RATIONALE_SCREENSHOTS names a folder for the pictures of each page; times are printed (`pytest -s`).
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
from pathlib import Path

import pytest

from eraser.load import load
from tests.browser.serving import WAIT_MS, serving, shoot_all, violations
from tests.helpers.app.runs import write
from tests.helpers.app.stored import write_stored

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright's Python client")

REVIEW = (
    "I went in with low hopes and came out grinning . The plot is thin , and the villain never makes "
    "sense , but the cast is warm and funny , the songs stay with you , and the last half hour is a "
    "joy . Do not expect a masterpiece ; expect two hours of pure pleasure . My only complaint is "
    "the clumsy opening , which drags on far too long before anything happens . Still , this is one "
    "of the best comedies I have seen in years , and I would gladly watch it again tomorrow with all "
    "of my friends ."
)
REVIEWS = [f"{start} {REVIEW}" for start in ("Frankly ,", "Well ,", "Listen :", "Yes ,", "Surprise !")]
TOO_LONG_S = 20  # what is a fault on any machine; the aim is 1 s and 0.3 s on two idle cores


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A server of its own, stopped at the end."""
    folder = tmp_path_factory.mktemp("browser")
    write_stored(write(folder / "runs" / "one"), load("sample"))
    with serving(folder, "--run", folder / "runs") as server:
        yield server.url


def words(page):
    return page.locator(".w[data-i]")


def ready(page):
    """Wait until the model is loaded and warm: nobody types a review sooner."""
    words(page).first.wait_for()


def type_review(page, review=REVIEW):
    """Type a review; return the seconds until its words are on the page."""
    ready(page)
    box = page.get_by_label("Text", exact=True)
    box.fill(review)
    begin = time.perf_counter()
    box.press("Control+Enter")
    page.wait_for_function(FIRST_WORD, arg=review.split()[0])
    return time.perf_counter() - begin


def choose(page, label, option):
    """Choose in a list; return the seconds until the words are drawn anew."""
    page.get_by_role("combobox", name=label).click()
    before = page.evaluate(TEXT_OF)
    wanted = page.get_by_role("option", name=option, exact=True)
    wanted.wait_for()
    begin = time.perf_counter()
    wanted.click()
    page.wait_for_function(f"(before) => ({TEXT_OF})() !== before", arg=before)
    return time.perf_counter() - begin


TEXT_OF = """
() => [...document.querySelectorAll('*')].map((e) => e.shadowRoot?.querySelector('.text')?.innerHTML)
  .find(Boolean) ?? ''
"""
FIRST_WORD = """
(first) => [...document.querySelectorAll('*')].some(
  (e) => e.shadowRoot?.querySelector('.w[data-i="0"]')?.textContent === first)
"""


FADED = """
(before) => before !== [...document.querySelectorAll('*')].reduce(
  (n, e) => n + (e.shadowRoot?.querySelectorAll('.w.gone').length ?? 0), 0)
"""


def slide(page):
    """Move the layer slider one step by keyboard; return the seconds until other words have faded."""
    before = page.locator(".w.gone").count()
    slider = page.get_by_role("slider", name="Layer")
    begin = time.perf_counter()
    slider.press("ArrowRight")
    page.wait_for_function(
        FADED, arg=before
    )  # looks at every frame, where a locator would wait between looks
    return time.perf_counter() - begin


def open_speed(page):
    """Open the fold of speed, and wait until it is measured."""
    page.locator("[data-testid=stExpander] summary").filter(has_text="Speed").click()
    page.get_by_text("fastest of several calls").wait_for()


def open_exports(page):
    """Open the list of files; a page that is just being redrawn may close it again."""
    page.locator("[data-test-script-state=notRunning]").wait_for()  # files of a page that is redrawn may go
    button = page.get_by_role("button", name="Export")
    for _ in range(5):
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        page.wait_for_timeout(700)
        if button.get_attribute("aria-expanded") == "true":
            return
    raise AssertionError("the list of files does not open")


def download(page, name):
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).first.click()
    return Path(waiting.value.path()).read_bytes()


def test_type_slide_dial_compare_and_download(open_page):
    page = open_page()
    firsts = []
    for review in REVIEWS:
        firsts.append(type_review(page, review))
    switches = [slide(page) for _ in range(3)]
    methods = [choose(page, "Highlight by", m) for m in ("attention", "gradient_x_input", "survivors")]
    for what, times in {"first highlight": firsts, "layer": switches, "method": methods}.items():
        shown = ", ".join(f"{s:.2f}" for s in times)
        sys.stdout.write(f"\n{what}: median {statistics.median(times):.2f} s of {shown}")
    sys.stdout.write(f"\nload {', '.join(f'{x:.1f}' for x in os.getloadavg())}\n")
    assert max(*firsts, *switches, *methods) < TOO_LONG_S
    page.wait_for_url("**layer=3**")
    kept = words(page).count() - page.locator(".w.gone").count()
    open_speed(page)
    page.get_by_role("slider", name="Speed dial").press("ArrowRight")
    sync_api.expect(page.locator(".w.gone")).not_to_have_count(words(page).count() - kept, timeout=WAIT_MS)
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="attention", exact=True).click()
    page.keyboard.press("Escape")
    page.locator(".stack i").first.wait_for()
    shoot_all(page, "compare")
    open_exports(page)
    html = download(page, "HTML")
    assert html.startswith(b"<!doctype html>")
    assert b"<script" not in html
    assert download(page, "PNG").startswith(b"\x89PNG")
    assert b"\\colorbox" in download(page, "LaTeX")
    assert b'"annotation_id"' in download(page, "JSONL")


def test_words_are_clicked_and_walked_through_by_keyboard(open_page):
    page = open_page()
    type_review(page)
    words(page).filter(has_text=re.compile("^warm$")).click()
    page.get_by_text("With 1 word deleted").wait_for()
    assert page.locator(".w.out").inner_text() == "warm"
    page.locator(".w.out").press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "funny · score" in page.locator(".told").inner_text()
    page.keyboard.press("Enter")
    page.get_by_text("With 2 words deleted").wait_for()
    page.get_by_text("mask", exact=True).click()
    page.get_by_text("With 2 words masked").wait_for()
    assert page.locator(".w[tabindex='0']").count() == 1
    shoot_all(page, "taken-out")


def test_text_cannot_break_out(open_page):
    page = open_page()
    ready(page)
    box = page.get_by_label("Text", exact=True)
    box.fill('fine "><img src=x onerror=alert(1)> <script>alert(2)</script> שלום 👩\u200d💻 &amp; done')
    page.on("dialog", lambda d: pytest.fail(d.message))
    box.press("Control+Enter")
    page.wait_for_function(FIRST_WORD, arg="fine")
    assert words(page).last.inner_text() == "done"
    assert {"&", "amp", "<", "script"} <= set(words(page).all_inner_texts())
    assert page.locator(".text img, .text script").count() == 0


def test_a_shared_address_opens_the_same(open_page):
    page = open_page("?page=Explain&example=a001.txt&method=attention&layer=2")
    words(page).first.wait_for()
    assert "Lantern" in words(page).all_inner_texts()
    assert page.get_by_role("slider", name="Layer").input_value() == "2"


def test_a_class_is_chosen_and_kept_in_the_address(open_page):
    page = open_page("?page=Explain&example=a001.txt&method=gradient_x_input")
    words(page).first.wait_for()
    page.get_by_text("speaks for POS").wait_for()
    choose(page, "Class explained", "NEG")
    page.get_by_text("speaks for NEG").wait_for()
    page.wait_for_url("**class=NEG**")
    again = open_page(page.url.split("/")[-1])
    again.get_by_text("explained for NEG, not for POS").wait_for()


def test_a_runs_rationales_are_shown(open_page):
    page = open_page("?page=Annotators&source=run+one")
    page.get_by_text("Stored in run one: computed by a-model").wait_for()
    words(page).first.wait_for()
    choose(page, "Size of a rationale", "30 % of the words")
    page.get_by_role("combobox", name="Rationale by").click()
    page.get_by_role("option", name="lime (slow)", exact=True).click()
    page.wait_for_url("**method=lime**")
    shoot_all(page, "stored")


def test_annotators_browses_and_exports(open_page):
    page = open_page("?page=Annotators")
    words(page).first.wait_for()
    before = page.url
    page.get_by_role("button", name="Next").click()
    page.wait_for_function("u => location.href !== u", arg=before)
    assert "example=" in page.url
    page.locator(".hit, .missed").first.wait_for()
    open_exports(page)
    lines = download(page, "All 40 that pass, official JSONL")
    assert lines.count(b"\n") == 40


def test_a_mark_of_a_figure_tells_its_numbers(open_page):
    page = open_page("?page=Scores&tab=Figures")
    chart = page.locator("[data-testid=stVegaLiteChart]").first
    chart.locator("canvas, svg").first.wait_for()
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    told = page.locator("#vg-tooltip-element")
    for step in range(0, int(box["height"]), 6):  # less than a mark is high, and wide
        for along in range(0, int(box["width"]), 8):
            page.mouse.move(box["x"] + along, box["y"] + step)
            if told.count() and "average precision" in told.inner_text():
                return
    raise AssertionError("no mark tells its numbers")


def test_scores_and_speed_give_their_figures(open_page):
    page = open_page("?page=Scores&tab=Figures")
    page.locator("[data-testid=stVegaLiteChart]").first.wait_for()
    assert download(page, "PNG").startswith(b"\x89PNG")
    assert download(page, "SVG").startswith(b"<?xml")
    assert b"method,budget,metric" in download(page, "CSV")
    page = open_page("?page=Speed&part=Where+the+FLOPs+go")
    page.locator(".picture img").first.wait_for()
    assert b"layer,tokens,dense" in download(page, "CSV")


READY = {
    "Explain": ".w[data-i]",
    "Annotators": ".w[data-i]",
    "Errors": ".verdict",
    "Scores": "[data-testid=stDataFrame]",
    "Speed": ".picture img",
}
QUERIES = {"Explain": "&example=a001.txt&layer=2", "Speed": "&part=Where+the+FLOPs+go"}


@pytest.mark.parametrize(("size", "theme"), [("wide", "light"), ("narrow", "dark")])
@pytest.mark.parametrize("name", READY)
def test_every_page_wide_and_light_or_narrow_and_dark(open_page, name, size, theme):
    page = open_page(f"?page={name}{QUERIES.get(name, '')}", size, theme)
    page.locator(READY[name]).first.wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()
    assert violations(page) == []
    shoot_all(page, f"{name.lower()}-{size}-{theme}")
