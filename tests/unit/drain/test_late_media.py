"""A record that comes days late keeps the media alive that it refers to: the real drain, with a clock that is moved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spanhouse_server import clock, pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.model.blob import reference_to
from spanhouse_server.normalise.langfuse_media import media_id
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.receive import langfuse_media
from spanhouse_server.receive.langfuse_ingestion import read_batch
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store.contract import ColumnarStore
from tests import otlp
from tests.samples_media import address, png
from tests.stored import NS, columnar, hex_id

DAY_S = 86_400
#: Far ahead: a merge would drop what is past its retention.
T0_S = 4_000_000_000
RETENTION_DAYS = 30


class House:
    """A spool, its drain and what they stored, on a day of our choice."""

    def __init__(self, store: ColumnarStore, spool: SqliteSpool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self._spool, self._patch = store, spool, monkeypatch
        self.project = "p"
        self._drain = Pipeline(spool, store, Workshop(0), lambda: {self.project: RETENTION_DAYS}, Metrics(), Health())

    def send(self, day: float, signal: str, body: bytes) -> None:
        """Receive and drain a body ``day`` days after ``T0_S``."""
        at_ns = round((T0_S + day * DAY_S) * NS)
        self._patch.setattr(clock, "time", SimpleNamespace(time_ns=lambda: at_ns))
        asyncio.run(self._spool.append(self.project, signal, body, records=1))
        self._drain._drain()

    def kept(self, data: bytes) -> list[int]:
        """Return until when each row of a blob is kept, in days after ``T0_S``."""
        rows = self.store.select(
            "SELECT version FROM blobs WHERE project_id = {p:String} AND hash = {h:String} ORDER BY version",
            {"p": self.project, "h": sha256(data).hexdigest()},
        )
        return [(row["version"] - T0_S) // DAY_S for row in rows]

    def spans_last(self) -> int:
        """Return until when the last span is kept, in days after ``T0_S``, as the table's TTL says."""
        (row,) = self.store.select(
            "SELECT max(toUnixTimestamp(received_at)) + max(retention_days) * 86400 AS lasts FROM spans FINAL"
            " WHERE project_id = {p:String}",
            {"p": self.project},
        )
        return (row["lasts"] - T0_S) // DAY_S


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        yield opened


@pytest.fixture
def house(
    store: ColumnarStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[House]:
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    spool = SqliteSpool(tmp_path / "spool.db", max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off")
    opened = House(store, spool, monkeypatch)
    opened.project = request.node.name[:60]
    yield opened
    spool.close()


def seen(data: bytes) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address(data)}}]}


def chat(*messages: Any) -> dict[str, Any]:
    return {"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(messages)}


def upload(data: bytes) -> bytes:
    digest = sha256(data).hexdigest()
    grant = langfuse_media.Grant("", digest, "image/png", len(data), T0_S)
    return langfuse_media.record_of(grant, data).SerializeToString()


def test_a_span_that_a_late_log_record_prolongs(house: House) -> None:
    data, trace_id, span_id = png(seed=501), hex_id("late log"), hex_id("late log", 16)
    house.send(0, "traces", otlp.request(otlp.span(trace_id, span_id, attributes=chat(seen(data)))))
    assert house.kept(data) == [31]
    house.send(9, "logs", otlp.log_request(trace_id, span_id, ("gen_ai.choice", {"message": {"content": "a"}}, {})))
    assert house.spans_last() == 39
    assert house.kept(data)[-1] == 40


def test_log_records_whose_span_comes_late(house: House) -> None:
    data, trace_id, span_id = png(seed=502), hex_id("late span"), hex_id("late span", 16)
    record = ("gen_ai.user.message", {"content": seen(data)["content"]}, {})
    house.send(0, "logs", otlp.log_request(trace_id, span_id, record))
    late = otlp.span(trace_id, span_id, attributes={"gen_ai.operation.name": "chat"})
    house.send(6, "traces", otlp.request(late))
    assert house.spans_last() == 36
    assert house.kept(data)[-1] == 37
    assert len(house.kept(data)) <= 2


def test_an_upload_that_later_spans_name(house: House) -> None:
    data = png(seed=503)
    house.send(0, "logs", upload(data))
    token = f"@@@langfuseMedia:type=image/png|id={media_id(sha256(data).hexdigest())}|source=base64_data_uri@@@"
    said = json.dumps([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": token}}]}])
    attributes = {"langfuse.observation.type": "generation", "langfuse.observation.input": said}
    for day, until in ((0.5, 31), (4, 35), (4.5, 35), (12, 43)):
        house.send(day, "traces", otlp.request(otlp.span(attributes=attributes), scope="langfuse-sdk"))
        assert house.kept(data)[-1] == until
    assert len(house.kept(data)) <= 3


def test_a_span_that_came_in_pieces_and_is_updated_late(house: House) -> None:
    data, trace = png(seed=504), hex_id("pieces")

    def event(kind: str, **body: Any) -> bytes:
        given = {"id": "g", "traceId": trace, "name": "g", "startTime": "2026-01-15T12:00:01Z", **body}
        one = {"id": hex_id(json.dumps(given)), "type": kind, "timestamp": "2026-01-15T12:00:01Z", "body": given}
        batch = read_batch(json.dumps({"batch": [one]}).encode(), {})
        assert not batch.errors
        return batch.message.SerializeToString()

    house.send(0, "logs", event("generation-create", input=[seen(data)]))
    house.send(7, "logs", event("generation-update", output="a pixel"))
    assert house.spans_last() == 37
    assert house.kept(data)[-1] == 38


def test_a_record_with_references_alone(house: House) -> None:
    """As another Spanhouse hands its spans on, and log records of any kind."""
    data = png(seed=505)
    house.send(0, "traces", otlp.request(otlp.span(attributes=chat(seen(data)))))
    (blob,) = house.store.select(
        "SELECT hash, media_type, size_bytes FROM blobs WHERE project_id = {p:String}", {"p": house.project}
    )
    text = reference_to(SimpleNamespace(**blob), False)  # type: ignore[arg-type]
    house.send(5, "traces", otlp.request(otlp.span(attributes={"note": f"see {text}"})))
    assert house.kept(data)[-1] == 36
    house.send(9, "logs", otlp.log_request(hex_id("x"), hex_id("x", 16), ("seen", {"image": text}, {})))
    assert house.kept(data)[-1] == 40


def test_the_same_span_again(house: House) -> None:
    data, trace_id, span_id = png(seed=506), hex_id("again"), hex_id("again", 16)
    body = otlp.request(otlp.span(trace_id, span_id, attributes=chat(seen(data))))
    house.send(0, "traces", body)
    house.send(8, "traces", body)
    assert (house.spans_last(), house.kept(data)[-1]) == (38, 39)
