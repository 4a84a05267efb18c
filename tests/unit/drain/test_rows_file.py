"""Rows come out as they were taken, whether they stay in memory, go to a file, or come back from a full disk."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.drain import rows_file
from spanhouse_server.drain.handover import SMALL_BYTES
from spanhouse_server.drain.rows_file import RowsFile, RowsWriter, WrittenRows

LARGE = b"x" * SMALL_BYTES


def read(block: bytes | WrittenRows) -> list[bytes]:
    """Return the rows of a block."""
    return (block if isinstance(block, bytes) else Path(block.path).read_bytes()).splitlines()


@given(st.lists(st.lists(st.sampled_from([b"a", b"bc", LARGE]), max_size=3), max_size=5))
def test_rows_come_out_in_order(tmp_path_factory: pytest.TempPathFactory, added: list[list[bytes]]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    writer = RowsWriter(folder)
    for rows in added:
        writer.add(rows)
    block = writer.block()
    assert read(block) == [row for rows in added for row in rows]
    assert isinstance(block, WrittenRows) == any(LARGE in rows for rows in added)
    assert len(list(folder.iterdir())) == isinstance(block, WrittenRows)


def test_a_file_goes_with_the_last_reference(tmp_path: Path) -> None:
    writer = RowsWriter(tmp_path)
    writer.add([LARGE])
    block = writer.block()
    assert isinstance(block, WrittenRows)
    file = RowsFile(block)
    same = [file]
    del file
    assert Path(same[0]).read_bytes().rstrip() == LARGE
    same.clear()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fits", [0, 1, 2])
def test_a_full_disk_sends_all_rows_the_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: int) -> None:
    write_all, writes = rows_file.write_all, 0

    def write(handle: int, block: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes > fits:
            write_all(handle, block[: len(block) // 2])
            raise OSError(errno.ENOSPC, "no room")
        write_all(handle, block)

    monkeypatch.setattr(rows_file, "write_all", write)
    writer = RowsWriter(tmp_path)
    added = [[b"a", LARGE], [b"b"], [LARGE, b"c"], [LARGE], [b"d"]]
    for rows in added:
        writer.add(rows)
    block = writer.block()
    assert isinstance(block, bytes)
    assert read(block) == [row for rows in added for row in rows]
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_rows_stay_in_memory(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "away"):
        writer = RowsWriter(folder)
        writer.add([LARGE, b"a"])
        writer.add([b"b"])
        assert read(writer.block()) == [LARGE, b"a", b"b"]


def test_dropped_rows_leave_nothing(tmp_path: Path) -> None:
    writer = RowsWriter(tmp_path)
    writer.add([LARGE])
    assert list(tmp_path.iterdir()) != []
    writer.drop()
    writer.drop()
    assert list(tmp_path.iterdir()) == []
