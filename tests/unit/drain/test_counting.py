"""The durable counters of stored and repeated spans, whatever crashes between an insert and its acknowledgement."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server import pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.errors import DiskFull, Unavailable
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.receive.langfuse_ingestion import read_batch
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store.contract import ColumnarStore
from tests import otlp
from tests.stored import NS, T0, columnar, hex_id

TRACE = hex_id("t")


class Dying(SqliteSpool):
    """A spool that may be gone when a batch is to be acknowledged."""

    dies = False

    def ack(self, sequences: Any, **counts: Any) -> None:
        if self.dies:
            raise DiskFull("died", "", 1)
        super().ack(sequences, **counts)


class House:
    """A spool and its drain that crash and start again over the same files."""

    def __init__(self, store: ColumnarStore, folder: Path) -> None:
        self._store = store
        self._path = folder / "spool.db"
        self.retention_days: dict[str, int] = {}
        self.start()

    def start(self) -> None:
        self.spool = Dying(self._path, max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off")
        self._drain = Pipeline(self.spool, self._store, Workshop(0), lambda: self.retention_days, Metrics(), Health())

    def crash(self) -> None:
        """Store what waits as far as the acknowledgement, and lose all memory."""
        self.spool.dies = True
        with pytest.raises(Unavailable):
            self._drain._drain()
        self.spool.close()
        self.start()

    def select(self, sql: str) -> list[dict[str, Any]]:
        return self._store.select(sql)

    def drain(self) -> None:
        self._drain._drain()

    def spans(self, *names: str) -> None:
        made = (otlp.span(TRACE, hex_id(name, 16), "", name, T0, NS) for name in names)
        asyncio.run(self.spool.append("p", "traces", otlp.request(*made), records=len(names)))

    def langfuse(self, *observations: str) -> None:
        """Send an event of each, as the SDK does when something of it changes."""
        at = "2026-01-15T12:00:01Z"
        events = ", ".join(
            f'{{"id": "{name}", "type": "span-update", "timestamp": "{at}",'
            f' "body": {{"id": "{name}", "traceId": "{TRACE}", "name": "{name}", "startTime": "{at}"}}}}'
            for name in observations
        )
        root = f'{{"id": "root", "type": "trace-create", "timestamp": "{at}", "body": {{"id": "{TRACE}"}}}}'
        message = read_batch(f'{{"batch": [{root}, {events}]}}'.encode(), {}).message
        asyncio.run(self.spool.append("p", "logs", message.SerializeToString(), records=len(observations) + 1))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    with columnar(tmp_path / "columnar") as store:
        made = House(store, tmp_path)
        yield made
        made.spool.close()


def test_a_repeated_span_whose_batch_crashed_is_still_a_repeated_one(house: House) -> None:
    house.spans("a", "b")
    house.drain()
    house.spans("a", "c")
    house.crash()
    house.crash()
    house.drain()
    stats = house.spool.stats()
    assert (stats.received_spans, stats.stored_spans, stats.duplicate_spans) == (4, 3, 1)


def test_a_span_that_comes_again_while_its_batch_is_repeated_is_counted_once(house: House) -> None:
    house.spans("a")
    house.crash()
    house.spans("a")
    house.drain()
    stats = house.spool.stats()
    assert (stats.stored_spans, stats.duplicate_spans) == (1, 1)


@pytest.mark.parametrize(("before", "after"), [(30, 90), (90, 30), (0, 30), (30, 0)])
def test_a_span_in_pieces_is_kept_as_long_as_its_newest_piece(house: House, before: int, after: int) -> None:
    for house.retention_days["p"] in (before, after):
        house.langfuse("a")
        house.drain()
    kept = house.select("SELECT DISTINCT retention_days FROM spans FINAL WHERE project_id = 'p'")
    assert kept == [{"retention_days": after}]


def test_a_piece_that_comes_while_its_batch_is_repeated_changes_no_count(house: House) -> None:
    house.langfuse("a")
    house.crash()
    house.langfuse("a", "b")
    house.crash()
    house.drain()
    house.langfuse("a")
    house.crash()
    house.drain()
    assert house.spool.stats().stored_spans == 3  # the root that stands for the trace is one


@pytest.mark.parametrize("seed", range(6))
def test_the_counters_tell_what_is_stored_after_any_history(house: House, seed: int) -> None:
    chance = random.Random(seed)
    sent = 0
    spans, pieces = set(), set()
    for _ in range(12):
        for _ in range(chance.randrange(3)):
            names = chance.sample("abcdefgh", chance.randint(1, 4))
            spans |= set(names)
            sent += len(names)
            house.spans(*names)
        if chance.random() < 0.3:
            names = chance.sample("uvwxyz", chance.randint(1, 3))
            pieces |= set(names)
            house.langfuse(*names)
        if house.spool.stats().requests and chance.random() < 0.5:
            house.crash()
        elif chance.random() < 0.7:
            house.drain()
    house.drain()
    stats = house.spool.stats()
    made = len(pieces) + bool(pieces)
    assert stats.stored_spans == len(spans) + made
    assert (stats.received_spans, stats.duplicate_spans) == (sent + made, sent - len(spans))
