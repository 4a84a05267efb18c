"""A client that calls serving engines: vLLM's and SGLang's own tracing code tells of the calls the provider served.

The engines themselves want a GPU and are not run. What makes, times and sends their spans is theirs, taken
from their packages without what these import for computing.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import telemetry
from opentelemetry import propagate, trace
from own import HEADERS

QUESTION = "Why is the sky blue, grüße 🌍?"


def set_up() -> Callable[[], None]:
    """Watch the client with OpenTelemetry's instrumentation; the engine sends by providers of its own."""
    finish = telemetry.set_up()
    telemetry.instrument("openai_v2")
    return finish


def bare(name: str) -> Path:
    """Make a package importable piece by piece, without running its ``__init__``; return its folder."""
    parent, _, last = name.rpartition(".")
    if parent:
        [folder] = [path / last for path in map(Path, sys.modules[parent].__path__)]
    else:
        [location] = importlib.util.find_spec(name).submodule_search_locations
        folder = Path(location)
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module
    return folder


def method(path: Path, owner: str, name: str, names: dict[str, Any]) -> Callable[..., Any]:
    """Return a method as its file has it, to be run among ``names``: the rest of the file wants a GPU."""
    tree = ast.parse(path.read_text())
    [found] = [
        item
        for each in tree.body
        if isinstance(each, ast.ClassDef) and each.name == owner
        for item in each.body
        if isinstance(item, ast.FunctionDef) and item.name == name
    ]
    future = ast.ImportFrom("__future__", [ast.alias("annotations")], 0)
    module = ast.fix_missing_locations(ast.Module([future, found], []))
    exec(compile(module, str(path), "exec"), names)
    return names[name]


def served(headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """Ask the provider; return its answer and the headers the engine was called with, trace context included."""
    seen: dict[str, str] = {}

    def inject(request: httpx.Request) -> None:
        propagate.inject(request.headers)
        seen.update(request.headers)

    client = openai.OpenAI(max_retries=0, http_client=httpx.Client(event_hooks={"request": [inject]}))
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0.2,
        max_tokens=100,
        extra_headers=headers,
    )
    return answer, seen


def own_provider(start: Callable[[], Any]) -> trace.TracerProvider:
    """Let an engine set the global provider, as in a process of its own; return it."""
    client = trace.get_tracer_provider()
    trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE = None, trace.Once()
    start()
    engine = trace.get_tracer_provider()
    assert engine is not client
    return engine


def vllm_chat() -> None:
    """Call vLLM: it tells of the request after it is done."""
    arrived_s = time.time()
    answer, headers = served({})
    folder = bare("vllm")
    bare("vllm.utils")
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    tracing = importlib.import_module("vllm.tracing")
    endpoint = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
    engine = own_provider(lambda: tracing.init_tracer("vllm.llm_engine", endpoint))
    names = vars(tracing) | {"length_from_prompt_token_ids_or_embeds": lambda ids, embeds: len(ids)}
    tell = method(folder / "v1/engine/output_processor.py", "OutputProcessor", "do_tracing", names)
    stats = SimpleNamespace(
        arrival_time=arrived_s,
        queued_ts=10.0,
        scheduled_ts=10.01,
        first_token_ts=10.03,
        last_token_ts=10.09,
        first_token_latency=0.03,
        num_generation_tokens=answer.usage.completion_tokens,
    )
    request = SimpleNamespace(
        stats=stats,
        prompt_token_ids=list(range(answer.usage.prompt_tokens)),
        prompt_embeds=None,
        external_req_id=answer.id,
        top_p=1.0,
        max_tokens_param=100,
        temperature=0.2,
        n=1,
    )
    output = SimpleNamespace(trace_headers=tracing.extract_trace_headers(headers))
    tell(None, output, request, SimpleNamespace(iteration_timestamp=arrived_s + 0.1))
    engine.shutdown()


def sglang_chat() -> None:
    """Call SGLang: its request has threads and stages below it, chained by links."""
    answer, headers = served(HEADERS)
    for name in ("sglang", "sglang.srt", "sglang.srt.arg_groups", "sglang.srt.observability"):
        folder = bare(name)
    helpers = types.ModuleType("sglang.srt.utils")  # the one helper of a module that imports torch
    helpers.get_int_env_var = lambda name, default=0: int(os.environ.get(name, default))
    sys.modules["sglang.srt.utils"] = helpers
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    tracing = importlib.import_module("sglang.srt.observability.trace")
    endpoint = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
    engine = own_provider(lambda: tracing.process_tracing_init(endpoint, "golden"))
    tracing._get_host_id = lambda: "a" * 32  # else the id of the machine that records
    tracing.trace_set_thread_info("Tokenizer")
    context = tracing.TraceReqContext(
        answer.id, module_name="request", external_trace_header=tracing.extract_trace_headers(headers)
    )
    begun_ns = time.time_ns()
    context.trace_req_start(begun_ns)
    for at, stage in enumerate(("tokenize", "api_server_dispatch", "decode_forward")):
        context.trace_slice_start(stage, 1, begun_ns + at * 10_000_000)
        context.trace_slice_end(stage, 1, begun_ns + at * 10_000_000 + 9_000_000)
    usage = answer.usage
    done = SimpleNamespace(
        completion_tokens=[usage.completion_tokens],
        prompt_tokens=[usage.prompt_tokens],
        cached_tokens=[usage.prompt_tokens_details.cached_tokens],
        finished_reasons=[{"type": "stop", "matched": 2}],
    )
    sampling = {"max_new_tokens": 100, "temperature": 0.2, "top_p": 1.0, "n": 1}
    state = SimpleNamespace(obj=SimpleNamespace(rid=answer.id, sampling_params=sampling))
    names = vars(tracing) | {"json": importlib.import_module("json"), "BatchEmbeddingOutput": type(None)}
    manager = SimpleNamespace(enable_trace=True, served_model_name=answer.model)
    attributes = method(
        folder.parent / "managers/tokenizer_manager.py", "TokenizerManager", "convert_to_span_attrs", names
    )(manager, state, done, 0)
    times = SimpleNamespace(
        created_time=1.0, api_server_dispatch_finish_time=1.02, first_token_time=1.05, finished_time=1.1
    )
    attributes |= method(
        folder / "req_time_stats.py", "APIServerReqTimeStats", "convert_to_gen_ai_span_attrs", vars(tracing).copy()
    )(times)
    context.trace_req_finish(begun_ns + 100_000_000, attrs=attributes)
    engine.shutdown()
