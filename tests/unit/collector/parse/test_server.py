"""What the proxy sends is what the server understands: spans go through its decoding and mapping."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spanhouse_collector.parse.contract import CallContext
from spanhouse_server.normalise.names import fold_finish_reason
from tests.unit.collector.parse.calls import MS, START_NS, Call, read
from tests.unit.collector.parse.stored import stored
from tests.unit.collector.parse.streams import STREAMS

BY_NAME = {call.name: call for call in STREAMS}


@pytest.mark.parametrize("call", STREAMS, ids=list(BY_NAME))
def test_every_stream_is_stored_as_served(call: Call) -> None:
    (span,) = stored(read(call))
    used = span.usage
    assert (
        used.input_tokens,
        used.output_tokens,
        used.cache_read_tokens,
        used.cache_write_tokens,
        used.reasoning_tokens,
    ) == call.usage
    assert used.basis in ("", "inclusive")
    parts = [part for said in span.output_messages for part in said["parts"]]
    assert "".join(part["content"] for part in parts if part["type"] == "text") == call.text
    assert "".join(part["content"] for part in parts if part["type"] == "reasoning") == call.reasoning
    assert tuple((part["name"], part["arguments"]) for part in parts if part["type"] == "tool_call") == call.tools
    assert span.response_model == call.model
    assert tuple(span.finish_reasons) == tuple(map(fold_finish_reason, call.finish))
    assert span.error_type == call.error
    assert span.raw.status_code == ("error" if call.error else "unset")
    assert span.category == "llm"
    assert span.raw.kind == "client"
    assert not span.truncated
    if call.text and call.content_type != "application/json":
        assert span.ttft_ns == 4 * MS + MS
        assert span.ttft_source == "client_chunk"


@pytest.mark.parametrize(
    ("name", "status", "provider"),
    [
        ("openai_text", "priced", "openai"),
        ("anthropic_tool", "priced", "anthropic"),
        ("gemini_array", "priced", "gcp.gemini"),
        ("vertex_array", "priced", "gcp.vertex_ai"),
        ("openai_without_usage", "unpriced", "openai"),
        ("bedrock_invoke_claude", "priced", "aws.bedrock"),
    ],
)
def test_provider_and_price(name: str, status: str, provider: str) -> None:
    (span,) = stored(read(BY_NAME[name]))
    assert span.provider == provider
    assert span.cost.status == status, span.cost.reason


def test_cost_is_that_of_the_buckets() -> None:
    # 31 input tokens, 16 of them cached, 9 output: gpt-4o at 2.50, 1.25 and 10 dollars a million.
    (span,) = stored(read(BY_NAME["openai_text"]))
    assert span.cost.total_usd == Decimal("0.0000025") * 15 + Decimal("0.00000125") * 16 + Decimal("0.00001") * 9


def test_context_reaches_the_canonical_fields() -> None:
    context = CallContext(
        session_id="s-1",
        user_id="u-1",
        tags=("beta", "eu"),
        properties={"Team": "search"},
        prompt_name="greeting",
        prompt_version="3",
        environment="staging",
        session_path="/a/b",
    )
    (span,) = stored(read(BY_NAME["openai_text"], context=context))
    assert (span.session_id, span.user_id, span.tags) == ("s-1", "u-1", ["beta", "eu"])
    assert span.metadata == {"Team": "search", "session_path": "/a/b"}
    assert (span.prompt_name, span.prompt_version, span.environment) == ("greeting", "3", "staging")
    assert span.service_name == "spanhouse-proxy"


def test_request_is_stored() -> None:
    call = BY_NAME["openai_text"]
    (span,) = stored(read(Call(**{**call.__dict__, "request": {**call.request, "temperature": 0.5, "stop": "END"}})))
    assert span.request_model == "gpt-4o"
    assert span.operation == "chat"
    assert span.parameters["temperature"] == 0.5
    assert span.parameters["stop_sequences"] == ["END"]
    assert span.parameters["stream"] is True
    assert span.input_messages == [{"role": "user", "parts": [{"type": "text", "content": "Wie heißt du? 🦆"}]}]
    assert span.input_preview == "Wie heißt du? 🦆"
    assert span.raw.start_ns == START_NS
    assert span.raw.end_ns == START_NS + 900 * MS


def test_answer_from_our_cache_costs_nothing() -> None:
    (span,) = stored(read(BY_NAME["openai_text"], end={"cache_hit": True}))
    assert (span.usage.input_tokens, span.usage.output_tokens) == (0, 0)
    assert span.cost.total_usd == 0
    assert span.raw.attributes["spanhouse.cache.saved_input_tokens"] == 31


def test_trace_is_continued() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    (span,) = stored(read(BY_NAME["openai_text"], traceparent=parent, request_headers=[("TraceState", "a=b")]))
    assert span.raw.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert span.raw.parent_span_id == "b7ad6b7169203331"
    assert span.raw.trace_state == "a=b"
