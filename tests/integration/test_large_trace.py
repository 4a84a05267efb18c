"""A trace of thousands of spans that grows batch by batch: shown as it grows, right in the end."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests import otlp
from tests.server import Server, running

PROTOBUF = {"content-type": "application/x-protobuf"}
#: Enough for the trace to count as large after the first of them.
BATCHES, SPANS = 8, 1500
DEADLINE_S = 60


def grow(server: Server, trace_id: str, root: str, spans: int) -> None:
    usage = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 2}
    body = otlp.request(*(otlp.span(trace_id, parent_id=root, attributes=usage) for _ in range(spans)))
    assert server.request("/v1/traces", body, PROTOBUF)[0] == 200


def wait_for(server: Server, trace_id: str, spans: int) -> dict[str, object]:
    """Return the trace once its header counts so many spans."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        trace = server.call(f"/api/v1/traces/{trace_id}?limit=20000")
        if trace["span_count"] == spans:
            return trace
        assert time.monotonic() < deadline, f"{trace['span_count']} of {spans} spans"
        time.sleep(0.1)


def test_new_spans_show_at_once_and_totals_follow(tmp_path: Path) -> None:
    trace_id, root = os.urandom(16).hex(), os.urandom(8).hex()
    with running(tmp_path) as server:
        for number in range(BATCHES):
            grow(server, trace_id, root, SPANS)
            server.wait_stored()
            shown = server.call(f"/api/v1/traces/{trace_id}?limit=20000")
            assert len(shown["spans"]) == (number + 1) * SPANS
        assert server.request("/v1/traces", otlp.request(otlp.span(trace_id, root, name="top")), PROTOBUF)[0] == 200
        trace = wait_for(server, trace_id, BATCHES * SPANS + 1)
        assert (trace["name"], trace["input_tokens"], trace["missing_parents"]) == ("top", 2 * BATCHES * SPANS, 0)


def test_totals_owed_at_a_crash_are_made_up_after_it(tmp_path: Path) -> None:
    trace_id, root = os.urandom(16).hex(), os.urandom(8).hex()
    with running(tmp_path) as server:
        for _ in range(3):
            grow(server, trace_id, root, SPANS)
            server.wait_stored()
        server.kill()
        server.start()
        assert wait_for(server, trace_id, 3 * SPANS)["input_tokens"] == 2 * 3 * SPANS
