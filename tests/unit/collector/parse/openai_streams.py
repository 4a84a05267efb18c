"""Streams of OpenAI and of those who speak like it, in the forms their servers send, with the truth beside them."""

from __future__ import annotations

from typing import Any

from tests.fakes import openai_chat, openai_responses
from tests.fakes.answers import Answer, ToolCall
from tests.fakes.knobs import Knobs
from tests.unit.collector.parse.calls import Call, Json, named, sse

USER = [{"role": "user", "content": "Wie heißt du? 🦆"}]
PLAY = "Grüß Gott, ich heiße 🦆 Ente."
CALL = ToolCall("call_1_0", "get_weather", '{"city": "Zürich", "days": 3}')
ARGUMENTS = {"city": "Zürich", "days": 3}
CHAT = "/v1/chat/completions"
KNOBS = Knobs(model="gpt-4o")
CLAUDE = Knobs(model="claude-sonnet-4-5")


def _chat_usage(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }


def _chunk(delta: Json | None = None, finish: str | None = None, **more: Any) -> Json:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c-1", "object": "chat.completion.chunk", "model": "served", "choices": choices, **more}


def _ask(model: str = "m", **more: Any) -> Json:
    return {"model": model, "stream": True, "messages": USER, **more}


def _openai() -> list[Call]:
    used = _chat_usage(31, 9, 16, 4)
    text = Answer(PLAY, [])
    tools = Answer("", [CALL, ToolCall("call_1_1", "get_time", "{}")])
    chat = {"provider": "openai", "path": CHAT, "model": "gpt-4o-2024-08-06"}
    return [
        Call(
            "openai_text",
            request=_ask("gpt-4o", stream_options={"include_usage": True}),
            body=b"".join(openai_chat.stream("c-1", text, KNOBS, used, include_usage=True)),
            usage=(31, 9, 16, None, 4),
            text=PLAY,
            finish=("stop",),
            **chat,
        ),
        Call(
            "openai_without_usage",
            request=_ask("gpt-4o"),
            body=b"".join(openai_chat.stream("c-1", text, KNOBS, used, include_usage=False)),
            text=PLAY,
            finish=("stop",),
            **chat,
        ),
        Call(
            "openai_tools",
            request=_ask("gpt-4o"),
            body=b"".join(openai_chat.stream("c-1", tools, KNOBS, used, include_usage=True)),
            usage=(31, 9, 16, None, 4),
            tools=(("get_weather", ARGUMENTS), ("get_time", {})),
            finish=("tool_calls",),
            **chat,
        ),
        Call(
            "openai_tools_out_of_order",
            request=_ask("gpt-4o"),
            body=sse(
                _chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "two", "arguments": ""}}]}),
                _chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "one", "arguments": '{"x"'}}]}),
                _chunk({"tool_calls": [{"index": 1, "function": {"arguments": "[]"}}]}),
                _chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}, "tool_calls"),
                "[DONE]",
                end="\r\n",
                space="",
            ),
            tools=(("one", {"x": 1}), ("two", [])),
            finish=("tool_calls",),
            provider="openai",
            path=CHAT,
            model="served",
        ),
        Call(
            "openai_completions",
            "openai",
            "/v1/completions",
            {"model": "gpt-3.5-turbo-instruct", "prompt": "Once", "stream": True},
            sse(
                {"id": "cmpl-1", "model": "served", "choices": [{"text": " upon", "index": 0, "finish_reason": None}]},
                {"choices": [{"text": " a time", "index": 0, "finish_reason": "length"}]},
                {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5}},
                "[DONE]",
            ),
            usage=(1, 4, None, None, None),
            text=" upon a time",
            finish=("length",),
            model="served",
        ),
    ]


def _compatible() -> list[Call]:
    """Engines and providers that speak OpenAI's chat, each with its own habits."""
    counts = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    same = {"path": CHAT, "model": "served", "text": "Hi there", "finish": ("stop",)}
    return [
        Call(
            "vllm_continuous_usage",
            "vllm",
            request=_ask(),
            body=sse(
                _chunk({"role": "assistant", "content": ""}, usage={"prompt_tokens": 7, "completion_tokens": 0}),
                _chunk({"reasoning_content": "Hm."}, usage={"prompt_tokens": 7, "completion_tokens": 1}),
                _chunk({"content": "Hi there"}, usage={"prompt_tokens": 7, "completion_tokens": 2}),
                _chunk({}, "stop", usage={**counts, "prompt_tokens_details": None}),
                "[DONE]",
            ),
            usage=(7, 3, None, None, None),
            reasoning="Hm.",
            **same,
        ),
        Call(
            "sglang_reasoning_null_usage",
            "sglang",
            request=_ask(),
            body=sse(
                _chunk({"reasoning": "Hm."}, usage=None),
                _chunk({"content": "Hi there"}, usage=None),
                _chunk({}, "stop", usage=None),
                _chunk(usage={**counts, "prompt_tokens_details": {"cached_tokens": 4}}),
                "[DONE]",
            ),
            usage=(7, 3, 4, None, None),
            reasoning="Hm.",
            **same,
        ),
        Call(
            "deepseek",
            "deepseek",
            request=_ask(),
            body=sse(
                _chunk({"content": None, "reasoning_content": "Hm."}),
                _chunk({"content": "Hi there"}),
                _chunk(
                    {"content": ""},
                    "stop",
                    usage={**counts, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 2},
                ),
                "[DONE]",
            ),
            usage=(7, 3, 5, None, None),
            reasoning="Hm.",
            **same,
        ),
        Call(
            "openrouter_comments_and_cost",
            "openrouter",
            request=_ask(),
            body=b": OPENROUTER PROCESSING\n\n"
            + sse(_chunk({"content": "Hi "}, provider="DeepInfra"))
            + b": OPENROUTER PROCESSING\n\n"
            + sse(_chunk({"content": "there"}, "stop"), _chunk({}, None, usage={**counts, "cost": 0.00014}), "[DONE]"),
            usage=(7, 3, None, None, None),
            **same,
        ),
        Call(
            "groq",
            "groq",
            request=_ask(),
            body=sse(
                _chunk({"content": "Hi there"}, x_groq={"id": "req_1"}),
                _chunk({}, "stop", x_groq={"id": "req_1", "usage": {**counts, "queue_time": 0.02}}),
                "[DONE]",
            ),
            usage=(7, 3, None, None, None),
            **same,
        ),
        Call(
            "mistral_thinking",
            "mistral",
            request=_ask(random_seed=5),
            body=sse(
                _chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}),
                _chunk({"content": "Hi there"}, "stop", usage={**counts, "prompt_audio_seconds": {}}),
                "[DONE]",
            ),
            usage=(7, 3, None, None, None),
            reasoning="Hm.",
            **same,
        ),
        Call(
            "moonshot_usage_in_choice",
            "moonshot",
            request=_ask(),
            body=sse(
                _chunk({"content": "Hi there"}),
                {"model": "served", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": counts}]},
            ),
            usage=(7, 3, None, None, None),
            **same,
        ),
        Call(
            "xai_reasoning_beside",
            "xai",
            request=_ask(),
            body=sse(
                _chunk({"content": "Hi there"}, "stop"),
                _chunk(
                    usage={
                        "prompt_tokens": 7,
                        "completion_tokens": 3,
                        "total_tokens": 30,
                        "completion_tokens_details": {"reasoning_tokens": 20},
                    }
                ),
            ),
            usage=(7, 23, None, None, 20),
            **same,
        ),
        Call(
            "error_in_stream",
            "vllm",
            CHAT,
            _ask(),
            sse(
                _chunk({"content": "Hi"}),
                {"error": {"message": "out of memory", "type": "server_error", "code": 500}},
                "[DONE]",
            ),
            text="Hi",
            model="served",
            error="server_error",
        ),
    ]


def _responses() -> list[Call]:
    used = {
        "input_tokens": 40,
        "input_tokens_details": {"cached_tokens": 24},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 52,
    }
    ask = {"model": "gpt-5", "input": "Wie heißt du?", "stream": True}
    same = {"provider": "openai", "path": "/v1/responses", "usage": (40, 12, 24, None, 5)}
    failed = {
        "id": "resp_f",
        "model": "gpt-5-served",
        "status": "failed",
        "output": [],
        "error": {"code": "server_error", "message": "The model broke."},
        "usage": used,
    }
    item = {"type": "function_call", "id": "fc_1", "call_id": CALL.id, "name": CALL.name, "arguments": CALL.arguments}
    called = {**failed, "status": "completed", "error": None, "output": [item]}
    return [
        Call(
            "responses_text",
            request=ask,
            body=b"".join(openai_responses.stream("resp_1", ask, Answer(PLAY, []), KNOBS, used)),
            text=PLAY,
            model="gpt-4o-2024-08-06",
            finish=("stop",),
            **same,
        ),
        Call(
            "responses_tool",
            request=ask,
            body=named(
                ("response.created", {"response": {**called, "output": [], "usage": None, "status": "in_progress"}}),
                ("response.output_item.added", {"output_index": 0, "item": {**item, "arguments": ""}}),
                ("response.function_call_arguments.delta", {"output_index": 0, "delta": CALL.arguments[:9]}),
                ("response.function_call_arguments.delta", {"output_index": 0, "delta": CALL.arguments[9:]}),
                ("response.output_item.done", {"output_index": 0, "item": item}),
                ("response.completed", {"response": called}),
            ),
            tools=(("get_weather", ARGUMENTS),),
            model="gpt-5-served",
            finish=("tool_call",),
            **same,
        ),
        Call(
            "responses_incomplete",
            request=ask,
            body=b"".join(openai_responses.stream("resp_1", ask, Answer("Grüß", [], cut=True), KNOBS, used)),
            text="Grüß",
            model="gpt-4o-2024-08-06",
            finish=("max_output_tokens",),
            **same,
        ),
        Call(
            "responses_error_in_stream",
            request=ask,
            body=named(
                ("response.created", {"response": {**failed, "status": "in_progress", "error": None, "usage": None}}),
                ("response.output_text.delta", {"output_index": 0, "delta": "Gr"}),
                ("error", {"code": "server_error", "message": "The model broke.", "param": None, "sequence_number": 3}),
            ),
            text="Gr",
            model="gpt-5-served",
            error="server_error",
            **{**same, "usage": (None, None, None, None, None)},
        ),
        Call(
            "responses_failed",
            request=ask,
            body=named(
                ("response.created", {"response": {**failed, "status": "in_progress", "error": None, "usage": None}}),
                ("response.output_text.delta", {"output_index": 0, "delta": "Gr", "obfuscation": "x7"}),
                ("response.failed", {"response": failed}),
            ),
            text="Gr",
            model="gpt-5-served",
            finish=("failed",),
            error="server_error",
            **same,
        ),
    ]


def openai_streams() -> list[Call]:
    """Return the streams of OpenAI and of those who speak like it."""
    return [*_openai(), *_compatible(), *_responses()]
