"""Identity, timing, outcomes, privacy and sessions of the spans."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.parse.contract import CallContext, CallEnd
from spanhouse_collector.parse.ids import span_context
from spanhouse_collector.parse.providers import address, provider_name
from spanhouse_collector.parse.reader import CallReader
from spanhouse_collector.parse.sessions import claude_code_user
from spanhouse_collector.parse.spans import call_spans
from tests.unit.collector.parse.calls import MS, START_NS, Call, read, start_of
from tests.unit.collector.parse.openai_streams import PLAY
from tests.unit.collector.parse.stored import attributes_of, stored
from tests.unit.collector.parse.streams import STREAMS

BY_NAME = {call.name: call for call in STREAMS}
TEXT = BY_NAME["openai_text"]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


# Identity ---------------------------------------------------------------------------------------


def test_same_call_is_the_same_span() -> None:
    one, two = call_spans(read(TEXT))[0], call_spans(read(TEXT))[0]
    other = call_spans(read(TEXT, call_id="another"))[0]
    assert one == two
    assert other.trace_id != one.trace_id
    assert other.span_id != one.span_id


def test_traceparent_is_continued_and_passed_on() -> None:
    context = span_context("c", PARENT)
    assert context.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert context.parent_span_id == "b7ad6b7169203331"
    assert context.traceparent == f"00-{context.trace_id}-{context.span_id}-01"
    assert span_context("x", context.traceparent).parent_span_id == context.span_id


@pytest.mark.parametrize(
    "bad",
    ["", "x", PARENT.upper(), PARENT + "-x", PARENT.replace("00-", "ff-", 1), f"00-{'0' * 32}-b7ad6b7169203331-01"],
)
def test_malformed_traceparent_begins_a_trace(bad: str) -> None:
    context = span_context("c", bad)
    assert context == span_context("c")
    assert context.parent_span_id == ""
    assert context.trace_flags == 1


@given(st.text())
def test_any_call_id_has_valid_ids(call_id: str) -> None:
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", span_context(call_id, call_id).traceparent)


# Timing -----------------------------------------------------------------------------------------


def test_time_to_first_token_is_that_of_content() -> None:
    reader = CallReader(start_of(TEXT))
    reader.response_start(200, [("content-type", "text/event-stream")], START_NS + MS)
    said = (b'{"role":"assistant","content":""}', b'{"content":"a"}', b'{"content":"b"}', b"{}")
    for place, delta in enumerate(said):
        event = b'data: {"choices":[{"index":0,"delta":' + delta + b"}]}\n\n"
        reader.response_chunk(event, START_NS + (place + 1) * 100 * MS)
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3}}\n\n'
    reader.response_chunk(usage, START_NS + 600 * MS)
    attributes = attributes_of(call_spans(reader.end(CallEnd("complete", START_NS + 700 * MS)))[0])
    assert attributes["gen_ai.response.time_to_first_chunk"] == 0.2
    assert attributes["gen_ai.server.time_to_first_token"] == 0.2
    assert attributes["gen_ai.server.time_per_output_token"] == 0.05
    assert attributes["spanhouse.proxy.time_to_first_byte_ms"] == 100


def test_reasoning_and_tool_calls_are_content() -> None:
    for name in ("deepseek", "openai_tools", "anthropic_tool", "responses_tool", "bedrock_converse", "ollama_chat"):
        assert read(BY_NAME[name]).reading.first_token_ns is not None, name


# Outcomes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "error_type", "message"),
    [
        ({"outcome": "client_disconnected"}, "client_disconnected", "the client went away"),
        ({"outcome": "timeout"}, "timeout", "the upstream did not answer in time"),
        ({"outcome": "upstream_error", "error_type": "ConnectionResetError", "error_message": "reset"}, "ConnectionResetError", "reset"),
        ({"outcome": "refused", "error_type": "rate_limited"}, "rate_limited", "the proxy refused the call"),
    ],
)  # fmt: skip
def test_outcomes(end: dict[str, Any], error_type: str, message: str) -> None:
    call = Call(**{**TEXT.__dict__, "body": TEXT.body[: len(TEXT.body) // 2]})
    (span,) = stored(read(call, end=end))
    assert span.error_type == error_type
    assert span.raw.status_code == "error"
    assert span.raw.status_message.startswith(message)
    assert span.raw.attributes["spanhouse.proxy.outcome"] == end["outcome"]
    assert span.raw.attributes["spanhouse.usage.source"] == "incomplete"
    assert PLAY.startswith(span.output_messages[0]["parts"][0]["content"])


def test_partial_usage_of_a_broken_stream_is_marked() -> None:
    call = BY_NAME["anthropic_tool"]
    half = Call(**{**call.__dict__, "body": call.body[: call.body.index(b"message_delta")]})
    (span,) = stored(read(half, end={"outcome": "client_disconnected"}))
    assert (span.usage.input_tokens, span.usage.output_tokens) == (141, 1)
    assert span.raw.attributes["spanhouse.usage.source"] == "partial"


def test_what_the_relay_knows_is_on_the_span() -> None:
    end = {"overhead_ns": 1_500_000, "retry_count": 2, "cache_hit": False, "fallback_index": 1}
    attributes = attributes_of(call_spans(read(TEXT, end=end, request_headers=[("User-Agent", "codex/1")]))[0])
    assert attributes["spanhouse.proxy.overhead_ms"] == 1.5
    assert attributes["http.request.resend_count"] == 2
    assert attributes["spanhouse.proxy.cache_hit"] is False
    assert attributes["spanhouse.proxy.fallback_index"] == 1
    assert attributes["user_agent.original"] == "codex/1"
    assert attributes["server.address"] == "upstream.example"
    assert attributes["server.port"] == 443


def test_cost_and_usage_as_served_are_kept() -> None:
    attributes = attributes_of(call_spans(read(BY_NAME["openrouter_comments_and_cost"]))[0])
    assert attributes["gen_ai.usage.cost"] == 0.00014
    assert attributes["spanhouse.proxy.served_by"] == "DeepInfra"
    assert '"cost":0.00014' in attributes["spanhouse.usage.served"]
    hour = attributes_of(call_spans(read(BY_NAME["anthropic_thinking_text"]))[0])
    assert '"ephemeral_1h_input_tokens":20' in hour["spanhouse.usage.served"]


def test_text_that_cannot_be_encoded_is_mended() -> None:
    start = start_of(TEXT, request_headers=[("tracestate", "\ud800"), ("user-agent", "\udfff")], traceparent=PARENT)
    object.__setattr__(start, "path", "/\ud83d/models")
    record = CallReader(start).end(CallEnd("upstream_error", START_NS, "\ud800", "\udcff"))
    (span,) = stored(record)
    assert span.raw.status_code == "error"
    assert span.raw.name.startswith("POST /")


# Privacy ----------------------------------------------------------------------------------------


def test_omitted_content_leaves_usage_and_model() -> None:
    asked = {**TEXT.request, "tools": [{"type": "function", "function": {"name": "secret_tool"}}], "temperature": 1}
    call = Call(**{**TEXT.__dict__, "request": asked})
    (hidden_request,) = stored(read(call, context=CallContext(omit_request=True)))
    assert "heißt du" not in str(hidden_request.raw)
    assert "secret_tool" not in str(hidden_request.raw)
    assert hidden_request.output_preview == PLAY
    (hidden_answer,) = stored(read(call, context=CallContext(omit_response=True)))
    assert "Ente" not in str(hidden_answer.raw)
    assert hidden_answer.input_preview == "Wie heißt du? 🦆"
    for span in (hidden_request, hidden_answer):
        assert span.usage.input_tokens == 31
        assert span.request_model == "gpt-4o"
        assert span.parameters["temperature"] == 1


def test_query_and_headers_do_not_reach_the_span() -> None:
    call = Call(**{**BY_NAME["gemini_sse_crlf"].__dict__, "query": "alt=sse&key=AIzaSecret"})
    url = f"https://generativelanguage.googleapis.com{call.path}?{call.query}"
    spans = call_spans(read(call, upstream_url=url, request_headers=[("x-other", "hush")]))
    assert "Secret" not in str(spans[0])
    assert "hush" not in str(spans[0])


# Sessions ---------------------------------------------------------------------------------------

OLD = "user_6f2a_account_1b2c-3d_session_9e8f-7a"
NEW = '{"device_id":"d1","account_uuid":"","session_id":"9e8f-7a"}'


def test_claude_code_user() -> None:
    assert claude_code_user(OLD) == ("1b2c-3d", "9e8f-7a")
    assert claude_code_user("user_6f2a_account__session_9e8f-7a") == ("6f2a", "9e8f-7a")
    assert claude_code_user(NEW) == ("d1", "9e8f-7a")
    for other in ("ann@example.com", "{", "{}", "[1]", "user_x_account_y"):
        assert claude_code_user(other) is None


@pytest.mark.parametrize(
    ("headers", "body_user", "context", "session", "user"),
    [
        ([], OLD, {}, "9e8f-7a", "1b2c-3d"),
        ([], NEW, {}, "9e8f-7a", "d1"),
        ([], "ann", {}, "", "ann"),
        ([("X-Claude-Code-Session-Id", "cc-1"), ("X-Session-Id", "s-2")], OLD, {}, "cc-1", "1b2c-3d"),
        ([("session_id", "codex-1")], "", {}, "codex-1", ""),
        ([("Session-Id", "codex-2")], "", {}, "codex-2", ""),
        ([("x-opencode-session", "ses_1")], "", {}, "ses_1", ""),
        ([("x-session-id", "bad id with spaces")], "", {}, "", ""),
        ([("X-Session-Id", "s-2")], OLD, {"session_id": "ours", "user_id": "me"}, "ours", "me"),
    ],
)
def test_session_and_user(headers: Any, body_user: str, context: dict[str, str], session: str, user: str) -> None:
    call = BY_NAME["anthropic_tool"]
    asked = {**call.request, "metadata": {"user_id": body_user}}
    record = read(Call(**{**call.__dict__, "request": asked}), request_headers=headers, context=CallContext(**context))
    (span,) = stored(record)
    assert (span.session_id, span.user_id) == (session, user)


# Providers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upstream", "url", "name"),
    [
        ("openai", "http://127.0.0.1:9000/v1", "openai"),
        ("main", "https://api.openai.com/v1", "openai"),
        ("main", "https://eu.api.openai.com/v1", "openai"),
        ("main", "https://api.openai.com.evil.example/v1", "main"),
        ("azure", "https://x.openai.azure.com/openai", "azure.ai.openai"),
        ("v", "https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com/model", "aws.bedrock"),
        ("Mistral", "http://localhost/", "mistral_ai"),
        ("my-vllm", "http://gpu1:8000", "my-vllm"),
    ],
)
def test_provider_names(upstream: str, url: str, name: str) -> None:
    assert provider_name(upstream, url) == name


def test_addresses() -> None:
    assert address("https://API.example/x") == ("api.example", 443)
    assert address("ws://[::1]:8080/x") == ("::1", 8080)
    assert address("http://host:99999/") == ("", None)
    assert address("") == ("", None)


def test_a_tool_of_the_providers_is_recorded_with_what_it_was_asked() -> None:
    (span,) = stored(read(BY_NAME["anthropic_server_tools"]))
    reasoning, asked, found, text = span.output_messages[0]["parts"]
    assert (reasoning["type"], text["type"]) == ("reasoning", "text")
    assert asked["server_tool_call"] == {"type": "web_search", "input": {"query": "weather"}}
    assert found["id"] == asked["id"] == "srv_1"
    assert found["server_tool_call_response"]["content"] == [{"type": "web_search_result", "url": "u"}]
    assert '"server_tool_use":{"web_search_requests":1}' in span.raw.attributes["spanhouse.usage.served"]
