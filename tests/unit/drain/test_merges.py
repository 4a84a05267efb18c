"""Merging waits while a backlog is stored, within bounds, and always goes on afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from spanhouse_server import pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.errors import StoreUnavailable
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import BATCHES_AHEAD, BEHIND_BATCHES, Pipeline
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store.columnar import merges
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.rows import lines, span_row
from tests import otlp
from tests.stored import NS, T0, columnar, hex_id, span


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ColumnarStore]:
    with columnar(tmp_path / "columnar") as opened:
        yield opened


def add_part(store: Any, name: str) -> None:
    store.insert("spans", lines([span_row("p", T0, 0, span("trace", name))]))


def parts(store: Any) -> int:
    sql = "SELECT count() AS n FROM system.parts WHERE active AND table = 'spans' AND database = currentDatabase()"
    return int(store.select(sql)[0]["n"])


def merges_now(store: Any) -> bool:
    """Tell whether the engine merges when it is asked to."""
    before = parts(store)
    with store._inserts.client() as client, contextlib.suppress(DatabaseError):
        # Where merging is stopped this is cancelled.
        client.command("OPTIMIZE TABLE spans FINAL")
    return before > 1 and parts(store) == 1


def test_put_off_and_taken_up_again(store: ColumnarStore) -> None:
    for name in ("a", "b", "c"):
        add_part(store, name)
        store.put_off_merges(True)
    assert not merges_now(store)
    assert parts(store) >= 2
    store.put_off_merges(False)
    assert merges_now(store)
    assert store.select("SELECT count() AS n FROM spans FINAL")[0]["n"] == 3


def test_parts_do_not_gather_without_end(store: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merges, "MOST_PARTS", 4)
    monkeypatch.setattr(merges, "FEW_PARTS", 2)
    store.put_off_merges(True)
    for name in ("a", "b", "c"):
        add_part(store, name)
        store.put_off_merges(True)
    assert not merges_now(store)
    add_part(store, "d")
    store.put_off_merges(True)
    # However much waits: enough have gathered.
    assert merges_now(store)
    add_part(store, "e")
    store.put_off_merges(True)
    assert merges_now(store)
    store.put_off_merges(True)
    add_part(store, "f")
    assert not merges_now(store)


def test_parts_that_no_merge_will_index_soon_are_indexed_at_once(store: ColumnarStore) -> None:
    add_part(store, "a")
    store.put_off_merges(True)
    add_part(store, "b")
    store.put_off_merges(False)
    add_part(store, "c")
    sql = (
        "SELECT secondary_indices_compressed_bytes > 0 AS indexed FROM system.parts"
        " WHERE active AND table = 'spans' AND database = currentDatabase() ORDER BY name"
    )
    assert [row["indexed"] for row in store.select(sql)] == [0, 1, 0]


def test_the_end_of_the_engine_is_no_fault(store: ColumnarStore, caplog: pytest.LogCaptureFixture) -> None:
    store.put_off_merges(True)
    store.close()
    store.put_off_merges(False)
    assert "merging could not be taken up again" in caplog.text


class Noting:
    """The real store; notes what it is asked about merging, and fails when told to."""

    def __init__(self, store: ColumnarStore) -> None:
        self._store = store
        self.wishes: list[bool] = []
        self.inserted_spans: list[int] = []
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_off_merges(self, wanted: bool) -> None:
        self.wishes.append(wanted)
        self._store.put_off_merges(wanted)

    def insert(self, table: str, rows: bytes, *more: Any) -> None:
        if self.fails and self.wishes[-1]:
            raise StoreUnavailable("the disk is full")
        if table == "spans":
            self.inserted_spans.append(len(rows.splitlines()))
        self._store.insert(table, rows, *more)


def test_only_a_drain_that_is_behind_puts_merging_off(
    store: ColumnarStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BATCH_ENTRIES", 1)
    noting = Noting(store)
    spool = SqliteSpool(tmp_path / "spool.db", max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off")
    try:
        for number in range(BEHIND_BATCHES + 2):
            body = otlp.request(otlp.span(hex_id(f"{number}"), hex_id("s", 16), "", "s", T0, NS))
            asyncio.run(spool.append("p", "traces", body, records=1))
        drain = Pipeline(spool, noting, Workshop(0), dict, Metrics(), Health())  # type: ignore[arg-type]
        noting.fails = True
        with pytest.raises(StoreUnavailable):
            drain._drain()
        assert noting.wishes == [False] * (BEHIND_BATCHES - 1) + [True, False]

        noting.fails = False
        noting.wishes.clear()
        drain._drain()
        # Three were left: no more than it takes to be behind.
        assert noting.wishes == [False] * (BEHIND_BATCHES - 1) + [True, False]
        assert store.select("SELECT count() AS n FROM spans FINAL")[0]["n"] == BEHIND_BATCHES + 2
    finally:
        spool.close()


class Hurried(Workshop):
    """Notes whether a second process is wanted."""

    def __init__(self, processes: int) -> None:
        super().__init__(processes)
        self.wishes: list[bool] = []

    def hurry(self, wanted: bool) -> None:
        self.wishes.append(wanted)
        super().hurry(wanted)


def test_batches_of_a_backlog_are_larger(store: ColumnarStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [otlp.request(otlp.span(hex_id(f"{number}"), hex_id("s", 16), "", "s", T0, NS)) for number in range(12)]
    monkeypatch.setattr(pipeline, "BATCH_BYTES", len(bodies[0]) + 1)
    monkeypatch.setattr(pipeline, "BEHIND_BYTES", 3 * len(bodies[0]) + 1)
    noting = Noting(store)
    spool = SqliteSpool(tmp_path / "spool.db", max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off")
    try:
        for body in bodies:
            asyncio.run(spool.append("p", "traces", body, records=1))
        workshop = Hurried(0)
        Pipeline(spool, noting, workshop, dict, Metrics(), Health())._drain()  # type: ignore[arg-type]
        assert workshop.wishes[: BEHIND_BATCHES + 1] == [False] * BEHIND_BATCHES + [True]
        small = BEHIND_BATCHES + BATCHES_AHEAD - 1  # what was claimed before the drain was behind
        assert noting.inserted_spans[:small] == [1] * small
        assert max(noting.inserted_spans) == 3
        assert sum(noting.inserted_spans) == len(bodies)
    finally:
        spool.close()
