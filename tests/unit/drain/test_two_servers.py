"""Two servers on one columnar store that take in parts of the same trace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server import pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store.contract import ColumnarStore, TraceKey
from tests import otlp
from tests.stored import NS, T0, columnar, hex_id

TRACE = hex_id("t")


class Shared:
    """A store that others write to as well; ``meanwhile`` happens right after the first look at what is stored."""

    exclusive = False

    def __init__(self, store: ColumnarStore, meanwhile: Callable[[], None] | None = None) -> None:
        self._store = store
        self._meanwhile = meanwhile

    def stored_versions(self, traces: Iterable[TraceKey]) -> dict[Any, int]:
        found = self._store.stored_versions(traces)
        if self._meanwhile:
            happens, self._meanwhile = self._meanwhile, None
            happens()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def server(folder: Path, store: Any, *spans: str) -> Callable[[], None]:
    """Return the drain of a server that has received these spans of the trace."""
    spool = SqliteSpool(folder, max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off")
    made = (otlp.span(TRACE, hex_id(name, 16), "", name, T0, NS) for name in spans)
    asyncio.run(spool.append("p", "traces", otlp.request(*made), records=len(spans)))
    drain = Pipeline(spool, store, Workshop(0), dict, Metrics(), Health())

    def run() -> None:
        drain._drain()
        spool.close()

    return run


def test_a_clock_that_was_ahead_does_not_freeze_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are told apart by stamps: those of the right time must still replace those of a wrong, later one."""
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    with columnar(tmp_path / "columnar") as store:
        with monkeypatch.context() as wrong:
            now_ns = time.time_ns
            wrong.setattr(time, "time_ns", lambda: now_ns() + 3600 * NS)
            server(tmp_path / "a.db", store, "a")()
        server(tmp_path / "b.db", store, "b", "c")()
        [row] = store.select("SELECT span_count FROM traces FINAL WHERE project_id = 'p'")
        assert row["span_count"] == 3
        server(tmp_path / "c.db", store, "d")()
        [row] = store.select("SELECT span_count FROM traces FINAL WHERE project_id = 'p'")
        assert row["span_count"] == 4


def test_parts_that_arrive_at_the_same_time_are_settled_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    with columnar(tmp_path / "columnar") as store:
        other = server(tmp_path / "b.db", Shared(store), "b", "c")
        server(tmp_path / "a.db", Shared(store, other), "a")()
        [row] = store.select("SELECT span_count FROM traces FINAL WHERE project_id = 'p'")
        assert row["span_count"] == 3
