"""Strands: what its events mean, and its milliseconds."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import event, raw_span

DETAILS = "gen_ai.client.inference.operation.details"


@pytest.mark.parametrize(
    ("value", "ttft_ns"), [(985, 985_000_000), ("54", 54_000_000), (0, None), (-3, None), (1e12, None), ("x", None)]
)
def test_ttft_in_milliseconds(value: Any, ttft_ns: int | None) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.server.time_to_first_token": value}
    span = normalise(raw_span(attributes, scope="strands.telemetry.tracer"))
    assert (span.dialect, span.ttft_ns) == ("strands", ttft_ns)


def test_older_scope_and_system() -> None:
    assert normalise(raw_span({}, scope="strands-agents")).dialect == "strands"
    span = normalise(raw_span({"gen_ai.system": "strands-agents", "gen_ai.operation.name": "chat"}))
    assert (span.dialect, span.provider) == ("strands", "")


def test_cycle_keeps_its_first_input_and_ends_with_tool_results() -> None:
    asked = '[{"role": "user", "parts": [{"type": "text", "content": "Look."}]}]'
    said = '[{"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {}}]}]'
    got = '[{"role": "user", "parts": [{"type": "tool_call_response", "id": "c1", "response": [{"text": "it"}]}]}]'
    events = [
        event(DETAILS, gen_ai__input__messages=asked),
        event(DETAILS, gen_ai__output__messages=said),
        event(DETAILS, gen_ai__input__messages=got),
    ]
    span = normalise(
        raw_span({"gen_ai.operation.name": "execute_event_loop_cycle"}, scope="strands.telemetry.tracer", events=events)
    )
    assert (span.category, span.input_preview) == ("agent", "Look.")
    assert [message["role"] for message in span.output_messages] == ["assistant", "tool"]
    assert span.output_messages[1]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "it"}]


def test_tool_with_several_blocks_keeps_them() -> None:
    blocks = '[{"text": "one"}, {"image": {"format": "png"}}]'
    events = [
        event("gen_ai.tool.message", content='{"at": "it"}', role="tool"),
        event("gen_ai.choice", message=blocks, id="c1"),
    ]
    span = normalise(
        raw_span({"gen_ai.operation.name": "execute_tool"}, scope="strands.telemetry.tracer", events=events)
    )
    assert span.tool_arguments == {"at": "it"}
    assert span.tool_result == [{"text": "one"}, {"image": {"format": "png"}}]
