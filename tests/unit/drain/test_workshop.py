"""Rows that nobody takes leave no file behind: a store that is away for hours must not fill the disk."""

import time
from concurrent.futures import wait
from pathlib import Path

import pytest

from spanhouse_server.drain.rows_file import RowsFile
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.errors import UndecodableBody
from spanhouse_server.spool.contract import SpoolEntry
from tests import otlp

#: Enough rows for a file.
SPANS = 400


def entry(sequence: int) -> SpoolEntry:
    body = otlp.request(*(otlp.span(attributes={"note": "words " * 50}) for _ in range(SPANS)))
    return SpoolEntry(sequence, "default", "traces", time.time_ns(), body)


def test_rows_are_taken_or_discarded_and_no_file_stays(tmp_path: Path) -> None:
    folder = tmp_path / "handover"
    workshop = Workshop(1, folder)
    try:
        taken = workshop.submit([entry(1)], {}, 1)
        wait([taken])
        assert list(folder.iterdir()) != []
        made = workshop.result(taken)
        rows = made.blocks["spans"]
        assert isinstance(rows, RowsFile)
        assert len(Path(rows).read_bytes().splitlines()) == SPANS
        assert sum(len(trace.index_rows.splitlines()) for trace in made.traces.values()) == SPANS
        del made, rows
        assert list(folder.iterdir()) == []

        ready, running, waiting = (workshop.submit([entry(number)], {}, 1) for number in (2, 3, 4))
        wait([ready])
        for pending in (ready, running, waiting):
            workshop.discard(pending)
        wait([running, waiting], timeout=30)
        last = workshop.submit([entry(5)], {}, 1)
        workshop.result(last)
        assert list(folder.iterdir()) == []
    finally:
        workshop.close()


def test_a_batch_that_cannot_be_read_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "handover"
    workshop = Workshop(1, folder)
    try:
        bad = SpoolEntry(2, "default", "traces", time.time_ns(), b"no protobuf")
        pending = workshop.submit([entry(1), bad], {}, 1)
        with pytest.raises(UndecodableBody):
            workshop.result(pending)
        assert list(folder.iterdir()) == []
    finally:
        workshop.close()
