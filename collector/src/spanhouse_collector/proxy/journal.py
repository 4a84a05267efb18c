"""What the recorder has received and not yet kept as spans: a journal beside the queue.

Reading a call takes the recorder far longer than receiving it, so on a busy machine it is seconds behind. What it has
received goes into a file first, without waiting for the disk: killed together with its relay, it loses what was in the
socket between them, not what it had not come to. The next recorder reads the rest (``leftovers``).

Each recorder has a folder of its own, locked as long as it lives, with files in the order they were written. A file
begins with a whole frame and goes when every call that begins in it or before is kept. Bodies that nobody reads, or
that are to be left out of the record, are left out here too. Frames come without credentials (``cleaned``).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from spanhouse_collector.proxy import frames

log = logging.getLogger("spanhouse.proxy")

#: A call of which everything is kept; only in journals.
KEPT = 40
#: What a file holds before the next one is begun, and all files of a recorder together.
FILE_BYTES = 4 * 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
_READ_BYTES = 1024 * 1024
_BODIES = frozenset({frames.REQUEST_CHUNK, frames.RESPONSE_CHUNK, frames.CLIENT_BYTES, frames.SERVER_BYTES})
_FILE_MODE, _FOLDER_MODE = 0o600, 0o700


class _File:
    """One file: its descriptor, how much is in it, and which calls that begin in it are not kept yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, _FILE_MODE)
        self.size = 0
        self.calls: set[int] = set()

    def remove(self) -> None:
        os.close(self.descriptor)
        self.path.unlink()


class Journal:
    """The journal of this recorder. Nothing in it raises: without a folder to write to there is none.

    ``add`` and ``flush`` take what was received, ``kept`` says which calls need it no longer. When more waits than
    ``max_bytes``, the oldest file goes: its calls are then only as safe as the process.
    """

    def __init__(self, base: Path, relay_id: str, *, file_bytes: int = FILE_BYTES, max_bytes: int = MAX_BYTES) -> None:
        self._file_bytes, self._max_bytes = file_bytes, max_bytes
        self._files: deque[_File] = deque()
        self._home: dict[int, _File] = {}
        self._bare: set[int] = set()
        self._parts: list[bytes] = []
        self._number = 0
        self._folder: Path | None = None
        self._lock = -1
        try:
            self._folder, self._lock = _make(base, relay_id)
            self._begin_file()
        except OSError as error:
            self._give_up(error)

    def add(self, kind: int, number: int, at_ns: int, payload: bytes, *, bodies: bool = True) -> None:
        """Take a frame of a call; ``bodies`` counts with its start: whether its bodies may be in a file."""
        if self._folder is None:
            return
        if kind == frames.START:
            file = self._files[-1]
            file.calls.add(number)
            self._home[number] = file
            if not bodies:
                self._bare.add(number)
        elif number not in self._home or (kind in _BODIES and number in self._bare):
            return
        self._parts.append(frames.pack(kind, number, at_ns, payload))

    def flush(self) -> None:
        """Write what was added."""
        if self._parts and self._folder is not None:
            try:
                self._write()
            except OSError as error:
                self._give_up(error)

    def kept(self, numbers: Iterable[int]) -> None:
        """Note calls that are kept as spans, or of which nothing is to be kept."""
        if self._folder is None:
            return
        for number in numbers:
            file = self._home.pop(number, None)
            if file is not None:
                file.calls.discard(number)
                self._bare.discard(number)
                self._parts.append(frames.pack(KEPT, number, 0, b""))
        try:
            self._forget()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Let go: remove everything, unless a call is not kept."""
        self.flush()
        if self._folder is not None and not self._home:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._release()

    def _write(self) -> None:
        data, self._parts = b"".join(self._parts), []
        file = self._files[-1]
        file.size += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(file.descriptor, view) :]
        if file.size >= self._file_bytes:
            self._begin_file()
            while len(self._files) > 1 and sum(each.size for each in self._files) > self._max_bytes:
                dropped = self._files.popleft()
                for number in dropped.calls:
                    del self._home[number]
                    self._bare.discard(number)
                dropped.remove()

    def _begin_file(self) -> None:
        assert self._folder is not None  # noqa: S101 - tells the type checker
        self._files.append(_File(self._folder / f"{self._number:08}.frames"))
        self._number += 1

    def _forget(self) -> None:
        """Remove what no call needs."""
        while len(self._files) > 1 and not self._files[0].calls:
            self._files.popleft().remove()
        if not self._home:
            self._parts.clear()
            file = self._files[-1]
            if file.size:
                os.ftruncate(file.descriptor, 0)
                file.size = 0
        elif self._parts:
            self._write()

    def _give_up(self, error: OSError) -> None:
        log.error("what is received is not kept in a file before it is read: %s", error)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        for file in self._files:
            with contextlib.suppress(OSError):
                os.close(file.descriptor)
        self._files.clear()
        self._home.clear()
        self._bare.clear()
        self._parts.clear()
        self._folder = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def journals_of(queue_path: Path) -> Path:
    """Return the folder with the journals beside a queue."""
    return queue_path.with_suffix(".unread")


def _make(base: Path, relay_id: str) -> tuple[Path, int]:
    """Make and lock a folder; it gets its name when it is locked, so that nobody takes it for an abandoned one."""
    base.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    name = f"{relay_id}-{uuid.uuid4().hex}"
    made = base / f".{name}"
    made.mkdir(mode=_FOLDER_MODE)
    descriptor = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return made.rename(base / name), descriptor
    except BaseException:
        os.close(descriptor)
        raise


def abandoned(base: Path) -> list[Path]:
    """Return the journals whose recorder is gone, the oldest first; none where there are none to be read."""
    try:
        found = sorted(base.glob("[!.]*"), key=lambda path: path.stat().st_mtime_ns)
    except OSError:
        return []
    return [path for path in found if _is_free(path)]


def _is_free(path: Path) -> bool:
    with contextlib.suppress(OSError), locked(path) as free:
        return free
    return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of a journal; yields whether it was free. Raises ``OSError`` when it is gone."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def read_journal(path: Path) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the frames of a journal in order, without those of calls that are kept."""
    kept = {number for kind, number, _, _ in _frames_of(path) if kind == KEPT}
    for frame in _frames_of(path):
        if frame[1] not in kept:
            yield frame


def _frames_of(path: Path) -> Iterator[tuple[int, int, int, bytes]]:
    for name in sorted(path.glob("*.frames")):
        cut = frames.Frames()
        with name.open("rb") as file:
            while data := file.read(_READ_BYTES):
                yield from cut.feed(data)
