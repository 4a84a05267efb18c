"""Serving engines' own spans, a gateway's and a vector database's, as their real tracing code sent them."""

from __future__ import annotations

import pytest

from spanhouse_server.model.facts import SettledTrace
from spanhouse_server.model.span import Span
from spanhouse_server.normalise.settle import settle
from spanhouse_server.price import price
from spanhouse_server.store.rows import facts_of
from tests.golden.case import RECEIVED_NS, spans_of, truth_of

ENGINES = ["engines_vllm_chat", "engines_sglang_chat"]


def sides(case: str) -> tuple[Span, list[Span]]:
    """Return the client's span and those that the engine sent."""
    spans = spans_of(case)
    [client] = [span for span in spans if span.category == "llm"]
    return client, [span for span in spans if span.dialect == "engines"]


def settled(spans: list[Span]) -> SettledTrace:
    """Return a trace of these spans, without prices."""
    return settle("p", [facts_of(RECEIVED_NS, 0, span) for span in spans], 1)


@pytest.mark.parametrize("case", ENGINES)
def test_an_engine_tells_what_it_served_and_when(case: str) -> None:
    client, engine = sides(case)
    [truth] = truth_of(case)
    [request] = [span for span in engine if span.category == "server"]
    assert request.raw.parent_span_id == client.raw.span_id
    assert (request.usage.input_tokens, request.usage.output_tokens) == (truth.input_tokens, truth.output_tokens)
    assert request.response_id == truth.response_id == client.response_id
    assert request.parameters == {"top_p": 1.0, "max_tokens": 100, "temperature": 0.2, "n": 1}
    assert request.ttft_source == "server_token"
    phases = ("e2e", "time_in_model_prefill", "time_in_model_decode", "time_in_model_inference")
    assert all(float(request.metadata[f"latency.{phase}_s"]) > 0 for phase in phases)
    assert not any(span.usage.known for span in engine if span is not request)


def test_what_only_one_of_them_tells() -> None:
    [vllm] = [span for span in sides("engines_vllm_chat")[1] if span.category == "server"]
    assert (vllm.raw.name, vllm.raw.kind, vllm.ttft_ns) == ("llm_request", "server", 30_000_000)
    assert (vllm.model, vllm.finish_reasons) == ("", [])
    [truth] = truth_of("engines_sglang_chat")
    stages = {span.raw.name: span for span in sides("engines_sglang_chat")[1]}
    [sglang] = [span for span in stages.values() if span.category == "server"]
    assert (sglang.response_model, sglang.finish_reasons) == (truth.model, ["stop"])
    assert sglang.usage.cache_read_tokens == truth.cache_read_tokens
    assert [link.span_id for link in stages["decode_forward"].raw.links] == [stages["api_server_dispatch"].raw.span_id]


@pytest.mark.parametrize("case", ENGINES)
def test_an_engine_counts_only_where_no_client_tells_of_the_call(case: str) -> None:
    client, engine = sides(case)
    [truth] = truth_of(case)
    for spans, counting in (([client, *engine], client), (engine, next(s for s in engine if s.usage.known))):
        trace = settled(spans)
        assert [span.span_id for span in trace.spans if span.counted] == [counting.raw.span_id]
        assert (trace.trace.input_tokens, trace.trace.output_tokens) == (truth.input_tokens, truth.output_tokens)


def test_vector_database() -> None:
    added, asked = spans_of("openllmetry_chroma_retriever")
    assert (added.raw.name, added.dialect, added.category) == ("chroma.add", "openllmetry", "other")
    assert (asked.category, asked.operation, asked.parameters) == ("retriever", "retrieval", {"top_k": 2})
    assert [(document["id"], document["content"], document["metadata"]["page"]) for document in asked.documents] == [
        ("a", "A span is one operation.", 7),
        ("b", "A trace is a tree of spans.", 8),
    ]
    distances = [document["metadata"]["distance"] for document in asked.documents]
    assert distances == pytest.approx([0.01, 1.81])  # squared, from (1, 0.1)
    assert not any("score" in document for document in asked.documents)


def test_gateway() -> None:
    spans, [truth] = spans_of("litellm_proxy_chat"), truth_of("litellm_proxy_chat")
    [call] = [span for span in spans if span.category == "llm"]
    [trace] = [settled([span for span in spans if span.raw.trace_id == call.raw.trace_id])]
    assert [span.span_id for span in trace.spans if span.counted] == [call.raw.span_id]
    assert (trace.trace.input_tokens, trace.trace.output_tokens) == (truth.input_tokens, truth.output_tokens)
    # The caller asked for the gateway's name of it, which says nothing of the price.
    assert (call.request_model, call.response_model, call.metadata["litellm.model_group"]) == (
        truth.request_model, "", "small")  # fmt: skip
    assert call.user_id == truth.request["user"]
    assert not {"headers", "trace_id"} & call.metadata.keys()
    assert price(call).status == "priced"
    assert call.cost.reported_usd is not None
    [served] = [span for span in spans if span.raw.name == "Received Proxy Server Request"]
    assert served.category == "server"
