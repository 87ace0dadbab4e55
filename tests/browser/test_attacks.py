"""Strangers' files and pages against the viewer, in headless Chromium: nothing is fetched, run or followed.

The viewer is started in a folder with modules, a package `app` and settings of a stranger's own.
"""

from __future__ import annotations

import json
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pandas as pd
import pytest

from eraser.load import load
from tests.browser.serving import listens, serving, shoot
from tests.helpers.app.runs import write
from tests.helpers.app.stored import write_stored
from tests.helpers.eraser.prediction_files import annotation, write_source

pytestmark = pytest.mark.slow
WAIT_MS = 90_000
SETTINGS = """
[server]
address = "0.0.0.0"
enableCORS = false
enableXsrfProtection = false
enableStaticServing = true
corsAllowedOrigins = ["http://evil.example"]
baseUrlPath = "elsewhere"
[browser]
serverAddress = "evil.example"
[theme]
font = "http://127.0.0.1:{port}/font.woff2"
"""
IN_A_NAME = "![x](x.png) <img src=x.png>"


class Listener(BaseHTTPRequestHandler):
    """Keeps what it is asked for; it is where hostile texts point, and the page of another site."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title>")

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        server.asked = []
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def hostile(elsewhere):
    at = f"http://127.0.0.1:{elsewhere.server_port}"
    return (
        f"![x]({at}/x.png)", f"[a]({at}/a)", f"<img/src={at}/y.png>", f"{at}/z", f"<a/href={at}/b>b</a>",
        f"<script>fetch('{at}/s')</script>",
    )  # fmt: skip


def write_texts(folder, texts):
    """A data set of which ids and words are hostile."""
    for split in ("train", "val", "test"):
        ids = [f"{split}{n} {text}" for n, text in enumerate(texts)]
        docs = {f"{split}{n}": f"a warm {text} film" for n, text in enumerate(texts)}
        labels = ("POS", "NEG") * len(texts)
        rows = [annotation(i, label, (d, 1, 2)) for i, d, label in zip(ids, docs, labels, strict=False)]
        write_source(folder, rows, docs, split)


def write_hostile_run(folder, texts, data):
    write(folder, texts)
    stored = write_stored(folder.with_name("other"), data, (IN_A_NAME,))
    (stored / "predictions").rename(folder / "predictions")
    pd.DataFrame({"community": texts, "n": 1, texts[0]: 2}).to_csv(folder / "fairness.csv", index=False)
    facts = json.loads((folder / "scores.json").read_text())
    image = texts[0]
    settings = facts["run"]["settings"] | dict.fromkeys(("dataset", "split", "model", "target"), image)
    facts["run"] |= {"settings": settings, "device": image, "intervals": image, "notes": [image]}
    (folder / "scores.json").write_text(json.dumps(facts))


def write_wrong_runs(folder, secret):
    """Runs of the wrong shape, and one whose table is a link that leads out."""
    (folder / "wrong-table").mkdir(parents=True)
    (folder / "wrong-table" / "scores.csv").write_text("method\n[1, {\n")
    write(folder / "wrong-facts")
    (folder / "wrong-facts" / "scores.json").write_text('[{"run": 3}]')
    write(folder / "link")
    (folder / "link" / "scores.csv").rename(secret)
    (folder / "link" / "scores.csv").symlink_to(secret)


@pytest.fixture(scope="module")
def server(tmp_path_factory, elsewhere):
    folder = tmp_path_factory.mktemp("attacked")
    here, texts = folder / "here", hostile(elsewhere)
    for name in ("app/__init__", "streamlit", "torch", "starlette"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / f"{name}.py").write_text(f"open({str(folder / 'marks')!r}, 'a').write({name!r})\n")
    (here / ".streamlit").mkdir()
    (here / ".streamlit" / "config.toml").write_text(SETTINGS.format(port=elsewhere.server_port))
    write_texts(here / "data", texts)
    data = load("movies", here / "data")
    write_hostile_run(here / "runs" / f"a {IN_A_NAME}", texts, data)
    write_wrong_runs(here / "runs", folder / "secret.csv")
    options = ("--run", "runs", "--dataset", "movies", "--data", "data")
    with serving(folder, *options, here=here) as found:
        yield found
    assert not (folder / "marks").exists(), (folder / "marks").read_text()


@pytest.fixture
def page(chromium, server):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    yield page
    context.close()


def opened(page, server, query, text):
    """Open a page; wait until it shows a text, and is done."""
    page.goto(f"{server.url}/{query}")
    page.get_by_text(text).first.wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(500)  # in which an image would be asked for


def links(page, elsewhere):
    """Whatever in the page, shadow roots too, points at the listener."""
    return page.evaluate(
        """(port) => {
        const all = (root) => [...root.querySelectorAll('*')].flatMap(
          (e) => e.shadowRoot ? [e, ...all(e.shadowRoot)] : [e]);
        return all(document).filter((e) => `${e.src ?? ''} ${e.href ?? ''}`.includes(`:${port}/`))
          .map((e) => e.outerHTML) }""",
        elsewhere.server_port,
    )


@pytest.mark.parametrize("tab", ["Table", "Figures", "Annotators+and+communities"])
def test_a_hostile_run_is_shown_as_it_is(page, server, elsewhere, tab):
    opened(page, server, f"?page=Scores&tab={tab}", f"a {IN_A_NAME}")
    shoot(page, f"attack-scores-{tab.split('+')[0].lower()}")
    assert page.get_by_text(hostile(elsewhere)[0]).count()
    assert not links(page, elsewhere)
    assert not elsewhere.asked


@pytest.mark.parametrize("source", ["", f"&source=run+a+{IN_A_NAME.replace(' ', '+')}"])
def test_hostile_texts_and_ids_are_shown_as_they_are(page, server, elsewhere, source):
    opened(page, server, f"?page=Annotators{source}", "words annotators marked")
    page.locator(".w[data-i]").first.wait_for()
    shoot(page, f"attack-annotators-{'run' if source else 'model'}")
    assert page.get_by_role("combobox", name="Example", exact=True).input_value().startswith("test0 ![x](")
    assert "".join(page.locator(".w[data-i]").all_inner_texts()).count(hostile(elsewhere)[0]) == 1
    assert not links(page, elsewhere)
    assert not elsewhere.asked


@pytest.mark.parametrize("name", ["wrong-table", "wrong-facts"])
def test_a_wrong_run_is_told(page, server, name):
    opened(page, server, "?page=Scores", f"a {IN_A_NAME}")
    page.get_by_role("combobox", name="Runs").click()
    options = page.get_by_role("option")
    options.filter(has_text="wrong-table").wait_for()
    assert not options.filter(has_text="link").count()  # a run whose table lies elsewhere is none
    options.filter(has_text=name).click()
    page.get_by_text("A run cannot be read.").wait_for()
    told = page.locator("[data-testid=stCode]").first.inner_text()
    assert "this run cannot be read: " in told
    assert "Traceback" not in page.locator("body").inner_text()


def test_a_page_under_another_name_is_refused(page, server):
    """The name of another site that was given this machine's address."""
    answer = page.goto(f"http://evil.example:{server.port}/")
    assert answer.status == 403
    assert "answers this machine's own pages alone" in page.locator("body").inner_text()


SOCKET = """(address) => new Promise((done) => {
  const socket = new WebSocket(address);
  socket.onopen = () => done('open');
  socket.onerror = () => done('refused');
})"""


def test_a_page_of_another_site_gets_no_websocket(page, server, elsewhere):
    stream = f"ws://localhost:{server.port}/_stcore/stream"
    page.goto(f"http://evil.example:{elsewhere.server_port}/site")
    assert page.evaluate(SOCKET, stream) == "refused"
    assert page.evaluate(SOCKET, stream.replace("localhost", "evil.example")) == "refused"
    elsewhere.asked.clear()
    opened(page, server, "", "Which words decided?")
    assert page.evaluate(SOCKET, stream) == "open"  # of the viewer's own page


def test_a_stopped_command_leaves_nobody_listening(page, tmp_path):
    with serving(tmp_path) as server:
        opened(page, server, "", "Which words decided?")
        server.command.send_signal(signal.SIGTERM)
        assert server.command.wait(30) == 128 + signal.SIGTERM
        assert not listens(server.port)
