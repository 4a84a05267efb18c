"""Streams of TGI's and SGLang's generate APIs and of Cohere's first API, with the truth beside them."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.collector.parse.calls import Call, Json, sse


def lines(*events: Json) -> bytes:
    """Return newline-delimited JSON."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events).encode()


def _token(index: int, text: str, *, special: bool = False, **more: Any) -> Json:
    token = {"id": 100 + index, "text": text, "logprob": -0.5, "special": special}
    return {"index": index, "token": token, "generated_text": None, "details": None, **more}


def _tgi() -> list[Call]:
    ask = {"inputs": "Hallo?", "parameters": {"max_new_tokens": 20, "stop": ["\n"], "details": True}}
    ended = {
        "generated_text": "Grüß Gott",
        "details": {"finish_reason": "eos_token", "generated_tokens": 3, "seed": None, "input_length": 7},
    }
    events = [_token(1, "Grüß"), _token(2, " Gott"), _token(3, "</s>", special=True, **ended)]
    broken = {"error": "Incomplete generation", "error_type": "Incomplete generation"}
    path = "/generate_stream"
    return [
        Call(
            "tgi_stream",
            "tgi",
            path,
            ask,
            sse(*events, space=""),
            usage=(7, 3, None, None, None),
            text="Grüß Gott",
            finish=("eos_token",),
        ),
        Call(
            "tgi_stream_breaks_off",
            "tgi",
            path,
            ask,
            sse(_token(1, "Grüß"), broken, space=""),
            text="Grüß",
            error="Incomplete generation",
        ),
    ]


def _sglang() -> list[Call]:
    def event(text: str, made: int, ended: Json | None = None) -> Json:
        meta = {"id": "req-1", "finish_reason": ended, "prompt_tokens": 9, "completion_tokens": made}
        return {"text": text, "meta_info": {**meta, "cached_tokens": 4}}

    return [
        Call(
            "sglang_generate",
            "sglang",
            "/generate",
            {"text": "Hallo?", "sampling_params": {"temperature": 0, "max_new_tokens": 9}, "stream": True},
            sse(event("Gr", 1), event("Grüß", 2), event("Grüß Gott", 3, {"type": "stop", "matched": 2}), "[DONE]"),
            usage=(9, 3, 4, None, None),
            text="Grüß Gott",
            finish=("stop",),
        )
    ]


def _cohere() -> list[Call]:
    ask = {"model": "command-r", "message": "Wetter?", "stream": True}
    billed = {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 9, "output_tokens": 4}}
    start = {"is_finished": False, "event_type": "stream-start", "generation_id": "gen-1"}
    call = {"name": "get_weather", "parameters": {"city": "Köln"}}

    def said(text: str) -> Json:
        return {"is_finished": False, "event_type": "text-generation", "text": text}

    def ended(reason: str, **more: Any) -> Json:
        response = {"response_id": "res-1", "generation_id": "gen-1", "finish_reason": reason, "meta": billed, **more}
        return {"is_finished": True, "event_type": "stream-end", "finish_reason": reason, "response": response}

    answer = [start, said("Grüß"), said(" Gott"), ended("COMPLETE", text="Grüß Gott", chat_history=[])]
    tools = [
        start,
        {"is_finished": False, "event_type": "tool-calls-chunk", "text": "I look it up."},
        {
            "is_finished": False,
            "event_type": "tool-calls-chunk",
            "tool_call_delta": {"index": 0, "name": "get_weather"},
        },
        {"is_finished": False, "event_type": "tool-calls-generation", "text": "I look it up.", "tool_calls": [call]},
        ended("COMPLETE", text="I look it up.", tool_calls=[call]),
    ]
    generated = [
        {"text": "Grüß", "is_finished": False, "event_type": "text-generation"},
        {
            "is_finished": True,
            "event_type": "stream-end",
            "finish_reason": "MAX_TOKENS",
            "response": {
                "id": "gen-2",
                "prompt": "Hallo",
                "generations": [{"id": "g", "text": "Grüß", "finish_reason": "MAX_TOKENS"}],
                "meta": billed,
            },
        },
    ]
    used = (9, 4, None, None, None)
    return [
        Call(
            "cohere_v1_lines",
            "cohere",
            "/v1/chat",
            ask,
            lines(*answer),
            "application/stream+json",
            usage=used,
            text="Grüß Gott",
            finish=("COMPLETE",),
        ),
        # Some gateways before it call the lines events.
        Call(
            "cohere_v1_mislabelled_lines",
            "cohere",
            "/v1/chat",
            ask,
            lines(*answer),
            usage=used,
            text="Grüß Gott",
            finish=("COMPLETE",),
        ),
        Call(
            "cohere_v1_events",
            "cohere",
            "/v1/chat",
            ask,
            sse(*answer),
            usage=used,
            text="Grüß Gott",
            finish=("COMPLETE",),
        ),
        Call(
            "cohere_v1_tools",
            "cohere",
            "/v1/chat",
            ask,
            lines(*tools),
            "application/stream+json",
            usage=used,
            text="I look it up.",
            tools=(("get_weather", {"city": "Köln"}),),
            finish=("COMPLETE",),
        ),
        Call(
            "cohere_v1_generate",
            "cohere",
            "/v1/generate",
            {"model": "command", "prompt": "Hallo", "stream": True},
            lines(*generated),
            "application/stream+json",
            usage=used,
            text="Grüß",
            finish=("MAX_TOKENS",),
        ),
    ]


def engine_streams() -> list[Call]:
    """Return them all."""
    return [*_tgi(), *_sglang(), *_cohere()]
