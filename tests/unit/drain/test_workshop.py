"""Where batches are transformed: by how many, and that nothing stays of what nobody takes.

Files that stayed would fill the disk while a store is away for hours.
"""

import multiprocessing
import time
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from spanhouse_server.drain.rows_file import RowsFile
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.errors import UndecodableBody
from spanhouse_server.spool.contract import SpoolEntry
from tests import otlp
from tests.waiting import until

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


def processes() -> set[BaseProcess]:
    return set(multiprocessing.active_children())


def test_a_second_process_helps_while_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = processes()
    workshop = Workshop(1, tmp_path / "handover")
    try:
        workshop.hurry(True)
        workshop.hurry(True)
        hurried = [workshop.submit([entry(number)], {}, 1) for number in range(4)]
        made = [workshop.result(pending) for pending in hurried]
        assert [len(one.traces) for one in made] == [SPANS] * 4
        both = processes() - before
        assert len(both) == 2

        workshop.hurry(False)  # too soon
        workshop.hurry(True)
        wait([workshop.submit([entry(number)], {}, 1) for number in range(2)])
        assert processes() - before == both
        last = workshop.submit([entry(4)], {}, 1), workshop.submit([entry(5)], {}, 1)
        monkeypatch.setattr("spanhouse_server.drain.workshop.HELPER_STAYS_S", 0.0)
        workshop.hurry(False)
        made = [workshop.result(pending) for pending in last]
        assert [len(one.traces) for one in made] == [SPANS] * 2
        wait([workshop.submit([entry(6)], {}, 1), workshop.submit([entry(7)], {}, 1)])
        until(lambda: len(processes() & both) <= 1)
        assert len(processes() - before) == 1
    finally:
        workshop.close()


def test_a_process_begins_before_its_first_batch_and_again_after_a_rest(tmp_path: Path) -> None:
    before = processes()
    Workshop(0).begin()
    assert processes() <= before
    workshop = Workshop(1, tmp_path / "handover")
    try:
        for _ in range(2):
            workshop.begin()
            workshop.begin()
            (begun,) = processes() - before
            made = workshop.result(workshop.submit([entry(1)], {}, 1))
            assert len(made.traces) == SPANS
            assert processes() - before == {begun}
            workshop.close()
            until(lambda: not processes() - before)
    finally:
        workshop.close()


def test_one_that_dies_in_a_hurry_is_replaced(tmp_path: Path) -> None:
    before = processes()
    workshop = Workshop(1, tmp_path / "handover")
    try:
        workshop.hurry(True)
        first = [workshop.submit([entry(number)], {}, 1) for number in range(2)]
        wait(first)
        for process in processes() - before:
            process.kill()
        deadline = time.monotonic() + 30
        made = []
        while len(made) < 2 and time.monotonic() < deadline:
            try:
                made.append(workshop.result(workshop.submit([entry(3)], {}, 1)))
            except BrokenProcessPool:
                made.clear()
        assert [len(one.traces) for one in made] == [SPANS] * 2
    finally:
        workshop.close()
