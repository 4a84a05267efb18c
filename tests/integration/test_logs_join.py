"""Content that comes as log records ends on its span, whichever arrives first."""

from __future__ import annotations

import os

import pytest

from tests import otlp
from tests.server import Server, running

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with running(tmp_path_factory.mktemp("house")) as started:
        yield started


def send_span(server: Server, trace_id: str, span_id: str) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
    }
    body = otlp.request(otlp.span(trace_id, span_id, name="chat gpt-4o-mini", attributes=attributes))
    assert server.request("/v1/traces", body, PROTOBUF)[0] == 200


def send_logs(server: Server, trace_id: str, span_id: str) -> None:
    body = otlp.log_request(
        trace_id,
        span_id,
        ("gen_ai.user.message", {"content": "what is the capital of Peru?"}, {"gen_ai.system": "openai"}),
        (
            "gen_ai.choice",
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Lima."}},
            {"gen_ai.system": "openai"},
        ),
    )
    assert server.request("/v1/logs", body, PROTOBUF)[0] == 200


@pytest.mark.parametrize("order", ["span first", "logs first", "together", "span again"])
def test_messages_from_log_records(server: Server, order: str) -> None:
    trace_id, span_id = os.urandom(16).hex(), os.urandom(8).hex()
    if order == "logs first":
        send_logs(server, trace_id, span_id)
        server.wait_stored()
        send_span(server, trace_id, span_id)
    else:
        send_span(server, trace_id, span_id)
        if order != "together":
            server.wait_stored()
        send_logs(server, trace_id, span_id)
        if order == "span again":
            server.wait_stored()
            send_span(server, trace_id, span_id)
    server.wait_stored()
    span = server.call(f"/api/v1/traces/{trace_id}/spans/{span_id}")
    assert span["input_messages"][0]["parts"] == [{"type": "text", "content": "what is the capital of Peru?"}]
    assert span["output_messages"][0]["parts"] == [{"type": "text", "content": "Lima."}]
    assert span["input_preview"] == "what is the capital of Peru?"
    trace = server.call(f"/api/v1/traces/{trace_id}")
    assert (trace["span_count"], trace["input_tokens"], trace["output_tokens"]) == (1, 5, 2)
    found = server.call("/api/v1/traces?q=peru")["items"]
    assert trace_id in {item["trace_id"] for item in found}
