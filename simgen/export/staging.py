"""A folder that appears whole: made beside its place piece by piece, then renamed.

Finished pieces are kept when a process dies, so the same command again makes only what is left,
and the result is the same as that of one run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simgen.exchange import ExchangeError
from simgen.store.layout import canonical_json

NOTE = ".physreel-export.json"  # hidden: dataset libraries take what they see for data
PIECES = ".pieces"


@dataclass(frozen=True)
class Piece:
    """A part of an export that is made in one go.

    `write` gets the folder and returns facts, plain JSON, that finishing needs.
    """

    name: str
    episodes: int
    write: Callable[[Path], dict]


Progress = Callable[[Piece, int, int], None]  # the piece, pieces done, pieces in all


@dataclass(frozen=True)
class Staged:
    """What came of it. `pieces_made` 0: everything was there already."""

    pieces: int
    pieces_made: int
    bytes: int


def stage(
    out: Path,
    request: dict,
    pieces: Sequence[Piece],
    finish: Callable[[Path, list[dict]], None],
    *,
    progress: Progress | None = None,
) -> Staged:
    """Make what the folder lacks of the pieces, finish it, and give it its name.

    Args:
        out: The folder; absent, or this same export.
        request: What makes this export differ from others, plain JSON; kept in the folder.
        finish: Gets the folder and the facts of all pieces in order; writes what lists them.
    Raises:
        ExchangeError: There is something else at `out`.
    """
    out = out.absolute()
    if is_there(out, request):
        return Staged(len(pieces), 0, folder_bytes(out))
    folder = out.with_name(f".{out.name}.exporting")
    if folder.exists() and not is_ours(folder, request):
        with alone_in(folder):
            shutil.rmtree(folder)  # of another export to this place, never finished
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        made = _make(folder, request, pieces, finish, progress)
        if out.exists():
            out.rmdir()  # it is empty, or is_there() had refused
        os.replace(folder, out)
    return Staged(len(pieces), made, folder_bytes(out))


def _make(
    folder: Path,
    request: dict,
    pieces: Sequence[Piece],
    finish: Callable[[Path, list[dict]], None],
    progress: Progress | None,
) -> int:
    """Fill the folder; returns how many pieces it lacked."""
    (folder / PIECES).mkdir(exist_ok=True)
    write_whole(folder / NOTE, canonical_json(request))
    facts, made = [], 0
    for number, piece in enumerate(pieces, 1):
        kept = folder / PIECES / f"{piece.name}.json"
        if not kept.exists():
            write_whole(kept, canonical_json(piece.write(folder)))
            made += 1
        facts.append(json.loads(kept.read_bytes()))
        if progress:
            progress(piece, number, len(pieces))
    finish(folder, facts)
    shutil.rmtree(folder / PIECES)
    for torn in folder.rglob(".*.partial"):  # a killed run's; whole files have other names
        torn.unlink()
    return made


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder for writing; the kernel lets go of it for a process that died.

    Raises:
        ExchangeError: Another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExchangeError(
                f"{folder} is being written by another process; wait for it, or stop it and run "
                "the same command again"
            ) from None
        yield
    finally:
        os.close(handle)


def is_there(out: Path, request: dict) -> bool:
    """Whether the folder is that very export.

    Raises:
        ExchangeError: It is anything else that is not empty.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if out.is_dir() and is_ours(out, request):
        return True
    what = "another export" if (out / NOTE).exists() else "something else"
    raise ExchangeError(f"{out} holds {what}; give another folder, or delete that one")


def is_ours(folder: Path, request: dict) -> bool:
    """Whether the folder's note says that it is of that request."""
    try:
        return (folder / NOTE).read_bytes() == canonical_json(request)
    except (FileNotFoundError, NotADirectoryError):
        return False


def write_whole(path: Path, data: bytes | str) -> None:
    """A file that appears under its name when it is whole; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data.encode() if isinstance(data, str) else data)
    os.replace(partial, path)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below the folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
