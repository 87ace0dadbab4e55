"""Fetching from a real HTTP server on this machine; the archives are made here too."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eraser import download
from eraser.data.catalog import ARCHIVES, Archive, Status, cache_dir, cached, status
from eraser.download import fetch, unpack
from eraser.errors import InputError
from eraser.load import load

Headers = dict[str, str | None]


@dataclass
class File:
    """What the server does with one address."""

    data: bytes = b""
    etag: str | None = '"one"'
    modified: str | None = None
    cuts: list[int] = field(default_factory=list)  # for each request in turn: close after so many bytes
    ranges: bool = True
    length: int | None = None  # the wrong one; -1: none
    status: int = 200
    location: str | None = None
    stalls: bool = False  # when half is sent nothing more comes


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        file = self.server.files.get(self.path, File(status=404))
        asked, version, n = self.headers.get("Range"), self.headers.get("If-Range"), len(file.data)
        self.server.asked.append((self.path, asked, version))
        if file.status != 200:
            self.answer(file.status, {"Location": file.location, "Content-Length": "0"})
            return
        headers: Headers = {"ETag": file.etag, "Last-Modified": file.modified}
        start = 0
        if asked and file.ranges and version in (file.etag, file.modified):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{n - 1}/{n}" if start < n else f"bytes */{n}"
        headers["Content-Length"] = None if file.length == -1 else str(file.length or n - start)
        self.answer(416 if n and start == n else 206 if start else 200, headers)
        data = file.data[start:]
        self.wfile.write(data[: n // 2 if file.stalls else file.cuts.pop(0) if file.cuts else n])
        if file.stalls:
            self.server.stop.wait(10)

    def answer(self, code: int, headers: Headers) -> None:
        self.send_response(code)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, File] = {}
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.stop = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("RATIONALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSES_S", (0.0, 0.0, 0.0))
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


def tar_of(members: dict[str, bytes], *odd: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in odd:
            tar.addfile(info)
    return out.getvalue()


def with_odd(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> File:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return File(tar_of(toy_files(), info))


def toy_files(folder: str = "toy", n: int = 3) -> dict[str, bytes]:
    """Return a tiny ERASER set, `n` train examples and one val example, of words that do not compress."""
    rng = random.Random(0)
    files = {}
    for split, ids in {"train": range(n), "val": range(n, n + 1)}.items():
        rows = []
        for i in ids:
            files[f"{folder}/docs/d{i}"] = " ".join(f"{rng.getrandbits(64):x}" for _ in range(4000)).encode()
            evidence = {"docid": f"d{i}", "start_token": 1, "end_token": 3, "text": "x"}
            rows.append({"annotation_id": f"a{i}", "classification": "POS", "evidences": [[evidence]]})
        files[f"{folder}/{split}.jsonl"] = "\n".join(map(json.dumps, rows)).encode()
    return files


TAR = "toy.tar.gz"
TOY = tar_of(toy_files())
SHA256 = hashlib.sha256(TOY).hexdigest()
HALF, ALL = len(TOY) // 2, len(TOY)
TOLD = "a toy; no checksum known"


def table(server: Server, sha256: str | None = None) -> dict[str, Archive]:
    counts = {"train": 3, "val": 1}
    return {"toy": Archive("toy", {TAR: server.url(TAR)}, "a toy", "none", {TAR: sha256}, counts)}


def fetch_toy(server: Server, file: File, *, progress: bool = False, force: bool = False) -> Path:
    server.files[f"/{TAR}"] = file
    return fetch("toy", table=table(server), progress=progress, force=force)


def test_whole_download(server: Server) -> None:
    folder = fetch_toy(server, File(TOY))
    assert folder == cache_dir() / "toy"
    files = {p.relative_to(folder.parent).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    note = json.loads(files.pop("toy/fetched.json").read_text())
    assert {name: path.read_bytes() for name, path in files.items()} == toy_files()
    assert note == {"name": "toy", "sha256": {server.url(TAR): SHA256}}
    assert [p.name for p in cache_dir().iterdir()] == ["toy"]


def test_fetches_once_unless_forced(server: Server) -> None:
    folder = fetch_toy(server, File(TOY))
    assert fetch_toy(server, File(TOY)) == folder
    assert len(server.asked) == 1
    (folder / "mine").touch()
    with pytest.raises(InputError, match=r"expected a whole \.tar\.gz archive"):
        fetch_toy(server, File(b"no archive"), force=True)
    assert (folder / "mine").exists()
    fetch_toy(server, File(TOY), force=True)
    assert not (folder / "mine").exists()
    assert [p.name for p in cache_dir().iterdir()] == ["toy"]


def test_progress_goes_to_stderr_or_nowhere(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eraser.progress.QUIET_S", 0.0)  # a toy does not take long enough
    fetch_toy(server, File(TOY), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"{TAR}: 0 of 0 MB in 0:00"
    fetch_toy(server, File(TOY), force=True)
    assert capsys.readouterr() == ("", "")


DATE = "Mon, 02 Mar 2020 10:00:00 GMT"


@pytest.mark.parametrize(
    ("etag", "modified", "version"), [('"1"', None, '"1"'), (None, DATE, DATE), ('W/"1"', DATE, DATE)]
)
def test_cut_download_goes_on(server: Server, etag: str | None, modified: str | None, version: str) -> None:
    folder = fetch_toy(server, File(TOY, etag, modified, cuts=[HALF, 100]))
    ranges = [(None, None), (f"bytes={HALF}-", version), (f"bytes={HALF + 100}-", version)]
    assert [asked[1:] for asked in server.asked] == ranges
    assert SHA256 in (folder / "fetched.json").read_text()


def test_next_fetch_goes_on_from_the_last(server: Server) -> None:
    with pytest.raises(InputError, match=f"download failed 3 times: {HALF + 20} of {ALL} bytes"):
        fetch_toy(server, File(TOY, cuts=[HALF, 10, 10]))
    assert not (cache_dir() / "toy").exists()
    assert (cache_dir() / "toy.part" / TAR).read_bytes() == TOY[: HALF + 20]
    fetch_toy(server, File(TOY))
    assert server.asked[-1][1] == f"bytes={HALF + 20}-"


@pytest.mark.parametrize(
    ("file", "ranges"),
    [
        (File(TOY, cuts=[HALF], ranges=False), [None, f"bytes={HALF}-"]),
        (File(TOY, cuts=[HALF], etag=None), [None, None]),
    ],
)
def test_cut_download_that_must_start_over(server: Server, file: File, ranges: list[str | None]) -> None:
    fetch_toy(server, file)
    assert [asked[1] for asked in server.asked] == ranges


def test_changed_file_is_not_joined_to_the_old(server: Server) -> None:
    with pytest.raises(InputError, match="download failed 3 times: "):
        fetch_toy(server, File(TOY, cuts=[HALF, 0, 0]))
    newer = tar_of(toy_files() | {"toy/README": b"newer"})
    folder = fetch_toy(server, File(newer, etag='"two"'))
    assert server.asked[-1][1:] == (f"bytes={HALF}-", '"one"')
    assert (folder / "README").read_bytes() == b"newer"


@pytest.mark.parametrize("wrong", [{"Content-Range": f"bytes 0-{HALF}/{ALL}"}, {"ETag": '"two"'}])
def test_wrong_part_is_not_joined(server: Server, monkeypatch: pytest.MonkeyPatch, wrong: Headers) -> None:
    answer = Handler.answer
    monkeypatch.setattr(Handler, "answer", lambda s, c, h: answer(s, c, h | wrong if c == 206 else h))
    fetch_toy(server, File(TOY, cuts=[HALF]))
    assert [asked[1] for asked in server.asked] == [None, f"bytes={HALF}-", None]


def test_redirect_is_followed(server: Server) -> None:
    server.files["/there"] = File(TOY, cuts=[HALF])
    fetch_toy(server, File(status=301, location="/there"))
    assert server.asked[-1] == ("/there", f"bytes={HALF}-", '"one"')


def test_part_of_another_address_is_not_joined(server: Server) -> None:
    with pytest.raises(InputError, match="download failed 3 times: "):
        fetch_toy(server, File(TOY, cuts=[HALF, 0, 0]))
    server.files["/moved"] = File(TOY)
    moved = Archive("toy", {TAR: server.url("moved")}, "", "", {TAR: SHA256})
    fetch("toy", progress=False, table={"toy": moved})
    assert server.asked[-1] == ("/moved", None, None)


def test_redirect_from_outside_to_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Response:
        status, reason, headers = 302, "Found", {"Location": "http://127.0.0.1/x"}

        def close(self) -> None:
            pass

    monkeypatch.setenv("RATIONALE_CACHE", str(tmp_path))
    monkeypatch.setattr(download, "answer_to", lambda *_: Response())
    with pytest.raises(InputError, match=f"{HTTPS}'http://127.0.0.1/x'"):
        fetch("movies", progress=False)


def test_length_not_told(server: Server) -> None:
    assert fetch_toy(server, File(TOY, length=-1)).is_dir()


WHOLE, PLAIN = r"toy\.tar\.gz: expected a whole \.tar\.gz archive, got ", "only plain files and folders, got "
INSIDE, HTTPS = "expected paths inside the archive's own folder, got ", "expected an https:// address, got "
REFUSED = {
    "not there": (File(status=404), r"toy\.tar\.gz: download failed: HTTP 404 Not Found"),
    "busy": (File(status=503), "download failed 3 times: HTTP 503 Service Unavailable"),
    "cut": (File(TOY, etag=None, cuts=[9] * 3), f"download failed 3 times: 9 of {ALL} bytes"),
    "promise": (File(TOY, etag=None, length=ALL + 7), f"download failed 3 times: {ALL} of {ALL + 7} bytes"),
    "too long": (File(b"x" * 900_000), "the file is larger than 800000 bytes"),
    "endless": (File(b"x" * 900_000, length=-1), "the file is larger than 800000 bytes"),
    "circle": (File(status=302, location=f"/{TAR}"), "more than 5 redirects"),
    "plain": (File(status=302, location="http://example.org/x"), f"{HTTPS}'http://example.org/x'"),
    "ftp": (File(status=302, location="ftp://127.0.0.1/x"), f"{HTTPS}'ftp://127.0.0.1/x'"),
    "local": (File(status=302, location="file:///etc/passwd"), f"{HTTPS}'file:///etc/passwd'"),
    "no gzip": (File(b"no archive"), WHOLE),
    "no tar": (File(gzip.compress(b"no archive" * 99)), WHOLE),
    "short": (File(TOY[:-20]), WHOLE),
    "damaged": (File(TOY[:HALF] + b"\0\1\2" + TOY[HALF + 3 :]), WHOLE),
    "up": (with_odd("../evil"), rf"{INSIDE}'\.\./evil'"),
    "up later": (with_odd("toy/../../evil"), INSIDE),
    "absolute": (with_odd("/tmp/evil"), f"{INSIDE}'/tmp/evil'"),
    "drive": (with_odd("C:\\evil"), INSIDE),
    "backslash": (with_odd("..\\evil"), INSIDE),
    "symlink": (with_odd("toy/s", tarfile.SYMTYPE, "/etc/passwd"), f"{PLAIN}a link 'toy/s'"),
    "hardlink": (with_odd("toy/h", tarfile.LNKTYPE, "toy/train.jsonl"), f"{PLAIN}a link 'toy/h'"),
    "device": (with_odd("toy/dev", tarfile.CHRTYPE), f"{PLAIN}a special file 'toy/dev'"),
    "sparse": (with_odd("toy/sparse", tarfile.GNUTYPE_SPARSE), f"{PLAIN}a special file 'toy/sparse'"),
    "pipe": (with_odd("toy/pipe", tarfile.FIFOTYPE), f"{PLAIN}a special file 'toy/pipe'"),
    "many": (File(tar_of({f"toy/{i}": b"" for i in range(21)})), "the archive holds more than 20 files"),
    "counts": (File(tar_of(toy_files(n=2))), r"toy: expected examples {'train': 3, .*, got {'train': 2, "),
    "faulty": (File(tar_of({"toy/train.jsonl": b"{}"})), r"train\.jsonl:1: expected a new annotation_id"),
    "no data": (File(tar_of({"toy/README": b"x"})), r"no train\.jsonl, val\.jsonl or test\.jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_and_nothing_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(download, "MAX_DOWNLOAD", 800_000)
    monkeypatch.setattr(download, "MAX_MEMBERS", 20)
    file, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        fetch_toy(server, file)
    assert [p.name for p in tmp_path.rglob("*")] == ["cache"]


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_only_https_leaves_this_machine(server: Server, url: str) -> None:
    with pytest.raises(InputError, match=f"{HTTPS}'{url}'"):
        fetch("toy", progress=False, table={"toy": Archive("toy", {TAR: url}, "", "", {TAR: None})})


def test_wrong_sha256(server: Server) -> None:
    server.files[f"/{TAR}"] = File(TOY)
    with pytest.raises(InputError, match=f"expected sha256 {'0' * 64}, got {SHA256}"):
        fetch("toy", progress=False, table=table(server, "0" * 64))
    assert not list(cache_dir().iterdir())
    assert fetch("toy", progress=False, table=table(server, SHA256)).is_dir()


def test_bomb_is_stopped_while_reading(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(bytes(2**24), compresslevel=1) + b"never read")
    with pytest.raises(InputError, match=r"bomb\.tar\.gz: the archive unpacks to more than 100000 bytes"):
        unpack(bomb, tmp_path, max_bytes=100_000)
    assert list(tmp_path.iterdir()) == [bomb]


def test_data_in_a_deeper_folder(server: Server) -> None:
    folder = fetch_toy(server, File(tar_of(toy_files("data/toy") | {"data/._train.jsonl": b"\0"})))
    assert (folder / "train.jsonl").is_file()


def test_two_plain_files(server: Server) -> None:
    """HateXplain's form; what was whole is not sent again after the other file failed."""
    posts = {"p": {"post_tokens": ["a", "b"], "annotators": [{"label": "normal"}] * 3, "rationales": []}}
    files = {name: server.url(name) for name in ("dataset.json", "post_id_divisions.json")}
    hate = {"hate": Archive("hate", files, "", "", dict.fromkeys(files), {"test": 1})}
    server.files["/dataset.json"] = File(json.dumps(posts).encode())
    with pytest.raises(InputError, match=r"post_id_divisions\.json: download failed: HTTP 404"):
        fetch("hate", progress=False, table=hate)
    server.files["/post_id_divisions.json"] = File(b'{"train": [], "test": ["p"]}')
    assert load("hate", fetch("hate", progress=False, table=hate)).labels == ("normal",)
    assert server.asked[-2] == ("/dataset.json", f"bytes={len(json.dumps(posts))}-", '"one"')


@pytest.mark.parametrize("faults", [1, 9])
def test_a_fault_of_the_network_is_tried_again_and_not_blamed_on_the_cache(
    server: Server, monkeypatch: pytest.MonkeyPatch, faults: int
) -> None:
    left, read = [faults], HTTPResponse.read

    def faulty(response: HTTPResponse, *size: int) -> bytes:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        return read(response, *size)

    monkeypatch.setattr(HTTPResponse, "read", faulty)
    if faults == 1:
        assert fetch_toy(server, File(TOY)).is_dir()
        return
    with pytest.raises(InputError, match=r"download failed 3 times: \[Errno 113\] No route to host$"):
        fetch_toy(server, File(TOY))


def test_full_disk_keeps_what_can_be_resumed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(archive: Path, target: Path) -> None:
        (target / "half").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(download, "unpack", full)
        with pytest.raises(InputError, match=r"toy\.part: cannot write to the cache: .*No space left"):
            fetch_toy(server, File(TOY))
    assert {p.name for p in (cache_dir() / "toy.part").iterdir()} == {TAR, f"{TAR}.note"}
    assert fetch_toy(server, File(TOY)).is_dir()
    assert server.asked[-1][1] == f"bytes={ALL}-"


def test_cache_that_cannot_be_written(server: Server) -> None:
    cache_dir().touch()
    with pytest.raises(InputError, match="cannot write to the cache: .*Not a dir"):
        fetch_toy(server, File(TOY))


KILLED = """
import sys
from eraser.download import Archive, fetch
toy = Archive("toy", {"toy.tar.gz": sys.argv[1]}, "", "", {"toy.tar.gz": None})
fetch("toy", progress=False, table={"toy": toy})
"""


@pytest.mark.faults
def test_killed_while_downloading(server: Server) -> None:
    server.files[f"/{TAR}"] = File(TOY, stalls=True)
    process = subprocess.Popen([sys.executable, "-c", KILLED, server.url(TAR)])
    part = cache_dir() / "toy.part" / TAR
    while not (part.exists() and part.stat().st_size):
        assert process.poll() is None
    process.kill()
    process.wait()
    server.stop.set()
    assert not (cache_dir() / "toy").exists()
    have = part.stat().st_size
    fetch_toy(server, File(TOY))
    assert server.asked[-1][1] == f"bytes={have}-"


def test_killed_while_unpacking(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "_tidy", lambda *_: None)  # a kill runs nothing more
        patch.setattr(download, "_checked_root", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch_toy(server, File(TOY))
    assert not (cache_dir() / "toy").exists()
    left = cache_dir() / "toy.part" / "scratch" / "new" / "toy" / "test.jsonl"
    left.write_text("half a li")
    assert not (fetch_toy(server, File(TOY)) / "test.jsonl").exists()


def test_status(server: Server) -> None:
    here, part = cache_dir() / "toy", cache_dir() / "toy.part"
    assert status(table=table(server)) == [Status("toy", "absent", here, 0, TOLD)]
    with pytest.raises(InputError, match="download failed 3 times: "):
        fetch_toy(server, File(TOY, cuts=[HALF, 0, 0]))
    size = HALF + (part / f"{TAR}.note").stat().st_size
    assert status(table=table(server)) == [Status("toy", "partial", part, size, TOLD)]
    fetch_toy(server, File(TOY))
    size = sum(map(len, toy_files().values())) + (here / "fetched.json").stat().st_size
    assert status(table=table(server)) == [Status("toy", "here", here, size, TOLD)]


def test_cached(server: Server) -> None:
    message = "the data set movies is not downloaded: run `rationale data fetch movies`, or"
    with pytest.raises(InputError, match=message):
        cached("movies")
    with pytest.raises(InputError, match=message):
        load("movies")
    assert fetch_toy(server, File(TOY)) == cached("toy", table=table(server))


def test_files_of_a_form_of_their_own_are_kept_and_named(server: Server) -> None:
    url = server.url("own.json")
    own = {"own": Archive("own", {"own.json": url}, "an export", "none", {"own.json": None}, own=True)}
    server.files["/own.json"] = File(b'[{"comment": "dull"}]')
    folder = fetch("own", progress=False, table=own)
    assert (folder / "own.json").read_bytes() == b'[{"comment": "dull"}]'
    (row,) = status(table=own)
    assert (row.state, row.description) == ("here", "an export; needs data import; no checksum known")
    remedy = "run `rationale data import` on its files, and give the folder with `--data PATH`"
    with pytest.raises(InputError, match=f"own: the data set own has a form of its own: {remedy}"):
        cached("own", table=own)


def test_a_wrong_checksum_of_files_of_their_own_is_refused(server: Server) -> None:
    digest = "0" * 64
    own = {"own": Archive("own", {"x.csv": server.url("x.csv")}, "", "", {"x.csv": digest}, own=True)}
    server.files["/x.csv"] = File(b"spans,text")
    with pytest.raises(InputError, match=f"expected sha256 {digest}, got "):
        fetch("own", progress=False, table=own)
    assert not (cache_dir() / "own").exists()


@pytest.mark.parametrize("call", [fetch, cached])
def test_unknown_name(server: Server, call: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"expected one of movies, .*, or `--data PATH`, got '\.\./x'"):
        call("../x")


def test_table() -> None:
    eraser = {"movies", "multirc", "boolq", "evidence_inference", "fever", "esnli", "cose"}
    assert set(ARCHIVES) == eraser | {"hatexplain", "hatebrxplain", "toxic_spans"}
    for archive in ARCHIVES.values():
        assert archive.files.keys() == archive.sha256.keys()
        assert all(url.startswith("https://") and url.endswith(f"/{f}") for f, url in archive.files.items())
        assert all(digest is None or len(digest) == 64 for digest in archive.sha256.values())
    assert ARCHIVES["movies"].counts == {"train": 1600, "val": 200, "test": 199}


def test_cache_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RATIONALE_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("RATIONALE_CACHE")
    assert "rationale" in cache_dir().parts


def test_many_fetch_one_set_at_once(server: Server) -> None:
    """Each in a process of its own: one fetches, the others wait and find it done."""
    server.files[f"/{TAR}"] = File(TOY)
    code = (
        "import sys; from eraser.download import Archive, fetch; url = sys.argv[1]\n"
        f"toy = Archive('toy', {{{TAR!r}: url}}, '', '', {{{TAR!r}: {SHA256!r}}}, {{'train': 3, 'val': 1}})\n"
        "print(fetch('toy', table={'toy': toy}))"
    )
    command = [sys.executable, "-c", code, server.url(TAR)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, f"{cache_dir() / 'toy'}\n"), err
    assert len(server.asked) == 1
    assert [p.name for p in cache_dir().iterdir()] == ["toy"]
    names = {p.relative_to(cache_dir()).as_posix() for p in cache_dir().rglob("*") if p.is_file()}
    assert names == {*toy_files(), "toy/fetched.json"}
