"""Exactly once to the eye: whatever is sent again, late, changed or split shows once and right."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests import otlp
from tests.server import Server, running

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with running(tmp_path_factory.mktemp("house")) as started:
        yield started


def usage(tokens: int, **more: object) -> dict[str, object]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": 1,
    } | more


def send(server: Server, *spans: dict[str, object]) -> None:
    assert server.request("/v1/traces", otlp.request(*spans), PROTOBUF)[0] == 200


def test_same_body_again_later(server: Server) -> None:
    trace_id = os.urandom(16).hex()
    spans = [otlp.span(trace_id, attributes=usage(10)) for _ in range(3)]
    before = server.wait_stored()
    send(server, *spans)
    server.wait_stored()
    send(server, *spans)
    send(server, *spans)
    after = server.wait_stored()
    trace = server.call(f"/api/v1/traces/{trace_id}")
    assert (trace["span_count"], trace["input_tokens"]) == (3, 30)
    assert after["received_spans"] - before["received_spans"] == 9
    assert after["stored_spans"] - before["stored_spans"] == 3
    assert after["duplicate_spans"] - before["duplicate_spans"] == 6


@pytest.mark.parametrize("moved_ns", [0, 3_600 * 10**9, -40 * 86_400 * 10**9])
def test_later_version_replaces_even_when_its_start_moved(server: Server, moved_ns: int) -> None:
    trace_id, span_id = os.urandom(16).hex(), os.urandom(8).hex()
    start_ns = time.time_ns()
    send(server, otlp.span(trace_id, span_id, start_ns=start_ns, attributes=usage(10)))
    server.wait_stored()
    send(server, otlp.span(trace_id, span_id, name="final", start_ns=start_ns + moved_ns, attributes=usage(25)))
    server.wait_stored()
    trace = server.call(f"/api/v1/traces/{trace_id}")
    assert (trace["span_count"], trace["input_tokens"]) == (1, 25)
    for path in (f"/api/v1/traces?q=trace:{trace_id}", f"/api/v1/spans?q=trace:{trace_id}"):
        items = server.call(path)["items"]
        assert [item["name"] for item in items] == ["final"]
    window = f"from=-90d&to={int(time.time()) + 86_400}"
    series = server.call(f"/api/v1/metrics?metric=input_tokens&{window}&q=trace:{trace_id}")["series"]
    assert [each["total"] for each in series] == [25]


def test_late_child_takes_over_the_count(server: Server) -> None:
    trace_id, agent_id, call_id = os.urandom(16).hex(), os.urandom(8).hex(), os.urandom(8).hex()
    agent = usage(40) | {"gen_ai.operation.name": "invoke_agent"}
    send(server, otlp.span(trace_id, agent_id, name="invoke_agent", attributes=agent))
    server.wait_stored()
    send(server, otlp.span(trace_id, call_id, agent_id, name="chat", attributes=usage(40, **{"session.id": "s-late"})))
    server.wait_stored()
    trace = server.call(f"/api/v1/traces/{trace_id}")
    assert (trace["span_count"], trace["input_tokens"], trace["session_id"]) == (2, 40, "s-late")
    detail = server.call(f"/api/v1/traces/{trace_id}/spans/{agent_id}")
    assert detail["usage"]["counted"] is False
    assert detail["session_id"] == "s-late"


def test_projects_do_not_see_each_other(server: Server) -> None:
    other = server.call("/api/v1/projects", {"name": f"other {os.urandom(3).hex()}"})["id"]
    trace_id = os.urandom(16).hex()
    body = otlp.request(otlp.span(trace_id, name="theirs"))
    assert server.request("/v1/traces", body, PROTOBUF | {"x-spanhouse-project": other})[0] == 200
    server.wait_stored()
    assert server.call(f"/api/v1/traces/{trace_id}?project={other}")["span_count"] == 1
    assert server.request(f"/api/v1/traces/{trace_id}")[0] == 404
    assert trace_id not in {item["trace_id"] for item in server.call("/api/v1/traces?limit=200")["items"]}


def test_restart_keeps_everything(tmp_path: Path) -> None:
    trace_id = os.urandom(16).hex()
    with running(tmp_path) as first:
        send(first, otlp.span(trace_id, attributes=usage(3)))
        assert first.stop() == 0
    with running(tmp_path) as second:
        second.wait_stored()
        assert second.call(f"/api/v1/traces/{trace_id}")["input_tokens"] == 3
