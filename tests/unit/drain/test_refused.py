"""A request with a row that the store can never take does not hold up the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server import pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.errors import RowsRefused, StoreError
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store.contract import ColumnarStore
from tests import otlp
from tests.stored import NS, T0, columnar, hex_id


class Garbling:
    """The real store, before which rows that hold ``poison`` lose a quote."""

    def __init__(self, store: ColumnarStore) -> None:
        self._store = store
        self.garbles = True

    def insert(self, table: str, rows: Any, columns: Any = ()) -> None:
        block = rows if isinstance(rows, bytes) else Path(rows).read_bytes()
        self._store.insert(table, block.replace(b'"poison"', b'"poison') if self.garbles else block, columns)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Garbling]:
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    with columnar(tmp_path / "columnar") as real:
        yield Garbling(real)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[SqliteSpool]:
    made = SqliteSpool(tmp_path / "spool.db", max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off")
    yield made
    made.close()


def drain(spool: SqliteSpool, store: Any) -> None:
    Pipeline(spool, store, Workshop(0), dict, Metrics(), Health())._drain()


def put(spool: SqliteSpool, *names: str) -> None:
    for name in names:
        body = otlp.request(otlp.span(hex_id(name), hex_id(name, 16), "", name, T0, NS))
        asyncio.run(spool.append("p", "traces", body, records=1))


def names(store: Any) -> list[str]:
    return sorted(row["name"] for row in store.select("SELECT name FROM traces FINAL WHERE project_id = 'p'"))


def test_only_the_request_with_the_refused_row_is_set_aside(store: Garbling, spool: SqliteSpool) -> None:
    put(spool, "a", "b", "poison", "c", "d")
    drain(spool, store)
    assert names(store) == ["a", "b", "c", "d"]
    [aside] = spool.list_set_aside()
    assert aside.sequence == 3
    assert "the table spans cannot take a row" in aside.reason
    stats = spool.stats()
    assert (stats.requests, stats.stored_spans, stats.duplicate_spans) == (0, 4, 0)

    store.garbles = False
    spool.replay()
    drain(spool, store)
    assert names(store) == ["a", "b", "c", "d", "poison"]
    assert spool.stats().stored_spans == 5


def test_a_refused_request_alone_is_set_aside_too(store: Garbling, spool: SqliteSpool) -> None:
    put(spool, "poison")
    drain(spool, store)
    assert [aside.sequence for aside in spool.list_set_aside()] == [1]
    assert spool.stats().requests == 0


def test_a_store_that_takes_nothing_at_all_costs_no_request(
    store: Garbling, spool: SqliteSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise StoreError("the table spans is gone")

    monkeypatch.setattr(store, "insert", lost)
    put(spool, "a", "b")
    with pytest.raises(StoreError):
        drain(spool, store)
    assert (spool.list_set_aside(), spool.stats().requests) == ([], 2)


def test_where_nothing_can_be_read_no_request_is_to_blame(
    store: Garbling, spool: SqliteSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise MemoryError

    put(spool, "a", "b")
    workshop = Workshop(0)
    monkeypatch.setattr(workshop, "result", broken)
    with pytest.raises(MemoryError):
        Pipeline(spool, store, workshop, dict, Metrics(), Health())._drain()
    assert (spool.list_set_aside(), spool.stats().requests) == ([], 2)


def test_refused_rows_are_told_from_refused_statements(store: Garbling) -> None:
    with pytest.raises(RowsRefused):
        store.insert("traces", b'{"start_ns": "noon"}')
    with pytest.raises(StoreError) as fault:
        store.insert("no_such_table", b"{}")
    assert type(fault.value) is StoreError
