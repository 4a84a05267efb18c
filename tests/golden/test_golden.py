"""What real instrumentations sent, read by us, against what the provider truly served.

Nothing here compares with our own output: tokens, words, ids and tool calls come from
``expected/``, which the recorder wrote from the provider's books. ``FAMILIES`` states what an
instrumentation does not tell at all; for that the canonical field must be empty, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import orjson
import pytest

from spanhouse_server.model.span import Span
from tests.golden.case import Truth, all_cases, spans_of, truth_of, words
from tests.golden.record import CASES

ANTHROPIC_SDK = "com.anthropic.sdk.python"


@dataclass(frozen=True, slots=True)
class Tells:
    """What a family of instrumentations puts on its spans."""

    dialect: str = "otel"
    content: bool = True
    response_id: bool = True
    finish: bool = True
    cache: bool = True
    reasoning: bool = True
    tools: bool = True
    several_parts: bool = True
    stream_usage: bool = True
    call_ids: bool = True
    ttft: str = ""


OPENAI_V2 = Tells(cache=False, reasoning=False, tools=False)
UTIL_GENAI = Tells(ttft="client_chunk")
OPENINFERENCE = Tells(dialect="openinference", ttft="event")
OPENLLMETRY_OLD = Tells(dialect="openllmetry", reasoning=False)
#: By the beginning of a case's name; the longest one that fits holds.
FAMILIES = {
    "openai_v2": OPENAI_V2,
    "openai_v2_latest": replace(OPENAI_V2, several_parts=False),
    "openai_v2_no_content": replace(OPENAI_V2, content=False),
    "genai_openai": UTIL_GENAI,
    "genai_anthropic": replace(UTIL_GENAI, reasoning=False),
    "anthropic_sdk": Tells(content=False, tools=False, reasoning=False),
    "openinference": OPENINFERENCE,
    "openinference_openai_responses": replace(OPENINFERENCE, finish=False),
    "openinference_anthropic": replace(OPENINFERENCE, reasoning=False, ttft=""),
    "openinference_old_anthropic": replace(OPENINFERENCE, cache=False, reasoning=False, finish=False, call_ids=False),
    "openllmetry_openai": Tells(several_parts=False, ttft="event"),
    "openllmetry_anthropic": Tells(reasoning=False),
    "openllmetry_old_openai": replace(OPENLLMETRY_OLD, ttft="event", stream_usage=False),
    "openllmetry_old_anthropic": OPENLLMETRY_OLD,
}
#: The same end of an answer, as providers and emitters name it.
SAME_FINISH = {
    "tool_calls": {"tool_calls", "tool_call"},
    "tool_use": {"tool_use", "tool_call", "tool_calls"},
    "end_turn": {"end_turn", "stop"},
    "stop": {"stop"},
    "completed": {"stop", "completed"},
}
#: Output tokens an emitter adds of its own: this one sums a stream's first, provisional count (1) and
#: its last, which already holds everything. We keep what was sent.
MISCOUNTED = {"openllmetry_anthropic_stream": 1}
MODEL_CASES = [case for case in all_cases() if "langchain" not in case]


def tells(case: str) -> Tells:
    """Return what the instrumentation of a case tells."""
    return FAMILIES[max((family for family in FAMILIES if case.startswith(family)), key=len)]


def model_spans(case: str) -> list[Span]:
    """Return the spans of model calls; of a doubly reported call (T18) only the instrumentation's."""
    spans = [span for span in spans_of(case) if span.category in ("llm", "embedding")]
    others = [span for span in spans if span.raw.scope.name != ANTHROPIC_SDK]
    return others or spans


def calls(case: str) -> list[tuple[Span, Truth]]:
    """Return each model call's span with the truth about it."""
    spans, truths = model_spans(case), truth_of(case)
    assert len(spans) == len(truths)
    return list(zip(spans, truths, strict=True))


def test_every_case_is_recorded() -> None:
    assert all_cases() == sorted(case.name for case in CASES)


@pytest.mark.parametrize("case", all_cases())
def test_every_span_is_mapped_and_serialisable(case: str) -> None:
    for span in spans_of(case):
        assert "unmapped" not in span.raw.flags
        assert not span.truncated
        fields = {name: getattr(span, name) for name in span.__slots__ if name not in ("raw", "cost")}
        assert orjson.loads(orjson.dumps(fields))
        assert span.service_name == "golden"
        assert (span.host_name, span.service_instance_id) == ("host-a", "golden-1")
        assert (span.environment, span.release) == ("test", "1.2.3")


@pytest.mark.parametrize("case", MODEL_CASES)
def test_identity(case: str) -> None:
    for span, truth in calls(case):
        assert span.dialect == tells(case).dialect
        assert span.category == ("embedding" if truth.api == "embeddings" else "llm")
        assert span.operation == ("embeddings" if truth.api == "embeddings" else "chat")
        assert span.provider == ("anthropic" if truth.api == "messages" else "openai")
        assert span.request_model == truth.request_model
        if truth.status == 200:
            assert span.response_model == truth.model
            assert span.response_id == (truth.response_id if tells(case).response_id else "")


@pytest.mark.parametrize("case", MODEL_CASES)
def test_usage(case: str) -> None:
    for span, truth in calls(case):
        usage = span.usage
        streamed = case.endswith("stream") and not tells(case).stream_usage
        if truth.status != 200 or not truth.usage_sent or streamed:
            assert not usage.known
            continue
        assert usage.input_tokens == truth.input_tokens
        output_tokens = None if truth.output_tokens is None else truth.output_tokens + MISCOUNTED.get(case, 0)
        assert usage.output_tokens == output_tokens
        assert (usage.cache_read_tokens or 0) == (truth.cache_read_tokens if tells(case).cache else 0)
        assert (usage.cache_write_tokens or 0) == (truth.cache_write_tokens if tells(case).cache else 0)
        assert (usage.reasoning_tokens or 0) == (truth.reasoning_tokens if tells(case).reasoning else 0)


@pytest.mark.parametrize("case", MODEL_CASES)
def test_conversation(case: str) -> None:
    for span, truth in calls(case):
        if truth.api == "embeddings":
            continue
        if not tells(case).content:
            parts = [part for message in span.input_messages + span.output_messages for part in message["parts"]]
            assert not any(part.get("content") or part.get("arguments") or part.get("response") for part in parts)
            continue
        if not tells(case).several_parts and isinstance(truth.request["messages"][0]["content"], list):
            assert not any(message["parts"] for message in span.input_messages)
            continue
        given = [words(message) for message in span.input_messages]
        if truth.system_text:
            given = [turn for turn in given if turn[0] != "system"]
            said = [part["content"] for part in span.system_instructions] or [
                words(message)[1] for message in span.input_messages if message["role"] == "system"
            ]
            assert said == [truth.system_text]
        assert given == truth.conversation
        assert span.input_preview == [text for role, text in truth.conversation if role == "user"][-1]
        if truth.status != 200:
            assert span.output_messages == []
            continue
        assert {message["role"] for message in span.output_messages} == {"assistant"}
        said = [
            part["content"] for message in span.output_messages for part in message["parts"] if part["type"] == "text"
        ]
        assert said == ([truth.text] if truth.text else [])
        assert all(turn[1] in span.text for turn in truth.conversation if turn[0] == "user")
        assert truth.text in span.text


@pytest.mark.parametrize("case", [case for case in MODEL_CASES if case.endswith("tools")])
def test_tool_calls(case: str) -> None:
    for span, truth in calls(case):
        if tells(case).content:
            made = [part for part in span.output_messages[0]["parts"] if part["type"] == "tool_call"]
            wanted = [(call["name"], orjson.loads(call["arguments"])) for call in truth.tool_calls]
            assert [(call["name"], call["arguments"]) for call in made] == wanted
            ids = [call["id"] if tells(case).call_ids else None for call in truth.tool_calls]
            assert [call.get("id") for call in made] == ids
            if wanted:
                assert span.output_preview == "get_weather(city=Paris)"
        if tells(case).tools:
            assert [tool["name"] for tool in span.tool_definitions] == ["get_weather"]
            assert span.tool_definitions[0]["parameters"]["required"] == ["city"]
        else:
            assert span.tool_definitions == []


@pytest.mark.parametrize("case", MODEL_CASES)
def test_finish_reason(case: str) -> None:
    for span, truth in calls(case):
        if truth.finish_reason and tells(case).finish:
            assert len(span.finish_reasons) == 1
            assert span.finish_reasons[0] in SAME_FINISH[truth.finish_reason]


@pytest.mark.parametrize("case", [case for case in MODEL_CASES if case.endswith("error")])
def test_error(case: str) -> None:
    [(span, truth)] = calls(case)
    assert truth.status in (429, 529)
    assert span.raw.status_code == "error"
    assert span.error_type.rpartition(".")[2] in ("RateLimitError", "OverloadedError", "InternalServerError")
    assert span.cost.reported_usd is None


@pytest.mark.parametrize("case", [case for case in MODEL_CASES if case.endswith("_stream")])
def test_time_to_first_token(case: str) -> None:
    [(span, truth)] = calls(case)
    assert span.ttft_source == tells(case).ttft
    if tells(case).ttft:
        duration_ns = span.raw.end_ns - span.raw.start_ns
        assert span.ttft_ns is not None
        assert 0 < span.ttft_ns <= duration_ns
        if truth.api == "chat":  # the provider waited 30 ms before it began
            assert span.ttft_ns >= 30_000_000


@pytest.mark.parametrize("case", [case for case in MODEL_CASES if case.endswith("vision")])
def test_image(case: str) -> None:
    [(span, truth)] = calls(case)
    url = truth.request["messages"][0]["content"][1]["image_url"]["url"]
    images = [part for message in span.input_messages for part in message["parts"] if part["type"] == "blob"]
    if tells(case).several_parts:
        assert [(part["modality"], part["mime_type"]) for part in images] == [("image", "image/png")]
        assert url.endswith("," + images[0]["content"])
        assert images[0]["content"] not in span.text
    else:
        assert images == []


@pytest.mark.parametrize("case", [case for case in MODEL_CASES if case.endswith("thinking")])
def test_reasoning_is_kept_apart(case: str) -> None:
    [(span, truth)] = calls(case)
    kinds = [part["type"] for part in span.output_messages[0]["parts"]]
    assert kinds == ["reasoning", "text"]
    assert span.output_preview == truth.text


def test_embedding_inputs() -> None:
    [(span, truth)] = calls("openinference_openai_embeddings")
    assert [part["content"] for part in span.input_messages[0]["parts"]] == truth.request["input"]
    assert span.output_messages == []


def test_anthropic_call_reported_twice_carries_one_response_id() -> None:
    for case in ("genai_anthropic_chat", "openinference_anthropic_chat", "openllmetry_anthropic_chat"):
        spans = [span for span in spans_of(case) if span.category == "llm"]
        ids = [truth.response_id for truth in truth_of(case)]
        assert sorted(span.response_id for span in spans) == sorted(ids * 2)
        assert {span.usage.input_tokens for span in spans} == {truth_of(case)[0].input_tokens}


def test_langchain_agent() -> None:
    spans, truths = spans_of("openinference_langchain_agent"), truth_of("openinference_langchain_agent")
    models = [span for span in spans if span.category == "llm"]
    assert [span.response_id for span in models] == [truth.response_id for truth in truths]
    assert [span.usage.input_tokens for span in models] == [truth.input_tokens for truth in truths]
    assert [span.usage.output_tokens for span in models] == [truth.output_tokens for truth in truths]
    assert not any(span.usage.known for span in spans if span.category != "llm")
    assert [words(message) for message in models[1].input_messages] == truths[1].conversation
    [tool] = [span for span in spans if span.category == "tool"]
    assert (tool.tool_name, tool.tool_result) == ("get_weather", "It is 21 degrees in Paris.")
    assert tool.tool_call_id == truths[0].tool_calls[0]["id"]
    root = spans[0]
    assert (root.raw.parent_span_id, root.category) == ("", "workflow")
    assert (root.input_preview, root.output_preview) == ("What is the weather in Paris?", truths[1].text)


def test_langchain_retriever() -> None:
    [span] = spans_of("openinference_langchain_retriever")
    assert (span.category, span.operation) == ("retriever", "retrieval")
    assert [document["content"] for document in span.documents] == [
        "A span is one operation.",
        "A trace is a tree of spans.",
    ]
    assert [document["metadata"] for document in span.documents] == [{"page": 7}, {"page": 8}]
    assert (span.input_preview, span.output_preview) == ("What is a span?", "A span is one operation.")
    assert (span.session_id, span.user_id, span.tags) == ("session-1", "user-1", ["golden", "chain"])
    assert span.metadata["plan"] == "pro"
    assert span.metadata["seats"] == "3"
