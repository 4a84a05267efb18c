"""Media from the wire to the store: the real receiver, spool, pipeline and embedded engine."""

# ruff: noqa: F811 - fixtures of another file

from __future__ import annotations

import json
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from spanhouse_server.errors import StoreUnavailable
from spanhouse_server.query.blobs import blob_bytes
from tests import otlp
from tests.samples_media import address, b64, png, uri, wav
from tests.unit.receive.test_vendor_stored import Kept, kept, store  # noqa: F401  fixtures

Row = dict[str, Any]
PNG, WAV = png(), wav()


def image(data: bytes = PNG) -> Row:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address(data)}}]}


def chat(*messages: Row) -> Row:
    return {"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(messages)}


def blobs(kept: Kept) -> dict[str, int]:
    """Return how many rows were ever written of each blob."""
    found = kept.store.select("SELECT hash, count() AS n FROM blobs WHERE project_id = 'default' GROUP BY hash")
    return {row["hash"]: row["n"] for row in found}


def test_one_image_in_fifty_turns_is_stored_once(kept: Kept) -> None:
    data = png(24, 20, seed=50)
    trace_id = "50" * 16
    for turn in range(1, 51):
        body = otlp.request(
            otlp.span(trace_id, f"{turn:016x}", name=f"turn {turn}", attributes=chat(*[image(data)] * turn))
        )
        assert kept.end.post("/v1/traces", body).status == 200
        if turn in (10, 20, 50):
            kept.drain()
    assert blobs(kept)[sha256(data).hexdigest()] == 1
    last = kept.spans(trace_id)["turn 50"]
    parts = [part for message in last["input_messages"] for part in message["parts"]]
    assert (
        parts
        == [
            {
                "type": "uri",
                "modality": "image",
                "uri": uri(data),
                "mime_type": "image/png",
                "size_bytes": len(data),
                "address": f"/api/v1/blobs/{sha256(data).hexdigest()}",
            }
        ]
        * 50
    )
    rows = kept.store.select(
        "SELECT * FROM spans FINAL WHERE project_id = 'default' AND trace_id = {t:String}", {"t": trace_id}
    )
    assert len(rows) == 50
    assert b64(data)[60:120] not in str(rows)
    assert blob_bytes(kept.store, "default", sha256(data).hexdigest()) == data


def test_media_in_log_records_and_their_spans(kept: Kept) -> None:
    data, trace_id, span_id = png(seed=7), "71" * 16, "7" * 16
    message = ExportLogsServiceRequest()
    record = (
        message.resource_logs.add()
        .scope_logs.add()
        .log_records.add(
            trace_id=bytes.fromhex(trace_id),
            span_id=bytes.fromhex(span_id),
            time_unix_nano=time.time_ns(),
            event_name="gen_ai.user.message",
        )
    )
    record.body.CopyFrom(otlp.any_value({"content": image(data)["content"]}))
    span = otlp.span(trace_id, span_id, name="seen", attributes={"gen_ai.operation.name": "chat"})
    assert kept.end.post("/v1/traces", otlp.request(span)).status == 200
    assert kept.end.post("/v1/logs", message.SerializeToString()).status == 200
    kept.drain()
    (part,) = kept.spans(trace_id)["seen"]["input_messages"][0]["parts"]
    assert part["uri"] == uri(data)
    (row,) = kept.store.select("SELECT body FROM logs FINAL WHERE trace_id = {t:String}", {"t": trace_id})
    assert uri(data) in row["body"]
    assert b64(data)[60:120] not in row["body"]
    assert blob_bytes(kept.store, "default", sha256(data).hexdigest()) == data


@pytest.mark.parametrize("refused", ["blobs", "spans"])
def test_a_store_that_refuses_half_way_loses_nothing(
    kept: Kept,
    refused: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, trace_id = png(seed=len(refused) * 1000 + ord(refused[0])), refused.encode().hex().ljust(32, "0")
    assert (
        kept.end.post("/v1/traces", otlp.request(otlp.span(trace_id, "a" * 16, attributes=chat(image(data))))).status
        == 200
    )
    insert: Callable[..., None] = kept.store.insert

    def failing(table: str, *more: Any) -> None:
        if table == refused:
            raise StoreUnavailable("gone for a moment")
        insert(table, *more)

    monkeypatch.setattr(kept.store, "insert", failing)
    with pytest.raises(StoreUnavailable):
        kept.drain()
    assert not kept.spans(trace_id)
    monkeypatch.setattr(kept.store, "insert", insert)
    kept.drain()
    assert blobs(kept)[sha256(data).hexdigest()] == 1
    (part,) = kept.spans(trace_id)["work"]["input_messages"][0]["parts"]
    assert part["uri"] == uri(data)
    assert kept.counted()[:3] == (1, 1, 0)


def test_lists_and_search_hold_no_base64(kept: Kept) -> None:
    data, trace_id = wav(), "ab" * 16
    answer = json.dumps({"content": [{"type": "audio", "data": b64(data), "mimeType": "audio/wav"}]})
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "speak", "gen_ai.tool.call.result": answer}
    assert (
        kept.end.post("/v1/traces", otlp.request(otlp.span(trace_id, "b" * 16, name="t", attributes=tool))).status
        == 200
    )
    kept.drain()
    (found,) = kept.store.select(
        "SELECT output_preview, search_text FROM spans FINAL WHERE trace_id = {t:String}", {"t": trace_id}
    )
    assert "[audio/wav]" in found["output_preview"]
    assert b64(data)[30:60] not in str(found)
