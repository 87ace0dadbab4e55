"""One headless Chromium for all tests of the viewer, and its pages; left out where there is none."""

from __future__ import annotations

import pytest

from tests.browser.serving import CHROMIUM, SIZES, WAIT_MS


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("needs chromium, chromium-browser or google-chrome on the path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright's Python client")
    with sync_api.sync_playwright() as playwright:
        resolved = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", resolved])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, url):
    """Pages of the module's server (`url`) that must fetch nothing from elsewhere and log no error."""
    contexts, faults = [], []

    def make(query="", size="wide", theme="light"):
        width, height = SIZES[size]
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on(
            "request",
            lambda r: None if r.url.startswith((url, "data:", "blob:", "ws:")) else faults.append(r.url),
        )
        page.on("response", lambda r: faults.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.goto(f"{url}/{query}")
        page.get_by_role("radio", name="Explain").or_(
            page.get_by_text("Explain", exact=True)
        ).first.wait_for()
        return page

    yield make
    for context in contexts:
        context.close()
    assert not faults
