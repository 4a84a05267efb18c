"""Recordings of several instrumentations in one project, sent in any order, in any pieces and more than once.

Through the drain into a real store: spans, log events of spans not there yet, announcements of running spans, feedback.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.drain.transform import transform
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.spool.contract import SpoolEntry
from spanhouse_server.store.contract import ColumnarStore
from tests.golden.case import HERE, RECEIVED_NS, all_cases
from tests.stored import columnar, small_spool
from tests.unit.normalise.settle_facts import settle_all

#: Raised by hand for a longer search.
EXAMPLES = int(os.environ.get("SPANHOUSE_TEST_EXAMPLES", "3"))
NUMBERS = iter(range(1, 10_000_000))
#: Those with more than spans that are sent once, or more than one trace to a call; drawn more often than the others.
KNOTTY = [
    *("openai_v2_events_tools", "genai_openai_events_chat", "logfire_feedback", "logfire_anthropic_stream"),
    *("logfire_anthropic_request_stream", "langsmith_anthropic_chat", "openllmetry_anthropic_stream"),
    *("openinference_langchain_agent", "engines_vllm_chat", "logfire_stream", "langfuse_agent"),
]
TABLES = {
    "spans": "version, arrival_ns, received_at, project_id",
    "span_index": "version, received_at, project_id",
    "traces": "version, received_at, project_id",
    "scores": "version, received_at, project_id",
}


def pieces(case: str) -> list[tuple[str, bytes]]:
    """Return the spans and log records of a case, each as a request of its own with its signal."""
    found: list[tuple[str, bytes]] = []
    for path in sorted((HERE / "payloads" / case).iterdir()):
        signal = path.stem.partition("-")[2]
        if signal == "traces":
            for resource in ExportTraceServiceRequest.FromString(path.read_bytes()).resource_spans:
                for scoped in resource.scope_spans:
                    for span in scoped.spans:
                        traces = ExportTraceServiceRequest()
                        group = traces.resource_spans.add(resource=resource.resource, schema_url=resource.schema_url)
                        group.scope_spans.add(scope=scoped.scope, schema_url=scoped.schema_url, spans=[span])
                        found.append((signal, traces.SerializeToString()))
        elif signal == "logs":
            for owner in ExportLogsServiceRequest.FromString(path.read_bytes()).resource_logs:
                for named in owner.scope_logs:
                    for record in named.log_records:
                        logs = ExportLogsServiceRequest()
                        kept = logs.resource_logs.add(resource=owner.resource, schema_url=owner.schema_url)
                        kept.scope_logs.add(scope=named.scope, schema_url=named.schema_url, log_records=[record])
                        found.append((signal, logs.SerializeToString()))
    return found


class Project:
    """A project of its own in a store."""

    def __init__(self, store: ColumnarStore, spool: SqliteSpool) -> None:
        self.name = f"p{next(NUMBERS)}"
        self._store, self._spool = store, spool
        self.restart()

    def restart(self) -> None:
        """Begin without memory of what was before."""
        self._pipeline = Pipeline(self._spool, self._store, Workshop(0), dict, Metrics(), Health())

    def drain(self, batch: Sequence[tuple[str, bytes]], later_s: int = 0) -> None:
        """Store a batch of requests, as received one after another."""
        received_ns = RECEIVED_NS + later_s * NS_PER_S
        entries = [
            SpoolEntry(number, self.name, signal, received_ns + number, body)
            for (signal, body), number in zip(batch, NUMBERS, strict=False)
        ]
        self._pipeline._insert(transform(entries, {}, self._pipeline._stamps.next_ns()))

    def stored(self) -> dict[str, list[dict[str, Any]]]:
        """Return what is shown of the project, but for when it came."""
        found = {}
        for table, stamps in TABLES.items():
            sql = f"SELECT * EXCEPT ({stamps}) FROM {table} FINAL WHERE project_id = {{project:String}}"
            rows = self._store.select(sql, {"project": self.name})
            for row in rows:
                row.pop("created_ns", None)
                row.pop("score_id", None)
            found[table] = sorted(rows, key=repr)
        return found

    def by_the_rule(self) -> dict[tuple[str, str], str]:
        """Return why each span counts or does not, by the pure rule applied at once to all that is stored."""
        rows = self._store.select("SELECT DISTINCT trace_id FROM spans WHERE project_id = {p:String}", {"p": self.name})
        facts = self._store.facts([(self.name, row["trace_id"]) for row in rows])
        settled = settle_all(each for members in facts.values() for each in members)
        return {(row.trace_id, row.span_id): row.counted_reason for one in settled.values() for row in one.spans}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        yield opened


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteSpool]:
    with small_spool(tmp_path_factory.mktemp("spool")) as opened:
        yield opened


def test_any_order_any_batches_and_any_repeats_end_alike(store: ColumnarStore, spool: SqliteSpool) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        cases=st.lists(st.sampled_from(KNOTTY) | st.sampled_from(all_cases()), min_size=2, max_size=4, unique=True),
        seed=st.integers(0, 10**6),
        cuts=st.lists(st.floats(0, 1), max_size=4),
        repeats=st.lists(st.integers(0, 4), max_size=2),
        restarts=st.booleans(),
    )
    def check(cases: list[str], seed: int, cuts: list[float], repeats: list[int], restarts: bool) -> None:
        sent = [piece for case in cases for piece in pieces(case)]
        at_once = Project(store, spool)
        at_once.drain(sent)
        expected = at_once.stored()
        assert {(row["trace_id"], row["span_id"]): row["counted_reason"] for row in expected["span_index"]} == (
            at_once.by_the_rule()
        )
        random.Random(seed).shuffle(sent)
        piecemeal = Project(store, spool)
        edges = [0, *sorted(round(cut * len(sent)) for cut in cuts), len(sent)]
        batches = [sent[begin:end] for begin, end in zip(edges, edges[1:], strict=False)]
        for number, batch in enumerate(batches):
            piecemeal.drain(batch, number)
            if restarts:
                piecemeal.restart()
            if number in repeats:
                piecemeal.drain(batch, number + 1)
        found = piecemeal.stored()
        for table in TABLES:
            assert found[table] == expected[table], (table, cases)
        for number in repeats:
            piecemeal.drain(batches[number % len(batches)], 3600)
        found = piecemeal.stored()
        for table in TABLES:
            assert found[table] == expected[table], (table, cases, "an hour later")

    check()
