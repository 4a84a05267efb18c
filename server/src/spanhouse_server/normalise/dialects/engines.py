"""Serving engines' own spans: vLLM, SGLang, TensorRT-LLM, TGI, Triton.

They see tokens and times, no content. Their usage repeats the client's, so their category is
``server``: it counts only where no client reported the call. Times other than the first token's are
kept as metadata in seconds.
"""

from __future__ import annotations

import re

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect
from spanhouse_server.normalise.usage import usage_of
from spanhouse_server.normalise.values import name_of, number_of
from spanhouse_server.normalise.view import View

SCOPES = frozenset(
    {"vllm", "sglang", "sglang server", "tensorrt_llm", "trtllm", "triton-server", "text-generation-router"}
)
_LATENCY = "gen_ai.latency."
#: What only TGI's router puts on its spans, as Rust's ``Debug`` shows durations.
TGI_TIMES = ("total_time", "validation_time", "queue_time", "inference_time", "time_per_token")
_TGI_MARKERS = frozenset({"inference_time", "queue_time", "validation_time"})
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ns|µs|us|ms|s)")
_UNIT_S = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_DEBUG_FIELD = re.compile(r"(\w{1,40}): (?:Some\()?(\"[^\"]{0,200}\"|[\w.+-]{1,40})")
#: Of spans in any other scope (a name given by who runs the engine).
_MARKERS = _TGI_MARKERS | {
    _LATENCY + name
    for name in ("e2e", "time_in_queue", "time_in_model_inference", "time_in_model_prefill", "time_to_first_token")
}
_NOTHING = frozenset({"None", "[]"})
_TRITON = "triton."


def matches(view: View) -> bool:
    """Tell whether an engine wrote the span."""
    if view.in_any(SCOPES) or "triton" in view.roots:
        return True
    markers = view.among(_MARKERS)
    return len(markers) > 1 or (len(markers) == 1 and markers[0] not in _TGI_MARKERS)


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    otel.read_identity(view, span)
    span.parameters = otel.read_parameters(view)
    span.usage = usage_of(view, otel.USAGE)
    otel.read_finish(view, span)
    is_request = span.usage.known or view.raw.kind == "server" or bool(view.family(_LATENCY))
    span.category = "server" if is_request else "other"
    span.operation = ""
    span.response_id = span.response_id or view.name("gen_ai.request.id", "rid")
    for key in view.family(_LATENCY):
        if not key.endswith("time_to_first_token"):
            add_metadata(span, key.removeprefix("gen_ai.") + "_s", view.get(key))
    if view.among(_TGI_MARKERS):
        _read_tgi(view, span)
    elif "triton" in view.roots:
        _read_triton(view, span)


def _read_tgi(view: View, span: Span) -> None:
    span.category = "server"
    for name in TGI_TIMES:
        seconds = duration_s(view.get(name))
        if seconds is not None:
            add_metadata(span, f"latency.{name}_s", f"{seconds:.9f}".rstrip("0").rstrip("."))
    for name, value in _DEBUG_FIELD.findall(view.text("parameters")[:4096]):
        if value not in _NOTHING:
            number = number_of(value)
            span.parameters[name] = value.strip('"') if number is None else number
    seed = _DEBUG_FIELD.match(f"seed: {name_of(view.get('seed'))}")
    if seed and seed[2] not in _NOTHING:
        span.parameters["seed"] = number_of(seed[2])


def _read_triton(view: View, span: Span) -> None:
    span.category = "server"
    span.request_model = span.request_model or view.name(_TRITON + "model_name")
    span.response_id = span.response_id or view.name(_TRITON + "request_id", _TRITON + "trace_request_id")
    add_metadata(span, "model_version", view.get(_TRITON + "model_version"))
    moments = {event.name: event.time_ns for event in view.raw.events}
    for name, start, end in (
        ("latency.queue_s", "QUEUE_START", "COMPUTE_START"),
        ("latency.compute_s", "COMPUTE_START", "COMPUTE_END"),
    ):
        if start in moments and moments[start] <= moments.get(end, 0):
            add_metadata(span, name, f"{(moments[end] - moments[start]) / 1e9:.9f}".rstrip("0").rstrip("."))


def duration_s(value: object) -> float | None:
    """Return a duration as Rust shows it (``12.3ms``, ``1.2s``) in seconds."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * _UNIT_S[found[2]] if found else None


DIALECT = Dialect("engines", matches, read)
