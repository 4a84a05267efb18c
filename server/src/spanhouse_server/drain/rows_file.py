"""The rows of a table on their way to the store: in a file once they are many, which the store reads itself."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spanhouse_server.drain.handover import SMALL_BYTES, SUFFIX, write_all


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """Where the rows that a process wrote are, for the process that has them stored."""

    path: str

    def __fspath__(self) -> str:
        """Return the path of their file."""
        return self.path

    def remove(self) -> None:
        """Remove the file."""
        _remove(self.path)


class RowsFile:
    """A file of newline-separated rows. It is removed with the last reference to this."""

    def __init__(self, written: WrittenRows) -> None:
        self._path = written.path
        weakref.finalize(self, _remove, written.path)

    def __fspath__(self) -> str:
        """Return its path."""
        return self._path


#: The newline-separated rows of a table: their text, or the file they are in.
Block = bytes | WrittenRows | RowsFile


class RowsWriter:
    """Takes the rows of a table as they are made, and puts them into a file once they are many.

    What is written out is not in memory any more: the next rows are made where the last ones were, which the
    processor still holds near, and not in pages that the kernel has to clear first. Without a folder, or
    room in it, all rows stay in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._rows: list[bytes] = []
        self._waiting_bytes = 0
        self._path = ""
        self._handle = -1

    def add(self, rows: Sequence[bytes]) -> None:
        """Take more rows."""
        self._rows += rows
        self._waiting_bytes += sum(map(len, rows))
        if self._folder is not None and self._waiting_bytes >= SMALL_BYTES:
            self._write(self._folder)

    def block(self) -> bytes | WrittenRows:
        """Return all rows; none can be added after it."""
        if self._folder is not None and self._path:
            self._write(self._folder)
        if not self._path:
            return b"\n".join(self._rows)
        os.close(self._handle)
        return WrittenRows(self._path)

    def drop(self) -> None:
        """Remove the file, if there is one."""
        if self._path:
            os.close(self._handle)
            _remove(self._path)
            self._path = ""

    def _write(self, folder: Path) -> None:
        self._rows.append(b"")
        written_bytes = 0
        try:
            if not self._path:
                self._handle, self._path = tempfile.mkstemp(SUFFIX, dir=folder)
            written_bytes = os.lseek(self._handle, 0, os.SEEK_CUR)
            write_all(self._handle, b"\n".join(self._rows))
        except OSError:
            self._take_back(written_bytes)
            return
        self._rows = []
        self._waiting_bytes = 0

    def _take_back(self, written_bytes: int) -> None:
        """Keep all rows in memory from now on, those that were written already as well."""
        self._rows.pop()
        self._folder = None
        if self._path:
            written = os.pread(self._handle, written_bytes, 0).removesuffix(b"\n")
            self._rows = [written, *self._rows] if written else self._rows
            self.drop()


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
