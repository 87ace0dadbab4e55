"""The report in headless Chromium: wide and narrow, light and dark, on paper.

RATIONALE_SCREENSHOTS names a folder for the pictures.
"""

from __future__ import annotations

import pytest

from rationale.attribution import METHODS
from rationale.report.write import write_run
from tests.browser.serving import shoot
from tests.helpers.made_runs import made

pytestmark = [pytest.mark.slow, pytest.mark.figures]
MOST_PIXELS = 4000  # before anything is unfolded


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of all methods, twelve examples, scores that differ."""
    folder = tmp_path_factory.mktemp("report")
    scores = {
        m: [[(j * (i + 3) + k) % 7 + 0.1 * j for j in range(12)] for k in range(12)]
        for i, m in enumerate(METHODS)
    }
    write_run(*made(scores, [{k % 12, (k + 1) % 12} for k in range(12)]), folder)
    return folder / "report.html"


@pytest.fixture
def opened(chromium, report):
    contexts, asked = [], []

    def make(width, theme="light", media="screen"):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda r: None if r.url.startswith(("data:", "file:")) else asked.append(r.url))
        page.on("console", lambda m: asked.append(m.text) if m.type == "error" else None)
        page.emulate_media(media=media, color_scheme=theme)
        page.goto(report.as_uri())
        return page

    yield make
    for context in contexts:
        context.close()
    assert asked == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_asks_for_nothing_and_is_short(opened, width, theme):
    page = opened(width, theme)
    height, wide = page.evaluate(
        "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
    )
    assert wide == width
    assert page.locator("details[open]").count() == 0
    assert height < MOST_PIXELS
    if width == 1280:
        assert page.evaluate("(() => { const e = document.querySelector('.heat').parentElement;"
                             " return e.scrollWidth <= e.clientWidth })()")  # fmt: skip
    shoot(page, f"report-{width}-{theme}")


def test_intervals_are_shown_on_demand(opened):
    page = opened(1280)
    first = page.locator(".heat .interval").first
    assert not first.is_visible()
    page.get_by_label("Show intervals").check()
    assert first.is_visible()


def test_on_paper_everything_is_unfolded(opened):
    page = opened(794, media="print")
    assert page.get_by_text("All settings and versions").is_visible()
    assert page.get_by_role("cell", name="budgets, with their numbers").is_visible()
    assert not page.locator("nav").is_visible()
    shoot(page, "report-print")
