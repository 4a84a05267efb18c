"""Spans and model calls made by hand, what model functions return, and feedback."""

from __future__ import annotations

import time
from types import SimpleNamespace as Object

import pytest

import spanhouse

CHAT = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 12},
    },
}
ANTHROPIC = Object(
    id="msg_1",
    type="message",
    role="assistant",
    model="claude-sonnet-4-5",
    content=[Object(type="thinking", thinking="Hm."), Object(type="text", text="Hello")],
    stop_reason="end_turn",
    usage=Object(input_tokens=10, output_tokens=5, cache_read_input_tokens=80, cache_creation_input_tokens=20),
)
RESPONSES = {
    "id": "resp_1",
    "model": "o4-mini",
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Think."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "42"}]},
        {"type": "function_call", "call_id": "c9", "name": "add", "arguments": "{}"},
    ],
    "usage": {"input_tokens": 7, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4}},
}


def test_a_span_by_hand(recorded):
    with spanhouse.span("search", kind="retriever") as search:
        search.set_input("return policy")
        search.set_output([{"id": 7, "score": 0.9, "text": "30 days", "lang": "en"}, ("late", 0.1)])
        search.set_attribute("shop.shelf", {"row": 3})
        search.set_attribute("shop.sizes", ["S", "M"])
    with spanhouse.span("pay", kind="tool", input={"amount": 3}) as pay:
        pay.set_output("ok")
        pay.set_error("declined")
    spanhouse.flush(60)
    found = recorded.span("retrieval search")
    assert found.attributes["gen_ai.retrieval.query.text"] == "return policy"
    assert found.json("gen_ai.retrieval.documents") == [
        {"id": "7", "score": 0.9, "content": "30 days", "metadata": {"lang": "en"}},
        {"content": "late", "score": 0.1},
    ]
    assert found.json("shop.shelf") == {"row": 3}
    assert found.attributes["shop.sizes"] == ["S", "M"]
    paid = recorded.span("execute_tool pay")
    assert paid.json("gen_ai.tool.call.arguments") == {"amount": 3}
    assert (paid.status, paid.message) == (2, "declined")


def test_a_model_call_by_hand(recorded):
    messages = [
        {"role": "system", "content": "Be brief"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "http://x/a.png"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "12"},
    ]
    with spanhouse.llm_call(
        "gpt-4o", "openai", messages, parameters={"temperature": 0.5}, tools=[{"name": "t"}]
    ) as call:
        time.sleep(0.02)
        call.mark_first_token()
        call.mark_first_token()
        call.set_output("Hello")
        call.set_usage(input_tokens=5, output_tokens=2, cache_read_tokens=1, reasoning_tokens=1, cache_write_tokens=0)
        call.set_response(model="gpt-4o-2024", response_id="r1", finish_reason="stop")
    spanhouse.flush(60)
    span = recorded.span("chat gpt-4o")
    assert span.kind == 3
    assert span.attributes["gen_ai.provider.name"] == "openai"
    assert span.attributes["gen_ai.request.temperature"] == 0.5
    assert span.attributes["gen_ai.response.model"] == "gpt-4o-2024"
    assert span.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert span.attributes["gen_ai.usage.input_tokens"] == 5
    assert span.attributes["gen_ai.usage.cache_creation.input_tokens"] == 0
    assert span.attributes["gen_ai.usage.reasoning.output_tokens"] == 1
    assert 0.02 <= span.attributes["gen_ai.response.time_to_first_chunk"] < 0.5
    assert span.json("gen_ai.input.messages") == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief"}]},
        {
            "role": "user",
            "parts": [{"type": "text", "content": "Hi"}, {"type": "uri", "modality": "image", "uri": "http://x/a.png"}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "12", "id": "c1"}]},
    ]
    assert span.json("gen_ai.output.messages") == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello"}]}
    ]


def test_past_times_are_kept(recorded):
    start = 1_700_000_000_000_000_000
    with spanhouse.llm_call("m", start_time_ns=start) as call:
        call.mark_first_token(start + 250_000_000)
        call.end_time_ns = start + 2_000_000_000
    spanhouse.flush(60)
    span = recorded.span("chat m")
    assert (span.start_ns, span.end_ns) == (start, start + 2_000_000_000)
    assert span.attributes["gen_ai.response.time_to_first_chunk"] == 0.25


@pytest.mark.parametrize(
    ("answer", "usage", "parts"),
    [
        (
            CHAT,
            {"input_tokens": 100, "output_tokens": 30, "cache_read.input_tokens": 64, "reasoning.output_tokens": 12},
            [{"type": "tool_call", "name": "weather", "arguments": {"city": "Oslo"}, "id": "c1"}],
        ),
        (
            ANTHROPIC,
            {"input_tokens": 110, "output_tokens": 5, "cache_read.input_tokens": 80, "cache_creation.input_tokens": 20},
            [{"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "Hello"}],
        ),
        (
            RESPONSES,
            {"input_tokens": 7, "output_tokens": 9, "reasoning.output_tokens": 4},
            [
                {"type": "reasoning", "content": "Think."},
                {"type": "text", "content": "42"},
                {"type": "tool_call", "name": "add", "arguments": {}, "id": "c9"},
            ],
        ),
        ("Just text", {}, [{"type": "text", "content": "Just text"}]),
    ],
    ids=["openai-chat", "anthropic", "openai-responses", "text"],
)
def test_model_functions_are_read_by_their_answer(recorded, answer, usage, parts):
    @spanhouse.llm
    def ask(messages, model="small", temperature=None):
        return answer

    assert ask([{"role": "user", "content": "Hi"}], model="gpt-4o", temperature=0.1) is answer
    spanhouse.flush(60)
    span = recorded.span("chat ask")
    assert span.attributes["gen_ai.request.model"] == "gpt-4o"
    assert span.attributes["gen_ai.request.temperature"] == 0.1
    assert span.json("gen_ai.input.messages") == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    (message,) = span.json("gen_ai.output.messages")
    assert (message["role"], message["parts"]) == ("assistant", parts)
    assert {k[len("gen_ai.usage.") :]: v for k, v in span.attributes.items() if k.startswith("gen_ai.usage.")} == usage


def test_a_streaming_model_function_is_put_together_again(recorded):
    def chunk(**delta):
        return {"object": "chat.completion.chunk", "model": "m-1", "id": "c", "choices": [{"index": 0, "delta": delta}]}

    @spanhouse.llm
    def stream(prompt):
        time.sleep(0.02)
        yield chunk(role="assistant", content="Hel")
        yield chunk(content="lo")
        yield chunk(tool_calls=[{"index": 0, "id": "t1", "function": {"name": "f", "arguments": '{"a"'}}])
        yield chunk(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}])
        yield {"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}

    assert len(list(stream("Hi"))) == 5
    spanhouse.flush(60)
    span = recorded.span("chat stream")
    assert span.json("gen_ai.output.messages")[0]["parts"] == [
        {"type": "text", "content": "Hello"},
        {"type": "tool_call", "name": "f", "arguments": {"a": 1}, "id": "t1"},
    ]
    assert span.attributes["gen_ai.response.model"] == "m-1"
    assert span.attributes["gen_ai.usage.output_tokens"] == 4
    assert span.attributes["gen_ai.request.stream"] is True
    assert 0.02 <= span.attributes["gen_ai.response.time_to_first_chunk"] < 0.5


def test_anthropic_events_are_put_together_again(recorded):
    events = [
        {
            "type": "message_start",
            "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 9, "cache_read_input_tokens": 3}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Bon"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "jour"}},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"q":2}'}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 8}},
    ]

    @spanhouse.llm
    def stream():
        yield from events

    list(stream())
    spanhouse.flush(60)
    span = recorded.span("chat stream")
    (message,) = span.json("gen_ai.output.messages")
    assert message["parts"] == [
        {"type": "text", "content": "Bonjour"},
        {"type": "tool_call", "name": "f", "arguments": {"q": 2}, "id": "t"},
    ]
    assert message["finish_reason"] == "tool_call"
    assert span.attributes["gen_ai.usage.input_tokens"] == 12
    assert span.attributes["gen_ai.usage.output_tokens"] == 8


def test_scores_go_to_the_api(recorded):
    with spanhouse.span("turn") as turn:
        first = spanhouse.score("helpful", True, explanation="said thanks")
    second = spanhouse.score("tone", label="friendly", session_id="s-1")
    third = spanhouse.score("faithful", 0.4, trace_id=turn.trace_id)
    spanhouse.flush(60)
    assert [score["id"] for score in recorded.scores] == [first, second, third]
    assert recorded.scores[0] == {
        "id": first,
        "trace_id": turn.trace_id,
        "span_id": turn.span_id,
        "name": "helpful",
        "value": 1.0,
        "explanation": "said thanks",
        "source": "sdk",
    }
    assert recorded.scores[1] == {
        "id": second,
        "session_id": "s-1",
        "name": "tone",
        "label": "friendly",
        "source": "sdk",
    }
    assert (recorded.scores[2]["trace_id"], recorded.scores[2]["span_id"]) == (turn.trace_id, "")


def test_a_refused_score_does_not_take_others_with_it(recorded):
    with spanhouse.span("turn"):
        for name in ("a", "b", "bad", "c", "d"):
            spanhouse.score(name, 1)
    assert spanhouse.flush(60)
    assert sorted(score["name"] for score in recorded.scores) == ["a", "b", "c", "d"]


def test_scores_that_fit_nothing_are_not_sent(recorded, warnings):
    assert spanhouse.score("helpful", 1) is None
    with spanhouse.span("turn"):
        assert spanhouse.score("helpful") is None
        assert spanhouse.score("helpful", "not a number") is None
        assert spanhouse.score("helpful", float("nan")) is None
    spanhouse.flush(60)
    assert recorded.scores == []
    assert len(warnings.records) == 3
