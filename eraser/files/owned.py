"""Folders that commands write: a manifest says which command made it, from what, and its files.

A command writes into a new folder, an empty one, or its own earlier work of the same identity, finished or
not. Anything else belongs to the user and is left alone. Overwriting removes the files that a manifest names,
if they are unchanged, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eraser.errors import Fault, InputError, short_repr
from eraser.files.lock import locked
from eraser.files.whole import HOST, make_folder, remove_left, write_json

MANIFEST = "made.json"
BYTES = 2**26  # of a manifest: some 400,000 files
LONGEST_NAME, LONGEST_PATH = 255, 1024  # bytes of a name, as file systems have them; characters of a path
EDITABLE = "README.md"  # a model's card: users may edit it, and then it stays
NAMED = 3  # of what is in the way
AGAIN = "to start over, give another --out or --overwrite"


@dataclass(frozen=True)
class Made:
    """What a manifest says.

    Args:
        by: the command.
        of: all that the result depends on: settings as they are, what was read by a hash of its content.
        files: the hash of each file that was written, by its path in the folder.
        scratch: patterns of temporary files that only this command writes.
        finished: whether all is there.
    """

    by: str
    of: Mapping[str, Any]
    files: Mapping[str, str]
    scratch: tuple[str, ...] = ()
    finished: bool = False


def hash_of(file: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def content_of(folder: Path, but: Iterable[str] = ()) -> str:
    """Return a hash of the names and contents of the files that lie in a folder, manifest aside."""
    skipped = {MANIFEST, *but}
    files = sorted(f for f in folder.iterdir() if f.is_file() and f.name not in skipped)
    lines = "".join(f"{f.name}\0{hash_of(f)}\n" for f in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()  # a name may be other bytes


def read_made(folder: Path) -> Made | None:
    """Return a folder's manifest, or None if there is none.

    Raises:
        InputError: it is no manifest.
    """
    file = folder / MANIFEST
    if not file.is_file():
        return None
    try:
        if file.stat().st_size > BYTES:
            raise InputError(
                Fault(f"a manifest of at most {BYTES:,} bytes", f"{file.stat().st_size:,}", file)
            )
        found = json.loads(file.read_bytes())
        json.dumps(found, ensure_ascii=False).encode()  # half an emoji could not be written again
        made = Made(**{**found, "scratch": tuple(found["scratch"])})
        sound = isinstance(made.by, str) and isinstance(made.of, dict) and isinstance(made.finished, bool)
        sound = sound and all(map(_inside, (*made.files, *made.scratch)))
        sound = sound and not any(
            "**" in pattern for pattern in made.scratch
        )  # never written, and may be none
        sound = sound and all(isinstance(hash, str) for hash in made.files.values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            Fault.of(f"not the manifest of a command's folder: {short_repr(str(error))}", file)
        ) from None
    if not sound:
        raise InputError(Fault.of("not the manifest of a command's folder", file))
    return made


def _inside(name: Any) -> bool:
    """Return whether a path leads to somewhere inside its folder, and is one that a file system can hold."""
    if not isinstance(name, str) or "\0" in name:
        return False
    parts = name.split("/")
    short = len(name) <= LONGEST_PATH and all(len(os.fsencode(part)) <= LONGEST_NAME for part in parts)
    return short and not {"..", ".", ""} & {*parts}


def is_done(
    folder: Path,
    by: str,
    of: Mapping[str, Any],
    reads: Iterable[Path | str | None] = (),
    overwrite: bool = False,
) -> bool:
    """Return whether the same work is done in a folder already; nothing is written.

    Args:
        folder: to write to.
        by: the command.
        of: all that the result depends on.
        reads: folders that the command reads, which are never written to.
        overwrite: whether other work of this suite there is to make room.

    Raises:
        InputError: the folder is, or may be, somebody else's.
    """
    refuse_read(folder, reads)
    if folder.exists() and not folder.is_dir():
        raise InputError(Fault.of("a file of this name exists; choose another --out", folder))
    _sweep(folder)
    made = read_made(folder)
    if made is None:
        if there := _names(folder):
            message = f"the folder holds other files ({there}); choose a new or empty one"
            raise InputError(Fault.of(message, folder))
        return False
    if other := _difference(made, by, json.loads(json.dumps(of))):
        if not overwrite:
            raise InputError(Fault.of(f"the folder holds {other} ({AGAIN})", folder))
        return False
    if made.finished:
        check_whole(folder)
    return made.finished


def claim(  # noqa: PLR0913 (what a work is known by)
    folder: Path,
    by: str,
    of: Mapping[str, Any],
    reads: Iterable[Path | str | None] = (),
    scratch: tuple[str, ...] = (),
    overwrite: bool = False,
) -> bool:
    """Claim a folder for a command's work, unless that `is_done`; return whether it is done.

    `scratch` is Made's: what is left of other work that makes room, too, but what is of use to both.
    """
    reads = tuple(reads)
    if is_done(folder, by, of, reads, overwrite):
        return True
    make_folder(folder)
    with locked(folder / MANIFEST):  # two runs may be at it
        if is_done(folder, by, of, reads, overwrite):
            return True
        of = json.loads(json.dumps(of))
        made = read_made(folder)
        if made is not None and _difference(made, by, of):
            clear(folder, made)
            made = None
        _write(folder, Made(by, of, {} if made is None else made.files, scratch))
    return False


def refuse_read(folder: Path, reads: Iterable[Path | str | None]) -> None:
    """Refuse to write into a folder that is read, or around it, or over a file of this suite that is read.

    A folder inside one that is read, as runs in `.`, is another's. Data in memory have no place: None, or "".
    """
    out, ours = folder.resolve(), (folder / MANIFEST).is_file()
    for read in (given for given in reads if given):
        path = Path(read).resolve()
        if path.is_relative_to(out) and (path.is_dir() or (ours and path.is_file())):
            message = f"the output folder is or contains the input {read}; choose another --out"
            raise InputError(Fault.of(message, folder))


def _sweep(folder: Path) -> None:
    """Remove temporary files of killed writers from a folder and, if it is ours, from its subfolders."""
    if not folder.is_dir():
        return
    remove_left(folder)
    inside = [f for f in folder.iterdir() if f.is_dir() and not f.is_symlink()]
    for inner in inside if (folder / MANIFEST).is_file() else ():
        remove_left(inner)


def _names(folder: Path) -> str:
    """Describe what is in a folder; "" if it is empty or missing."""
    there = sorted(f.name for f in folder.iterdir()) if folder.is_dir() else []
    names = [name for name in there if not name.startswith(f".{MANIFEST}.")]  # of a claim that is being made
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _difference(made: Made, by: str, of: Mapping[str, Any]) -> str:
    """Describe how a work differs from the one in the folder."""
    if made.by != by:
        return f"results of `{made.by}`"
    names = [name for name in {**made.of, **of} if made.of.get(name) != of.get(name)]
    changed = ", ".join(f"{n} ({_short(made.of.get(n))} there)" for n in names)
    return f"results with other {changed}" if changed else ""


def _short(value: Any) -> str:
    """Return a value for a message: of a hash the first digits."""
    text = str(value)
    return text[:8] if len(text) == hashlib.sha256().digest_size * 2 else short_repr(value, 40)


def writes(folder: Path, *names: str, out_of: Path | None = None) -> None:
    """Record files as a claimed folder's own; also for a subfolder. Other folders are ignored.

    Files that are about to be moved there lie in `out_of`: noted first, they are known even after a kill.
    """
    for home in (folder, *folder.parents[:2]):
        if (made := read_made(home)) is not None:
            inside = folder.relative_to(home)
            new = {(inside / name).as_posix(): hash_of((out_of or folder) / name) for name in names}
            _write(home, replace(made, files={**made.files, **new}))
            return


def forget(folder: Path, *names: str) -> None:
    """Remove files, or folders of files, that a manifest names, and their names from it."""
    made = read_made(folder)
    if made is None:
        return
    gone = {file for file in made.files for name in names if file == name or file.startswith(f"{name}/")}
    _write(folder, replace(made, files={k: v for k, v in made.files.items() if k not in gone}))
    _remove(folder, {name for name in gone if not _edited(folder / name, made.files[name])})


def _edited(file: Path, hash: str) -> bool:
    """Return whether the user has edited a file that may be edited."""
    return file.name == EDITABLE and file.is_file() and hash_of(file) != hash


def finish(folder: Path) -> None:
    """Record that the work is finished."""
    made = read_made(folder)
    if made is not None:
        _write(folder, replace(made, finished=True))


def made_whole(folder: Path, by: str, of: Mapping[str, Any]) -> None:
    """Record all of a folder as a finished work; for one that is written elsewhere and moved into place."""
    _write(folder, Made(by, json.loads(json.dumps(of)), _hashes(folder), finished=True))


def _hashes(folder: Path) -> dict[str, str]:
    return {f.relative_to(folder).as_posix(): hash_of(f) for f in sorted(folder.rglob("*")) if f.is_file()}


def check_whole(folder: Path) -> None:
    """Refuse a folder that is unfinished, or in which a written file was changed.

    A folder without a manifest is the user's own: it is not checked.
    """
    made = read_made(folder)
    if made is None:
        return
    if not made.finished:
        raise InputError(Fault.of(f"`{made.by}` has not finished this folder; run it again to go on", folder))
    for name, hash in made.files.items():
        file = folder / name
        if not file.is_file():
            raise InputError(Fault.of(f"the file {name}, written by `{made.by}`, is missing", folder))
        if file.name != EDITABLE and hash_of(file) != hash:
            raise InputError(Fault.of(f"the file {name} was changed after `{made.by}` wrote it", folder))


def clear(folder: Path, made: Made) -> None:
    """Remove a work's own files, the manifest last.

    Raises:
        InputError: one was changed since; nothing is removed.
    """
    scratch = {f.relative_to(folder) for p in made.scratch for f in folder.glob(p) if f.is_file()}
    killed = () if made.finished else scratch  # before these were moved
    for name in sorted(made.files.keys() - {(f.parent.parent / f.name).as_posix() for f in killed}):
        file, hash = folder / name, made.files[name]
        if file.is_file() and hash_of(file) != hash and not name.endswith(EDITABLE):
            message = f"the file {name} was changed after `{made.by}` wrote it; move it before overwriting"
            raise InputError(Fault.of(message, folder))
    own = {name for name, hash in made.files.items() if not _edited(folder / name, hash)}
    _remove(folder, own | {f.as_posix() for f in scratch})
    (folder / MANIFEST).unlink()


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files, and folders inside that are empty then."""
    for name in sorted(names, reverse=True):
        (folder / name).unlink(missing_ok=True)
        for inner in (folder / name).parents:
            if inner == folder or not inner.is_dir() or any(inner.iterdir()):
                break
            inner.rmdir()


@contextmanager
def together(folder: Path) -> Iterator[Path]:
    """Yield a folder to write a claimed folder's results to; together they replace the earlier ones.

    Raises:
        InputError: a file that is not its own is in the way; all is left as it was.
    """
    new = folder / f".results.{os.getpid()}-{HOST}.partial"  # of a run that is killed: see remove_left
    shutil.rmtree(new, ignore_errors=True)  # of a killed run with our number, as in a container that restarts
    new.mkdir(parents=True)
    try:
        yield new
        with locked(folder / MANIFEST):
            _put_in_place(folder, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _put_in_place(folder: Path, new: Path) -> None:
    made = read_made(folder)
    if made is None:
        message = f"{MANIFEST} vanished during the work; run it again with another --out"
        raise InputError(Fault.of(message, folder))
    files = _hashes(new)
    for name in [n for n in files if _edited(folder / n, made.files.get(n, ""))]:
        del files[name]
    if foreign := [name for name in files if name not in made.files and (folder / name).exists()]:
        message = f"the file {foreign[0]} was not written by this command; move it, or choose another --out"
        raise InputError(Fault.of(message, folder))
    _write(folder, replace(made, files={**made.files, **files}, finished=False))
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(new / name, folder / name)
    old = made.files.keys() - files.keys()
    _remove(folder, {name for name in old if not _edited(folder / name, made.files[name])})
    _write(folder, replace(made, files=files, finished=True))


def _write(folder: Path, made: Made) -> None:
    write_json(folder / MANIFEST, asdict(made))
