"""Serving engines: their spans are servers', with times in seconds whatever unit they came in."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.model.raw import RawEvent
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.dialects.engines import duration_s
from tests.unit.normalise.make import START_NS, raw_span


def test_vllm() -> None:
    span = normalise(
        raw_span(
            {
                "gen_ai.request.id": "chatcmpl-1",
                "gen_ai.request.n": 1,
                "gen_ai.request.max_tokens": 16,
                "gen_ai.usage.prompt_tokens": 5,
                "gen_ai.usage.completion_tokens": 3,
                "gen_ai.latency.time_to_first_token": 0.125,
                "gen_ai.latency.e2e": 0.5,
                "gen_ai.latency.time_in_queue": 0.01,
            },
            name="llm_request",
            scope="vllm.llm_engine",
            kind="server",
        )
    )
    assert (span.dialect, span.category, span.response_id) == ("engines", "server", "chatcmpl-1")
    assert (span.usage.input_tokens, span.usage.output_tokens) == (5, 3)
    assert (span.ttft_ns, span.ttft_source) == (125_000_000, "server_token")
    assert span.metadata == {"latency.e2e_s": "0.5", "latency.time_in_queue_s": "0.01"}
    assert span.parameters == {"n": 1, "max_tokens": 16}


@pytest.mark.parametrize(
    ("attributes", "scope", "kind", "category"),
    [
        ({"gen_ai.usage.prompt_tokens": 5}, "sglang server", "internal", "server"),
        ({"host_id": "x", "tp_rank": 0}, "sglang server", "internal", "other"),
        ({"gen_ai.latency.e2e": 0.5}, "tensorrt_llm", "internal", "server"),
        ({"code.function": "start"}, "vllm.startup", "internal", "other"),
        ({"gen_ai.latency.e2e": 0.5}, "unheard of", "server", "server"),
    ],
)
def test_kinds(attributes: dict[str, Any], scope: str, kind: str, category: str) -> None:
    span = normalise(raw_span(attributes, scope=scope, kind=kind))
    assert (span.dialect, span.category) == ("engines", category)


def test_tgi() -> None:
    span = normalise(
        raw_span(
            {
                "total_time": "1.2s",
                "validation_time": "512µs",
                "queue_time": "12.5ms",
                "inference_time": "1.1s",
                "time_per_token": "30ms",
                "seed": "Some(42)",
                "parameters": (
                    "GenerateParameters { best_of: None, temperature: Some(0.5), max_new_tokens: Some(20), "
                    'do_sample: false, stop: [], adapter_id: Some("a") }'
                ),
            },
            name="generate",
            scope="whatever",
        )
    )
    assert (span.dialect, span.category) == ("engines", "server")
    assert span.metadata["latency.queue_time_s"] == "0.0125"
    assert span.metadata["latency.validation_time_s"] == "0.000512"
    assert span.parameters == {
        "temperature": 0.5,
        "max_new_tokens": 20.0,
        "do_sample": "false",
        "adapter_id": "a",
        "seed": 42.0,
    }


def test_triton() -> None:
    moments = [("QUEUE_START", 0), ("COMPUTE_START", 4_000_000), ("COMPUTE_END", 10_000_000)]
    span = normalise(
        raw_span(
            {"triton.model_name": "llama", "triton.model_version": 1, "triton.request_id": "r1"},
            name="llama",
            scope="triton-server",
            events=[RawEvent(name, START_NS + after_ns, {}) for name, after_ns in moments],
        )
    )
    assert (span.category, span.request_model, span.response_id) == ("server", "llama", "r1")
    assert span.metadata == {"model_version": "1", "latency.queue_s": "0.004", "latency.compute_s": "0.006"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12.3ms", 0.0123), ("1s", 1.0), ("7µs", 7e-6), ("5ns", 5e-9), ("1m", None), ("-1s", None), (3, None), ("", None)],
)
def test_durations_as_rust_shows_them(text: Any, seconds: float | None) -> None:
    found = duration_s(text)
    assert found == pytest.approx(seconds) if seconds is not None else found is None


def test_why_sglang_stopped() -> None:
    attributes = {"gen_ai.latency.e2e": 1.0, "gen_ai.response.finish_reasons": '["length"]'}
    assert normalise(raw_span(attributes, scope="sglang server")).finish_reasons == ["length"]
