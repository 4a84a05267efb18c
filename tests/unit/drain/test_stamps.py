"""Settle stamps of batches that are prepared while an earlier one is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spanhouse_server import pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import STAMP_S, Pipeline
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store.contract import ColumnarStore
from tests import otlp
from tests.stored import NS, T0, columnar, hex_id


class Slow:
    """A store whose inserts into ``spans`` take a while by the drain's clock; notes a settle stamp of that moment."""

    def __init__(self, store: ColumnarStore, takes_s: float) -> None:
        self._store = store
        self._takes_s = takes_s
        self.now_s = 0.0
        self.drain: Pipeline | None = None
        self.stored_ns: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def insert(self, table: str, *given: Any) -> None:
        if table == "spans" and self.drain is not None:
            self.now_s += self._takes_s
            self.stored_ns.append(self.drain._stamps.next_ns())
        self._store.insert(table, *given)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ColumnarStore]:
    with columnar(tmp_path / "columnar") as opened:
        yield opened


@pytest.mark.parametrize("takes_s", [STAMP_S - 1, STAMP_S + 1])
def test_a_batch_that_waited_long_is_stamped_anew(
    store: ColumnarStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_s: float
) -> None:
    slow, spool = (
        Slow(store, takes_s),
        SqliteSpool(tmp_path / "spool.db", max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off"),
    )
    monkeypatch.setattr(pipeline, "time", SimpleNamespace(monotonic=lambda: slow.now_s))
    monkeypatch.setattr(pipeline, "BATCH_ENTRIES", 1)
    for number in range(2):
        body = otlp.request(otlp.span(hex_id(f"t{number}"), hex_id("s", 16), "", "call", T0, NS))
        asyncio.run(spool.append("p", "traces", body, records=1))
    slow.drain = Pipeline(spool, slow, Workshop(0), dict, Metrics(), Health())
    slow.drain._drain()
    versions = {row["trace_id"]: row["version"] for row in store.select("SELECT trace_id, version FROM traces")}
    assert len(versions) == 2
    assert (versions[hex_id("t1")] > slow.stored_ns[0]) is (takes_s > STAMP_S)
    assert spool.stats().stored_spans == 2
    spool.close()
