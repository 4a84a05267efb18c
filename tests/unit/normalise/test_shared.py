"""What every dialect shares: context, outcome, time to first token, previews, search text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spanhouse_server.model.span import PREVIEW_CHARACTERS
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.messages import fold_message
from spanhouse_server.normalise.preview import MAX_TEXT_BYTES, bound
from spanhouse_server.normalise.view import View
from tests.unit.normalise.make import event, raw_span


@pytest.mark.parametrize(
    ("status", "attributes", "events", "error_type", "left"),
    [
        ("unset", {}, [], "", "unset"),
        ("error", {}, [], "unknown", "error"),
        ("error", {"error.type": "Timeout"}, [], "Timeout", "error"),
        ("unset", {"error.type": "Timeout"}, [], "Timeout", "error"),
        ("unset", {}, [event("exception", exception__type="ValueError")], "ValueError", "error"),
        ("error", {}, [event("exception", exception__type="A"), event("exception", exception__type="B")], "B", "error"),
        ("unset", {}, [event("exception", exception__message="no type")], "unknown", "error"),
        ("ok", {}, [event("exception", exception__type="Handled")], "", "ok"),
        ("ok", {"error.type": "Said"}, [], "Said", "ok"),
    ],
)
def test_outcome(status: str, attributes: dict[str, Any], events: list[Any], error_type: str, left: str) -> None:
    raw = raw_span(attributes, status_code=status, events=events)
    span = normalise(raw)
    assert (span.error_type, span.raw.status_code) == (error_type, left)
    assert ("status_inferred" in span.raw.flags) == (status == "unset" and left == "error")
    assert raw.status_code == status
    again = normalise(span.raw)
    assert (again.error_type, again.raw.status_code, again.raw.flags) == (error_type, left, span.raw.flags)


@pytest.mark.parametrize(
    ("attributes", "ttft_ns", "source"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.5}, 500_000_000, "client_chunk"),
        ({"gen_ai.response.time_to_first_chunk": "0.5"}, 500_000_000, "client_chunk"),
        ({"gen_ai.client.operation.time_to_first_chunk": 0.25}, 250_000_000, "client_chunk"),
        ({"gen_ai.server.time_to_first_token": 0.25}, 250_000_000, "server_token"),
        ({"gen_ai.response.time_to_first_chunk": -1}, None, ""),
        ({"gen_ai.response.time_to_first_chunk": "NaN"}, None, ""),
        ({"gen_ai.response.time_to_first_chunk": True}, None, ""),
        ({"gen_ai.response.time_to_first_chunk": 1e300}, None, ""),
    ],
)
def test_ttft(attributes: dict[str, Any], ttft_ns: int | None, source: str) -> None:
    span = normalise(raw_span(attributes))
    assert (span.ttft_ns, span.ttft_source) == (ttft_ns, source)


def test_a_first_token_before_the_start_is_no_time() -> None:
    assert normalise(raw_span({}, events=[event("First Token Stream Event", -5)])).ttft_ns is None


def test_session_precedence() -> None:
    attributes = {"gen_ai.conversation.id": "c", "mlflow.trace.session": "m", "session.id": "s"}
    assert normalise(raw_span(attributes)).session_id == "s"
    del attributes["session.id"]
    assert normalise(raw_span(attributes)).session_id == "c"
    assert normalise(raw_span({"session.id": True, "gen_ai.conversation.id": ["c"]})).session_id == ""


@pytest.mark.parametrize("tags", [["a", "b"], '["a", "b"]', "a, b", ["a", "b", "a", None, True]])
def test_tags(tags: Any) -> None:
    assert normalise(raw_span({"tag.tags": tags})).tags == ["a", "b"]


def test_metadata_is_bounded_text() -> None:
    span = normalise(raw_span({f"spanhouse.metadata.k{number}": "x" * 10_000 for number in range(1_000)}))
    assert len(span.metadata) == 128
    assert {len(value) for value in span.metadata.values()} == {4096}
    assert normalise(raw_span({"spanhouse.metadata.a": {"b": [1]}})).metadata == {"a": '{"b":[1]}'}


def test_resource_fields() -> None:
    span = normalise(
        raw_span(
            resource={"service.name": "s", "host.id": "h", "service.instance.id": 7, "deployment.environment": "e"}
        )
    )
    assert (span.service_name, span.host_name, span.service_instance_id, span.environment) == ("s", "h", "7", "e")


def chat(*messages: dict[str, Any], said: list[dict[str, Any]] | None = None) -> Any:
    """Return the canonical span of a chat."""
    return normalise(
        raw_span(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.input.messages": list(messages),
                "gen_ai.output.messages": said or [],
            }
        )
    )


def test_previews() -> None:
    user, tool = {"role": "user", "content": "  Why\n\tnot? "}, {"role": "tool", "tool_call_id": "c", "content": "seen"}
    call = {"type": "tool_call", "name": "look", "arguments": {"city": "Paris", "n": 2}}
    assert chat(user, tool).input_preview == "Why not?"
    assert chat(tool).input_preview == "seen"
    assert (
        chat(said=[{"role": "assistant", "parts": [call, call]}]).output_preview
        == "look(city=Paris, n=2), look(city=Paris, n=2)"
    )
    both = [{"role": "assistant", "parts": [{"type": "text", "content": "Looking."}, call]}]
    assert chat(said=both).output_preview == "Looking. look(city=Paris, n=2)"
    image = {"role": "user", "parts": [{"type": "blob", "modality": "image", "content": "AAAA"}]}
    assert chat(image).input_preview == "[image]"
    long = chat({"role": "user", "content": "word " * 1000})
    assert len(long.input_preview) == PREVIEW_CHARACTERS
    assert long.input_preview.endswith("…")


def test_search_text_is_bounded_and_keeps_both_ends() -> None:
    span = chat({"role": "user", "content": "first " + "é" * 200_000}, said=[{"role": "assistant", "content": "last"}])
    assert len(span.text.encode()) <= MAX_TEXT_BYTES
    assert span.text.startswith("first é")
    assert span.text.endswith("last")
    assert bound(["a" * MAX_TEXT_BYTES]) == "a" * MAX_TEXT_BYTES
    assert len(bound(["a" * (MAX_TEXT_BYTES + 1)]).encode()) <= MAX_TEXT_BYTES


def test_scopes_end_at_a_dot_and_families_are_found_again() -> None:
    view = View(raw_span({"a.b": 1, "a.c.d": 2, "ab": 3}, scope="x.y.z"))
    assert [view.in_scope(scope) for scope in ("x", "x.y", "x.y.z", "x.y.z.w", "x.", "y", "")] == [True] * 3 + [
        False
    ] * 4
    assert (view.roots, view.family("a."), view.family("a.")) == ({"a", "ab"}, ("a.b", "a.c.d"), ("a.b", "a.c.d"))
    view.overlay({"e.f": 4, "a.b": 5})
    assert (view.roots, view.get("a.b"), view.family("e.")) == ({"a", "ab", "e"}, 1, ("e.f",))


@pytest.mark.parametrize("kind", [[], {}, 5, None])
def test_a_message_with_any_type(kind: object) -> None:
    assert fold_message({"type": kind, "role": "user", "content": "a", "name": "b"})["role"] == "user"


@pytest.mark.parametrize("dialect", ["openinference", "openinference_json", "openllmetry"])
@pytest.mark.parametrize("told_twice", [True, False])
def test_a_call_told_as_function_and_as_tool_is_one(dialect: str, told_twice: bool) -> None:
    """llama-cpp-python answers with both generations of calls at once."""
    arguments, other = '{ "city": "Oslo" }', '{"city": "Bergen"}'
    legacy = {"name": "weather", "arguments": arguments if told_twice else other}
    tool = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "function_call": legacy, "tool_calls": [tool]}
    attributes = {
        "openinference": {
            "openinference.span.kind": "LLM",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.function_call_name": "weather",
            "llm.output_messages.0.message.function_call_arguments_json": legacy["arguments"],
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": arguments,
        },
        "openinference_json": {
            "openinference.span.kind": "LLM",
            "output.value": json.dumps({"object": "chat.completion", "choices": [{"index": 0, "message": message}]}),
            "output.mime_type": "application/json",
        },
        "openllmetry": {
            "traceloop.span.kind": "llm",
            "llm.request.type": "chat",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.function_call.name": "weather",
            "gen_ai.completion.0.function_call.arguments": legacy["arguments"],
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "weather",
            "gen_ai.completion.0.tool_calls.0.arguments": arguments,
        },
    }[dialect]
    (answer,) = normalise(raw_span(attributes)).output_messages
    calls = [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Oslo"}}]
    more = [] if told_twice else [{"type": "tool_call", "name": "weather", "arguments": {"city": "Bergen"}}]
    assert answer["parts"] == calls + more
