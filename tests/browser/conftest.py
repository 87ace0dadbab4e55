"""One headless Chromium for all tests of the viewer; they are left out where there is none."""

from __future__ import annotations

import pytest

from tests.browser.serving import CHROMIUM


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
