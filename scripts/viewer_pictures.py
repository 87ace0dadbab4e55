"""Take the documentation's pictures of the viewer, in headless Chromium, with the shipped model.

python -m scripts.viewer_pictures explain            writes docs/img/viewer-explain.png
python -m scripts.viewer_pictures annotators speed scores --run runs
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from PIL import Image

from tests.browser.serving import CHROMIUM, WAIT_MS, serving

OUT = Path(__file__).parents[1] / "docs" / "img"
SIZE = {"width": 1200, "height": 900}
PAGES = {  # what each page's picture waits for, and its address
    "explain": (".w[data-i]", "?layer=2"),
    "annotators": (".w[data-i]", "?page=Annotators"),
    "scores": ("[data-testid=stDataFrame]", "?page=Scores"),
    "speed": (".picture img", "?page=Speed&part=Where+the+FLOPs+go"),
}
COLOURS = 128  # of a picture: a third of its bytes
SETTLED_MS = 1500  # after the last run of the page


def take(page: Any, url: str, name: str) -> None:
    """Write the picture of one page."""
    wait, query = PAGES[name]
    page.goto(f"{url}/{query}")
    page.locator(wait).first.wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(SETTLED_MS)
    with Image.open(BytesIO(page.screenshot())) as picture:
        picture.quantize(COLOURS).save(OUT / f"viewer-{name}.png", optimize=True)
    typer.echo(f"docs/img/viewer-{name}.png")


def main(
    names: Annotated[list[str], typer.Argument(help=f"Pages: {', '.join(PAGES)}.")],
    run: Annotated[Path | None, typer.Option(help="Folder of runs, for the page Scores.")] = None,
) -> None:
    """Take the pictures of some pages."""
    from playwright.sync_api import sync_playwright

    options = [] if run is None else ["--run", run.resolve()]
    with (
        TemporaryDirectory() as folder,
        serving(Path(folder), *options) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.set_default_timeout(WAIT_MS)
        for name in names:
            take(page, server.url, name)


if __name__ == "__main__":
    typer.run(main)
