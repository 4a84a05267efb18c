"""Hands a batch to the process that makes its rows, and what settles it to the server: by a file, not by a pipe.

Through a pipe a batch is copied four times, in pieces of 64 KiB; a file that is read at once and removed
never leaves the page cache. What a crash left behind is removed at the next start, since the batch is
made again from the spool. Without room for the file it goes through the pipe after all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Fewer bytes than this are not worth a file.
SMALL_BYTES = 256 * 1024
#: Of the names of all files here: what a crash left is removed by it.
SUFFIX = ".rows"


@dataclass(frozen=True, slots=True)
class Handed:
    """Blocks that lie in a file one after the other, and their lengths in bytes."""

    path: str
    lengths: Sequence[int]


Blocks = Sequence[bytes] | Handed


def clear(folder: Path) -> None:
    """Create the folder, and remove from it what a crash left there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob(f"*{SUFFIX}"):
        left.unlink(missing_ok=True)


def give(blocks: Sequence[bytes], folder: Path) -> Blocks:
    """Put blocks into a file in ``folder``, where they are worth it and there is room."""
    if sum(map(len, blocks)) < SMALL_BYTES:
        return blocks
    try:
        handle, path = tempfile.mkstemp(SUFFIX, dir=folder)
    except OSError:
        return blocks
    try:
        with open(handle, "wb", buffering=0) as file:
            for block in blocks:
                write_all(file.fileno(), block)
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        return blocks
    return Handed(path, [len(block) for block in blocks])


def take(blocks: Blocks) -> Iterator[bytes]:
    """Yield blocks that were given, each read when it is asked for, removing their file. Raises ``OSError``."""
    if not isinstance(blocks, Handed):
        yield from blocks
        return
    with open(blocks.path, "rb", buffering=0) as file:
        os.unlink(blocks.path)
        for length in blocks.lengths:
            yield _read(file.fileno(), length)


def drop(blocks: Blocks | None) -> None:
    """Remove the file of blocks that nobody will take."""
    if isinstance(blocks, Handed):
        with suppress(OSError):
            os.unlink(blocks.path)


def write_all(handle: int, block: bytes) -> None:
    """Write a block to an open file. Raises ``OSError``."""
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _read(handle: int, length: int) -> bytes:
    pieces = []
    while length:
        piece = os.read(handle, length)
        if not piece:
            raise OSError("a file of rows ends before its time")
        pieces.append(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
