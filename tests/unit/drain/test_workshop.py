"""Rows that nobody takes leave no file behind: a store that is away for hours must not fill the disk."""

import time
from concurrent.futures import wait
from pathlib import Path

from spanhouse_server.drain.workshop import Workshop
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
        assert len(list(folder.iterdir())) == 1
        assert len(workshop.result(taken).blocks["spans"].splitlines()) == SPANS
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
