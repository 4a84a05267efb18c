"""What real instrumentations sent, read by us, against what the provider truly served.

Nothing here compares with our own output: tokens, words, ids and tool calls come from
``expected/``, which the recorder wrote from the provider's books. ``tells`` states what an
instrumentation does not tell at all; for that the canonical field must be empty, not guessed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest
from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

from spanhouse_server.model.facts import SpanFacts, TraceRow
from spanhouse_server.model.span import Span, Usage
from spanhouse_server.normalise.settle import settle
from spanhouse_server.price import price
from spanhouse_server.store.rows import facts_of
from tests.golden.case import Truth, all_cases, spans_of, truth_of, words
from tests.golden.record import CASES
from tests.golden.tells import FINISH, MISCOUNTED, tells
from tests.unit.normalise.settle_facts import settle_all

ANTHROPIC_SDK = "com.anthropic.sdk.python"


#: Scenarios with more than plain model calls; each has a test of its own.
OTHER_SCENARIOS = (
    *("agent", "bridged", "cache_hit", "crew", "fallback", "feedback", "joined", "langchain", "pipeline", "retriever"),
    "watched",
)
MODEL_CASES = [case for case in all_cases() if not case.endswith(OTHER_SCENARIOS)]


#: By the provider's API: what it is called, and whose it is, where these are not ``chat`` and ``openai``.
OPERATIONS = {"embeddings": "embeddings", "gemini": "generate_content", "gemini_embeddings": "embeddings"}
PROVIDERS = {"gemini": "gcp.gemini", "gemini_embeddings": "gcp.gemini", "messages": "anthropic"}


def model_spans(case: str) -> list[Span]:
    """Return the spans of model calls, the inner one of two layers.

    Of a call that its client reports too (T18), only the instrumentation's.
    """
    spans = [span for span in spans_of(case) if span.category in ("llm", "embedding")]
    others = [span for span in spans if span.raw.scope.name != ANTHROPIC_SDK]
    outer = {span.raw.parent_span_id for span in others}
    return [span for span in others if span.raw.span_id not in outer] or spans


def untold(case: str, truth: Truth) -> bool:
    """Tell whether a case's instrumentation says nothing of what a call used."""
    streamed = case.endswith("stream") and not tells(case).stream_usage
    embedded = truth.api == "embeddings" and not tells(case).embedding_usage
    return truth.status != 200 or not truth.usage_sent or streamed or embedded


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
        embeds = truth.api.endswith("embeddings")
        operation = OPERATIONS.get(truth.api, "chat")
        assert span.category == ("embedding" if embeds else "llm")
        assert span.operation == (operation if embeds else tells(case).operation or operation)
        provider = tells(case).provider_name or PROVIDERS.get(truth.api, "openai")
        assert span.provider == (provider if tells(case).provider else "")
        answered = truth.model if truth.status == 200 else truth.request_model
        assert span.request_model == (truth.request_model if tells(case).asked else answered)
        if truth.status == 200:
            assert (span.response_model if tells(case).served else span.model) == (
                truth.model if tells(case).served else truth.request_model
            )
            if not tells(case).own_ids:
                assert span.response_id == (truth.response_id if tells(case).response_id else "")


@pytest.mark.parametrize("case", MODEL_CASES)
def test_usage(case: str) -> None:
    for span, truth in calls(case):
        usage = span.usage
        if untold(case, truth):
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
        if truth.api.endswith("embeddings"):
            continue
        if not tells(case).content:
            parts = [part for message in span.input_messages + span.output_messages for part in message["parts"]]
            assert not any(part.get("content") or part.get("arguments") or part.get("response") for part in parts)
            continue
        if not tells(case).several_parts and isinstance(truth.request["messages"][0]["content"], list):
            assert not any(message["parts"] for message in span.input_messages)
            continue
        given = [words(message) for message in span.input_messages]
        told = [part["content"] for part in span.system_instructions]
        told += [text for role, text in given if role == "system"]
        commanded = [truth.system_text] if truth.system_text and tells(case).system else []
        assert told == commanded + [text for role, text in truth.conversation if role == "system"]
        left_out = {"system"} if tells(case).history else {"system", "assistant"}
        assert [turn for turn in given if turn[0] not in left_out] == [
            turn for turn in truth.conversation if turn[0] not in left_out
        ]
        assert span.input_preview == [text for role, text in truth.conversation if role == "user"][-1]
        if truth.status != 200:
            assert not any(message["parts"] for message in span.output_messages)
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
                assert span.output_preview == f"{wanted[0][0]}(city=Paris)"
        if tells(case).tools:
            assert [tool["name"] for tool in span.tool_definitions] == ["get_weather"]
            parameters = span.tool_definitions[0].get("parameters")
            assert (parameters["required"] == ["city"]) if tells(case).schemas else (parameters is None)
        else:
            assert span.tool_definitions == []


@pytest.mark.parametrize("case", MODEL_CASES)
def test_finish_reason(case: str) -> None:
    for span, truth in calls(case):
        if truth.finish_reason:
            assert span.finish_reasons == ([FINISH[truth.finish_reason]] if tells(case).finish else [])
            told = [message.get("finish_reason", "stop") for message in span.output_messages]
            assert set(told) <= {FINISH[truth.finish_reason], "stop"}


@pytest.mark.parametrize("case", [case for case in MODEL_CASES if case.endswith("error")])
def test_error(case: str) -> None:
    [(span, truth)] = calls(case)
    assert truth.status in (429, 529)
    assert span.raw.status_code == "error"
    errors = {tells(case).error} if tells(case).error else {"RateLimitError", "OverloadedError", "InternalServerError"}
    assert span.error_type.rpartition(".")[2] in errors
    assert span.cost.reported_usd is None


@pytest.mark.parametrize("case", [case for case in MODEL_CASES if case.endswith("_stream")])
def test_time_to_first_token(case: str) -> None:
    [(span, truth)] = calls(case)
    assert span.ttft_source == tells(case).ttft
    if tells(case).ttft:
        duration_ns = span.raw.end_ns - span.raw.start_ns
        assert span.ttft_ns is not None
        assert 0 < span.ttft_ns <= duration_ns
        if truth.api in ("chat", "gemini") and tells(case).waits:  # the provider waited 30 ms before it began
            assert span.ttft_ns >= 30_000_000


@pytest.mark.parametrize("case", [case for case in MODEL_CASES if case.endswith("vision")])
def test_image(case: str) -> None:
    [(span, truth)] = calls(case)
    if truth.api == "gemini":
        url = "," + truth.request["contents"][0]["parts"][1]["inlineData"]["data"]
        url = url.replace("-", "+").replace("_", "/")  # its client sends the other alphabet
    else:
        url = truth.request["messages"][0]["content"][1]["image_url"]["url"]
    images = [part for message in span.input_messages for part in message["parts"] if part["type"] == "blob"]
    if tells(case).several_parts and tells(case).image:
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


@pytest.mark.parametrize("case", ["openinference_langchain_agent", "openllmetry_langchain_agent"])
def test_langchain_agent(case: str) -> None:
    spans, truths = spans_of(case), truth_of(case)
    models = [span for span in spans if span.category == "llm"]
    assert [span.response_id for span in models] == [truth.response_id for truth in truths]
    assert [span.usage.input_tokens for span in models] == [truth.input_tokens for truth in truths]
    assert [span.usage.output_tokens for span in models] == [truth.output_tokens for truth in truths]
    assert not any(span.usage.known for span in spans if span.category != "llm")
    assert [words(message) for message in models[1].input_messages] == truths[1].conversation
    [tool] = [span for span in spans if span.category == "tool"]
    assert (tool.tool_name, tool.tool_result) == ("get_weather", "It is 21 degrees in Paris.")
    assert tool.tool_arguments in ({"city": "Paris"}, "Paris")
    assert tool.tool_call_id == truths[0].tool_calls[0]["id"]
    root = next(span for span in spans if span.category == "workflow")
    outermost = spans[0] if case.startswith("openinference") else spans[1]  # OpenLLMetry also tells of making the agent
    assert outermost.raw.parent_span_id == ""
    assert root.raw.parent_span_id in ("", outermost.raw.span_id)
    assert (root.input_preview, root.output_preview) == ("What is the weather in Paris?", truths[1].text)


@pytest.mark.parametrize("case", ["openinference_langchain_retriever", "openllmetry_langchain_retriever"])
def test_langchain_retriever(case: str) -> None:
    [span] = spans_of(case)
    assert (span.category, span.operation) == ("retriever", "retrieval")
    assert [document["content"] for document in span.documents] == [
        "A span is one operation.",
        "A trace is a tree of spans.",
    ]
    assert [document["metadata"] for document in span.documents] == [{"page": 7}, {"page": 8}]
    assert (span.input_preview, span.output_preview) == ("What is a span?", "A span is one operation.")
    if case.startswith("openllmetry"):  # session and user were set by OpenInference's means
        return
    assert (span.session_id, span.user_id, span.tags) == ("session-1", "user-1", ["golden", "chain"])
    assert span.metadata["plan"] == "pro"
    assert span.metadata["seats"] == "3"


def settled_traces(case: str) -> list[tuple[set[str], TraceRow]]:
    """Return each trace of a case as stored, with the scopes that wrote it.

    A client's reports in traces of their own are left to themselves: ``test_golden_across`` looks at both together.
    """
    facts: dict[str, list[SpanFacts]] = {}
    for span in spans_of(case):
        span.cost = price(span)
        facts.setdefault(span.raw.trace_id, []).append(facts_of(1, 0, span))
    scopes = {trace: {fact.scope_name for fact in its} for trace, its in facts.items()}
    if {ANTHROPIC_SDK} in scopes.values():
        settled = {trace: settle("p", its, 1) for trace, its in facts.items()}
    else:
        settled = settle_all(fact for its in facts.values() for fact in its)
    return [(scopes[trace], one.trace) for trace, one in settled.items()]


def told_usage(case: str, truth: Truth, of_client: bool = False) -> Usage | None:
    """Return what a case's instrumentation tells of what was served, nothing where it does not."""
    if untold(case, truth):
        return None
    cache = of_client or tells(case).cache
    return Usage(
        truth.input_tokens,
        (truth.output_tokens or 0) + (0 if of_client else MISCOUNTED.get(case, 0)),
        truth.cache_read_tokens if cache else 0,
        truth.cache_write_tokens if cache else 0,
    )


def list_price(truth: Truth, usage: Usage, at_ns: int) -> Decimal:
    """Return what the public list charges for a call, by the list's own arithmetic."""
    counted = types.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    provider = {"messages": "anthropic", "gemini": "google"}.get(truth.api, "openai")
    moment = datetime.fromtimestamp(at_ns / 1e9, UTC)
    return get_snapshot().calc(counted, truth.model, provider, None, moment).total_price


@pytest.mark.parametrize("case", [case for case in all_cases() if not case.endswith("feedback")])
def test_counted_tokens_are_those_served_and_cost_is_price_times_served(case: str) -> None:
    traces, truths = settled_traces(case), truth_of(case)
    # A client that reports its own calls in traces of their own (T18): each of the two reports must be right.
    own = [trace for scopes, trace in traces if scopes == {ANTHROPIC_SDK}]
    others = [trace for scopes, trace in traces if scopes != {ANTHROPIC_SDK}]
    for side, of_client in ((own, True), (others, False)):
        if not side:
            continue
        told = [(truth, told_usage(case, truth, of_client)) for truth in truths]
        served = [(truth, usage) for truth, usage in told if usage is not None]
        assert sum(trace.input_tokens or 0 for trace in side) == sum(usage.input_tokens or 0 for _, usage in served)
        assert sum(trace.output_tokens or 0 for trace in side) == sum(usage.output_tokens or 0 for _, usage in served)
        cost = sum((trace.cost_usd for trace in side if trace.cost_usd is not None), Decimal(0))
        assert cost == sum((list_price(truth, usage, side[0].start_ns) for truth, usage in served), Decimal(0))
        assert all(trace.cost_usd is None for trace in side) == (not served)
