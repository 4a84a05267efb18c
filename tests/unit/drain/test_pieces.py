"""Spans made of Langfuse's events: from all their pieces, and from those of their own project alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server import pipeline
from spanhouse_server.drain import pieces
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.normalise.langfuse_events import root_hex
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.receive.langfuse_ingestion import read_batch
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import columnar, hex_id

TRACE = hex_id("t")


class House:
    """A spool, its drain and what they stored."""

    def __init__(self, store: ColumnarStore, spool: SqliteSpool) -> None:
        self._store, self.spool = store, spool
        self._drain = Pipeline(spool, store, Workshop(0), dict, Metrics(), Health())

    def send(self, project: str, *events: dict[str, Any]) -> None:
        batch = read_batch(json.dumps({"batch": events}).encode(), {})
        assert not batch.errors
        asyncio.run(self.spool.append(project, "logs", batch.message.SerializeToString(), records=len(events)))
        self._drain._drain()

    def spans(self, project: str) -> dict[str, dict[str, Any]]:
        """Return the stored spans of a project by name."""
        sql = (
            "SELECT name, span_id, intDiv(end_ns, 1000000000) % 60 AS end_s FROM spans FINAL"
            " WHERE project_id = {project:String} ORDER BY name"
        )
        return {row["name"]: row for row in self._store.select(sql, {"project": project})}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    spool = SqliteSpool(tmp_path / "spool.db", max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off")
    with columnar(tmp_path / "columnar") as store:
        yield House(store, spool)
    spool.close()


def at(second: int) -> str:
    return f"2026-01-15T12:00:{second:02}Z"


def observation(name: str, **body: Any) -> dict[str, Any]:
    given = {"id": name, "traceId": TRACE, "name": name, "startTime": at(1), **body}
    return {"id": hex_id(json.dumps(given)), "type": "span-create", "timestamp": at(1), "body": given}


def root(name: str) -> dict[str, Any]:
    return {"id": name, "type": "trace-create", "timestamp": at(0), "body": {"id": TRACE, "name": name}}


def test_projects_with_the_same_ids_do_not_mix(house: House) -> None:
    house.send("p", root("mine"), observation("a", id="same", endTime=at(2)))
    house.send("q", root("theirs"), observation("b", id="same", endTime=at(9)))
    house.send("p", observation("late", endTime=at(3)))
    assert {name: span["end_s"] for name, span in house.spans("p").items()} == {"a": 2, "late": 3, "mine": 3}
    assert {name: span["end_s"] for name, span in house.spans("q").items()} == {"b": 9, "theirs": 9}
    stats = house.spool.stats()
    assert (stats.received_spans, stats.stored_spans, stats.duplicate_spans) == (5, 5, 0)


def test_the_root_ends_with_the_last_of_its_spans(house: House) -> None:
    house.send("p", root("whole"), *(observation(name, endTime=at(s)) for name, s in (("a", 3), ("b", 8), ("c", 5))))
    assert house.spans("p")["whole"] == {"name": "whole", "span_id": root_hex(TRACE), "end_s": 8}


def test_many_spans_are_made_in_parts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 3)
    house.send("p", root("whole"), *(observation(f"o{n}", endTime=at(2)) for n in range(10)))
    assert len(house.spans("p")) == 11
