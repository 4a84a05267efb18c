"""Streams of Anthropic, Google, Amazon, Ollama and others, with the truth beside them."""

from __future__ import annotations

import json

from tests.fakes import anthropic_messages
from tests.fakes.answers import Answer
from tests.fakes.knobs import Knobs
from tests.unit.collector.parse.calls import Call, Json, frame, invoked, named, sse
from tests.unit.collector.parse.engine_streams import engine_streams
from tests.unit.collector.parse.openai_streams import ARGUMENTS, CALL, PLAY, USER, openai_streams

CLAUDE = Knobs(model="claude-sonnet-4-5")


def _anthropic() -> list[Call]:
    used = {
        "input_tokens": 11,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 17,
        "service_tier": "standard",
    }
    ask = {"model": "claude-sonnet-4-5", "max_tokens": 99, "stream": True, "messages": USER}
    served = {"provider": "anthropic", "path": "/v1/messages", "model": "claude-sonnet-4-5-20250929"}

    def stream(reply: Answer, thinking: int = 0) -> bytes:
        return b"".join(anthropic_messages.stream("msg_1", reply, CLAUDE, used, thinking))

    late = named(
        (
            "message_start",
            {"message": {"id": "msg_2", "model": "late", "usage": {"input_tokens": 0, "output_tokens": 0}}},
        ),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
        ("message_delta", {"delta": {}, "usage": {"output_tokens": 1}}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 9, "output_tokens": 2}}),
        ("message_stop", {}),
    )
    begun = {"input_tokens": 3, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 7, "output_tokens": 1}
    ended = {
        "output_tokens": 50,
        "server_tool_use": {"web_search_requests": 1},
        "output_tokens_details": {"thinking_tokens": 9},
    }
    found = {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": [{"type": "web_search_result", "url": "u"}],
    }

    def block(index: int, given: Json, *deltas: Json) -> list[tuple[str, Json]]:
        passed = [("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
        start = ("content_block_start", {"index": index, "content_block": given})
        return [start, *passed, ("content_block_stop", {"index": index})]

    searched = named(
        ("message_start", {"message": {"id": "msg_4", "model": "late", "usage": begun}}),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hmm"},
            {"type": "signature_delta", "signature": "c2lnbmF0dXJl"},
        ),
        *block(
            1,
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"query": "wea'},
            {"type": "input_json_delta", "partial_json": 'ther"}'},
        ),
        *block(2, found),
        ("ping", {}),
        *block(
            3,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "It rains"},
            {"type": "citations_delta", "citation": {"type": "web_search_result_location", "url": "u"}},
        ),
        ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": ended}),
        ("message_stop", {}),
    )
    broken = named(
        (
            "message_start",
            {"message": {"id": "msg_3", "model": "late", "usage": {"input_tokens": 5, "output_tokens": 1}}},
        ),
        ("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}}),
    )
    return [
        Call(
            "anthropic_thinking_text",
            request=ask,
            body=stream(Answer(PLAY, []), 6),
            usage=(141, 17, 100, 30, None),
            text=PLAY,
            reasoning="Let me think about what was asked.",
            finish=("end_turn",),
            **served,
        ),
        Call(
            "anthropic_tool",
            request=ask,
            body=stream(Answer("", [CALL])),
            usage=(141, 17, 100, 30, None),
            tools=(("get_weather", ARGUMENTS),),
            finish=("tool_use",),
            **served,
        ),
        Call(
            "anthropic_input_only_in_delta",
            "anthropic",
            "/v1/messages",
            ask,
            late,
            usage=(9, 2, None, None, None),
            text="Hi",
            model="late",
            finish=("end_turn",),
        ),
        Call(
            "anthropic_server_tools",
            "anthropic",
            "/v1/messages",
            ask,
            searched,
            usage=(40, 50, 7, 30, 9),
            text="It rains",
            reasoning="hmm",
            model="late",
            finish=("end_turn",),
        ),
        Call(
            "anthropic_error_in_stream",
            "anthropic",
            "/v1/messages",
            ask,
            broken,
            usage=(5, 1, None, None, None),
            model="late",
            error="overloaded_error",
        ),
    ]


def _gemini() -> list[Call]:
    used = {
        "promptTokenCount": 20,
        "candidatesTokenCount": 6,
        "thoughtsTokenCount": 8,
        "toolUsePromptTokenCount": 3,
        "cachedContentTokenCount": 12,
        "totalTokenCount": 37,
    }
    content = {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": "Grüß "}]}
    last = {"role": "model", "parts": [{"text": "Gott"}, {"functionCall": {"name": "get_weather", "args": ARGUMENTS}}]}
    chunks = [
        {
            "candidates": [{"content": content}],
            "usageMetadata": {"promptTokenCount": 20},
            "modelVersion": "gemini-2.5-pro",
        },
        {"candidates": [{"content": last, "finishReason": "STOP"}], "usageMetadata": used, "responseId": "r-1"},
    ]
    ask = {"contents": [{"role": "user", "parts": [{"text": "Hallo"}]}]}
    found: Json = {
        "request": ask,
        "usage": (23, 14, 12, None, 8),
        "text": "Grüß Gott",
        "reasoning": "Hm.",
        "tools": (("get_weather", ARGUMENTS),),
        "finish": ("STOP",),
        "model": "gemini-2.5-pro",
    }
    path = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"
    vertex = "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:streamGenerateContent"
    array = json.dumps(chunks, indent=2, ensure_ascii=False).encode()
    return [
        Call("gemini_sse_crlf", "gemini", path, query="alt=sse", body=sse(*chunks, end="\r\n"), **found),
        Call("gemini_array", "gemini", path, body=array, content_type="application/json", **found),
        Call("vertex_array", "vertex", vertex, body=array, content_type="application/json; charset=UTF-8", **found),
    ]


def _bedrock() -> list[Call]:
    ask = {"messages": [{"role": "user", "content": [{"text": "Hallo"}]}]}
    binary = "application/vnd.amazon.eventstream"
    claude = "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0"
    start = {"id": "msg_b", "model": "claude-sonnet-4-5-20250929", "usage": {"input_tokens": 7, "output_tokens": 1}}
    metrics = {"inputTokenCount": 7, "outputTokenCount": 4, "invocationLatency": 900, "firstByteLatency": 100}
    return [
        Call(
            "bedrock_converse",
            "bedrock",
            f"{claude}/converse-stream",
            ask,
            frame("messageStart", {"role": "assistant", "p": "abc"})
            + frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm."}}})
            + frame("contentBlockStop", {"contentBlockIndex": 0})
            + frame("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Grüß "}})
            + frame("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Gott"}})
            + frame(
                "contentBlockStart",
                {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "get_weather"}}},
            )
            + frame("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"city": "Zür'}}})
            + frame("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": 'ich", "days": 3}'}}})
            + frame("messageStop", {"stopReason": "tool_use"})
            + frame(
                "metadata",
                {
                    "usage": {
                        "inputTokens": 10,
                        "outputTokens": 5,
                        "totalTokens": 65,
                        "cacheReadInputTokens": 40,
                        "cacheWriteInputTokens": 10,
                    },
                    "metrics": {"latencyMs": 500},
                },
            ),
            content_type=binary,
            usage=(60, 5, 40, 10, None),
            text="Grüß Gott",
            reasoning="Hm.",
            tools=(("get_weather", ARGUMENTS),),
            finish=("tool_use",),
        ),
        Call(
            "bedrock_converse_exception",
            "bedrock",
            f"{claude}/converse-stream",
            ask,
            frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Gr"}})
            + frame("throttlingException", {"message": "Too many tokens"}, "exception"),
            content_type=binary,
            text="Gr",
            error="throttlingException",
        ),
        Call(
            "bedrock_invoke_claude",
            "bedrock",
            f"{claude}/invoke-with-response-stream",
            {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": USER},
            invoked({"type": "message_start", "message": start})
            + invoked({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
            + invoked({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüß"}})
            + invoked({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}})
            + invoked({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}),
            content_type=binary,
            usage=(7, 4, None, None, None),
            text="Grüß",
            model="claude-sonnet-4-5-20250929",
            finish=("end_turn",),
        ),
        Call(
            "bedrock_invoke_llama",
            "bedrock",
            "/model/meta.llama3-8b-instruct-v1:0/invoke-with-response-stream",
            {"prompt": "Hallo", "max_gen_len": 9},
            invoked({"generation": "Grüß ", "prompt_token_count": 7, "generation_token_count": 1, "stop_reason": None})
            + invoked(
                {
                    "generation": "Gott",
                    "prompt_token_count": None,
                    "generation_token_count": 4,
                    "stop_reason": "stop",
                    "amazon-bedrock-invocationMetrics": metrics,
                }
            ),
            content_type=binary,
            usage=(7, 4, None, None, None),
            text="Grüß Gott",
            finish=("stop",),
        ),
    ]


def _others() -> list[Call]:
    lines = [
        {"model": "qwen3", "message": {"role": "assistant", "content": "", "thinking": "Hm."}, "done": False},
        {"model": "qwen3", "message": {"role": "assistant", "content": "Grüß "}, "done": False},
        {"model": "qwen3", "message": {"role": "assistant", "content": "Gott"}, "done": False},
        {
            "model": "qwen3",
            "message": {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"function": {"name": "get_weather", "arguments": ARGUMENTS}}],
            },
            "done": False,
        },
        {
            "model": "qwen3",
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "total_duration": 5_000_000_000,
            "prompt_eval_count": 26,
            "eval_count": 8,
        },
    ]
    generate = [
        {"model": "qwen3", "response": "Grüß", "done": False},
        {"model": "qwen3", "response": "", "done": True, "done_reason": "length", "eval_count": 8, "context": [1, 2]},
    ]
    image = {
        "input_tokens": 50,
        "output_tokens": 1056,
        "total_tokens": 1106,
        "input_tokens_details": {"image_tokens": 0},
    }
    return [
        Call(
            "ollama_chat",
            "ollama",
            "/api/chat",
            {"model": "qwen3", "messages": USER},
            "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode(),
            content_type="application/x-ndjson",
            usage=(26, 8, None, None, None),
            text="Grüß Gott",
            reasoning="Hm.",
            tools=(("get_weather", ARGUMENTS),),
            finish=("stop",),
            model="qwen3",
        ),
        Call(
            "ollama_generate_cached_prompt",
            "ollama",
            "/api/generate",
            {"model": "qwen3", "prompt": "Hallo"},
            "".join(json.dumps(line) + "\n" for line in generate).encode(),
            content_type="application/x-ndjson",
            usage=(None, 8, None, None, None),
            text="Grüß",
            finish=("length",),
            model="qwen3",
        ),
        Call(
            "images_stream",
            "openai",
            "/v1/images/generations",
            {"model": "gpt-image-1", "prompt": "an otter", "stream": True},
            named(
                ("image_generation.partial_image", {"b64_json": "QUJD" * 100, "partial_image_index": 0}),
                ("image_generation.completed", {"b64_json": "QUJD" * 100, "output_format": "webp", "usage": image}),
            ),
            usage=(50, 1056, None, None, None),
        ),
        Call(
            "transcription_stream",
            "openai",
            "/v1/audio/transcriptions",
            {"model": "gpt-4o-transcribe", "stream": True},
            sse(
                {"type": "transcript.text.delta", "delta": "Grüß "},
                {"type": "transcript.text.delta", "delta": "Gott"},
                {
                    "type": "transcript.text.done",
                    "text": "Grüß Gott.",
                    "usage": {
                        "type": "tokens",
                        "input_tokens": 14,
                        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
                        "output_tokens": 5,
                        "total_tokens": 19,
                    },
                },
            ),
            usage=(14, 5, None, None, None),
            text="Grüß Gott.",
        ),
        Call(
            "cohere_chat",
            "cohere",
            "/v2/chat",
            {"model": "command-a-03-2025", "stream": True, "messages": USER},
            named(
                ("message-start", {"id": "co-1", "delta": {"message": {"role": "assistant"}}}),
                ("content-delta", {"index": 0, "delta": {"message": {"content": {"text": "Grüß"}}}}),
                (
                    "message-end",
                    {
                        "delta": {
                            "finish_reason": "COMPLETE",
                            "usage": {
                                "billed_units": {"input_tokens": 5, "output_tokens": 2},
                                "tokens": {"input_tokens": 70, "output_tokens": 3},
                            },
                        }
                    },
                ),
            ),
            usage=(5, 2, None, None, None),
            text="Grüß",
            finish=("COMPLETE",),
        ),
    ]


STREAMS = [*openai_streams(), *_anthropic(), *_gemini(), *_bedrock(), *_others(), *engine_streams()]
