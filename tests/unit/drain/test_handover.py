"""Blocks come out as they went in, by file or not, and leave nothing behind."""

import errno
import os
from pathlib import Path

import pytest

from spanhouse_server.drain import handover
from spanhouse_server.drain.handover import SMALL_BYTES, Handed, clear, give, take


@pytest.mark.parametrize("blocks", [[], [b""], [b"a", b"", b"b"], [b"x" * SMALL_BYTES, b"", b"yz" * SMALL_BYTES]])
def test_blocks_come_out_as_they_went_in(tmp_path: Path, blocks: list[bytes]) -> None:
    given = give(blocks, tmp_path)
    assert isinstance(given, Handed) == (sum(map(len, blocks)) >= SMALL_BYTES)
    assert list(take(given)) == blocks
    assert list(tmp_path.iterdir()) == []


def test_without_room_the_rows_go_the_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def write(handle: int, data: memoryview) -> int:
        if written:
            raise OSError(errno.ENOSPC, "no room")
        written.append(handle)
        return len(data) // 2

    monkeypatch.setattr(handover.os, "write", write)
    blocks = [b"x" * SMALL_BYTES]
    assert give(blocks, tmp_path) is blocks
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    assert give(blocks, tmp_path / "away") is blocks


def test_a_file_cut_short_is_an_error(tmp_path: Path) -> None:
    given = give([b"x" * SMALL_BYTES], tmp_path)
    assert isinstance(given, Handed)
    os.truncate(given.path, 5)
    with pytest.raises(OSError, match="ends before its time"):
        list(take(given))


def test_a_start_removes_what_a_crash_left(tmp_path: Path) -> None:
    clear(tmp_path / "handover")
    assert isinstance(give([b"x" * SMALL_BYTES], tmp_path / "handover"), Handed)
    (tmp_path / "handover" / "note.txt").touch()
    clear(tmp_path / "handover")
    assert [left.name for left in (tmp_path / "handover").iterdir()] == ["note.txt"]
