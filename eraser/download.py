"""The official archives → folders in the user's cache: fetched, resumed, checked, unpacked safely.

ERASER: DeYoung et al. 2020, https://www.eraserbenchmark.com. HateXplain: Mathew et al. 2021,
https://github.com/hate-alert/HateXplain. What is whole and checked is renamed from `<name>.part` into place.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from hashlib import sha256
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, TypeVar, cast
from urllib.parse import urljoin, urlsplit
from urllib.request import Request

from eraser.data.catalog import ARCHIVES, Archive, Table, cache_dir, known
from eraser.data.hatexplain import POSTS
from eraser.data.source import MAX_MEMBERS, SPLITS
from eraser.errors import Fault, InputError, short_repr
from eraser.files.bounds import MAX_BYTES, MAX_HEADER, Bounded, regular
from eraser.files.lock import locked
from eraser.files.web import answer_to, is_local, is_safe
from eraser.load import load
from eraser.progress import BYTES, Progress, say, silent

MAX_DOWNLOAD = 2**30  # bytes of one file
PAUSES_S = (0.0, 0.5, 2.0, 5.0)  # before each try
BUSY = frozenset({408, 429, 500, 502, 503, 504})  # HTTP answers that may be others the next time
TIMEOUT_S, CHUNK = 30.0, 2**16
T = TypeVar("T")


def fetch(name: str, *, progress: bool = True, force: bool = False, table: Table = ARCHIVES) -> Path:
    """Fetch a data set unless it is there (or `force`), check it, and return its folder."""
    archive = known(name, table)
    target, work = cache_dir() / name, cache_dir() / f"{name}.part"
    if target.is_dir() and not force:
        return target
    try:
        with locked(target, _say_waits if progress else None):
            return target if target.is_dir() and not force else _fetched(archive, work, target, progress)
    except OSError as error:
        raise InputError(Fault.of(f"cannot write to the cache: {error}", work)) from error


def _say_waits(target: Path) -> None:
    say(f"{target.name}: waiting for another process that fetches it")


def _fetched(archive: Archive, work: Path, target: Path, progress: bool) -> Path:
    work.mkdir(parents=True, exist_ok=True)
    try:
        for file, url in archive.files.items():
            _download(url, work / file, progress)
        _install(archive, work, target)
    finally:
        _tidy(archive, work)
    return target


def _install(archive: Archive, work: Path, target: Path) -> None:
    """Check, unpack and put in its place what was downloaded to `work`."""
    new, old = work / "scratch" / "new", work / "scratch" / "old"
    shutil.rmtree(new.parent, ignore_errors=True)  # of a fetch that was killed here
    new.mkdir(parents=True)
    digests = {url: sha256((work / file).read_bytes()).hexdigest() for file, url in archive.files.items()}
    try:
        for file, url in archive.files.items():
            if archive.sha256[file] not in (None, digests[url]):
                raise InputError(Fault(f"sha256 {archive.sha256[file]}", digests[url], url))
            (unpack if file.endswith(".tar.gz") else shutil.copy)(work / file, new)
        root = _checked_root(archive, new)
    except InputError:
        shutil.rmtree(work)  # it is not what was asked for: nothing of it is worth going on from
        raise
    (root / "fetched.json").write_text(json.dumps({"name": archive.name, "sha256": digests}, indent=1))
    if target.exists():
        os.replace(target, old)
    os.replace(root, target)
    shutil.rmtree(work)


def _checked_root(archive: Archive, folder: Path) -> Path:
    """Return the folder that holds the data (`movies/`, `data/cose/`), once they load and are complete."""
    if archive.own:
        return folder
    wanted = {*(f"{split}.jsonl" for split in SPLITS), POSTS}
    found = [Path(at) for at, _, files in os.walk(folder) if wanted.intersection(files)]
    root = min(found, key=lambda path: len(path.parts), default=folder)
    counts = {split: len(examples) for split, examples in load(archive.name, root).splits.items()}
    if archive.counts not in (None, counts):
        raise InputError(Fault(f"examples {archive.counts}", str(counts), archive.name))
    return root


def unpack(archive: Path, target: Path, max_bytes: int = MAX_BYTES) -> None:
    """Unpack a .tar.gz into a folder, once every member is known to be a plain file or folder inside it."""
    try:
        with regular(archive) as file, gzip.open(file) as zipped, tempfile.TemporaryFile(dir=target) as plain:
            while block := zipped.read(CHUNK):
                plain.write(block)
                if plain.tell() > max_bytes:
                    raise InputError(Fault.of(f"the archive unpacks to more than {max_bytes} bytes", archive))
            plain.seek(0)
            bounded = Bounded(cast(BinaryIO, plain), archive, max_bytes)
            with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r:") as tar:
                for n, member in enumerate(tar, start=1):
                    if n > MAX_MEMBERS:
                        raise InputError(
                            Fault.of(f"the archive holds more than {MAX_MEMBERS} files", archive)
                        )
                    _refuse_unsafe(member, archive)
                    bounded.allow(MAX_HEADER)
                bounded.allow(max_bytes + 2 * plain.tell())
                tar.extractall(target, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError) as error:
        raise InputError(Fault("a whole .tar.gz archive", str(error), archive)) from error


def _refuse_unsafe(member: tarfile.TarInfo, archive: Path) -> None:
    path = PureWindowsPath(member.name)  # knows drives and both slashes, whatever system this is
    if path.anchor or ".." in path.parts or "\0" in member.name:
        raise InputError(Fault("paths inside the archive's own folder", short_repr(member.name), archive))
    if not (member.isfile() or member.isdir()) or member.issparse():
        kind = "a link" if member.issym() or member.islnk() else "a special file"
        raise InputError(Fault("only plain files and folders", f"{kind} {short_repr(member.name)}", archive))


def _tidy(archive: Archive, work: Path) -> None:
    """Leave in `work` only what the next fetch can go on from."""
    shutil.rmtree(work / "scratch", ignore_errors=True)
    for file, url in archive.files.items():
        if not (_version(url, work / file) and 0 < (work / file).stat().st_size <= MAX_DOWNLOAD):
            (work / file).unlink(missing_ok=True)
            _note(work / file).unlink(missing_ok=True)
    if work.is_dir() and not any(work.iterdir()):
        work.rmdir()


def _note(path: Path) -> Path:
    """Return where it is noted which version of which address the bytes at `path` are of."""
    return path.with_name(f"{path.name}.note")


def _version(url: str, path: Path) -> str:
    noted, _, version = _note(path).read_text().partition("\n") if _note(path).exists() else ("", "", "")
    return version if noted == url and path.exists() else ""


def _download(url: str, path: Path, progress: bool) -> None:
    """Download one file, trying again and going on where a connection was cut."""
    got = ""
    for pause in PAUSES_S:
        time.sleep(pause)
        try:
            return _attempt(url, path, progress)
        except (ConnectionError, HTTPException) as error:
            got = str(error) or type(error).__name__
    raise InputError(Fault.of(f"download failed {len(PAUSES_S)} times: {got}", url))


def _attempt(url: str, path: Path, progress: bool) -> None:
    version = _version(url, path)
    have = path.stat().st_size if version else 0
    with _open(url, {"Range": f"bytes={have}-", "If-Range": version} if have else {}) as response:
        span, etag = response.headers.get("Content-Range", ""), response.headers.get("ETag", "W/")
        # a weak ETag may not stand in If-Range (RFC 9110, 13.1.5)
        now = response.headers.get("Last-Modified", "") if etag.startswith("W/") else etag
        if response.status == 416 and span == f"bytes */{have}":
            return  # If-Range held, and no byte is missing
        goes_on = response.status == 206 and span.startswith(f"bytes {have}-") and now in ("", version)
        if not goes_on:
            path.unlink(missing_ok=True)  # before the note is written: a kill must not join two versions
        if not goes_on and response.status != 200:
            raise ConnectionError("another part than was asked for")
        _note(path).write_text(f"{url}\n{now or version}")
        _stream(response, path, have if goes_on else 0, progress)


def _stream(response: HTTPResponse, path: Path, start: int, progress: bool) -> None:
    """Append what comes to `path`; more than the limit or less than was promised is an error."""
    promised = None if response.length is None else start + response.length
    quiet = nullcontext() if progress else silent()
    more = partial(_online, partial(response.read, CHUNK))
    with path.open("ab") as file, quiet, Progress(path.name, BYTES, promised, start) as shown:
        while max(file.tell(), promised or 0) <= MAX_DOWNLOAD and (block := more()):
            file.write(block)
            shown.add(len(block))
        arrived = file.tell()
    if max(arrived, promised or 0) > MAX_DOWNLOAD:
        raise InputError(Fault.of(f"the file is larger than {MAX_DOWNLOAD} bytes", response.url))
    if promised not in (None, arrived):
        raise ConnectionError(f"{arrived} of {promised} bytes")


def _online(ask: Callable[[], T]) -> T:
    """Return what the network gives; its faults are ConnectionErrors, as others are of the cache's disk."""
    try:
        return ask()
    except OSError as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _open(url: str, headers: dict[str, str]) -> HTTPResponse:
    """Ask for a file over https, or http on this machine alone; the same goes for where it redirects to."""
    place = url
    for _ in range(6):
        if not is_safe(place) or (urlsplit(place).scheme == "http" and not is_local(url)):
            raise InputError(Fault("an https:// address", short_repr(place), url))
        request = Request(place, headers={"User-Agent": "rationale", **headers})
        response = _online(partial(answer_to, request, TIMEOUT_S))
        if response.status in (200, 206, 416):
            return response
        response.close()
        got = f"HTTP {response.status} {response.reason}"
        if response.status in BUSY:
            raise ConnectionError(got)
        if not 300 <= response.status < 400 or "Location" not in response.headers:
            raise InputError(Fault.of(f"download failed: {got}", place))
        place = urljoin(place, response.headers["Location"])
    raise InputError(Fault.of("more than 5 redirects", url))
