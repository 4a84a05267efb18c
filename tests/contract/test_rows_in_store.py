"""Every column of every row arrives as it was sent."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import orjson
import pytest

from spanhouse_server.model.raw import RawLog, RawMetricPoint, Scope
from spanhouse_server.store.bare import COLUMNS, bare_index, bare_span
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.jsontext import dump
from spanhouse_server.store.rows import (
    facts_of,
    lines,
    log_row,
    point_row,
    span_row,
)
from tests.contract.samples import NS, T0, index_row, make_span

#: Given as objects and arrays, kept as their text.
JSON_COLUMNS = {
    "parameters", "system_instructions", "input_messages", "output_messages", "tool_definitions", "documents",
    "attributes", "events", "links",
}  # fmt: skip


def make_log(**more: Any) -> RawLog:
    values: dict[str, Any] = {
        "time_ns": T0, "observed_ns": T0 + 1, "severity_number": 9, "severity_text": "INFO", "event_name": "e",
        "body": {"a": [1, "x"]}, "attributes": {"k": 1}, "resource": {"service.name": "svc"}, "scope": Scope("lib"),
        "trace_id": "1" * 32, "span_id": "2" * 16,
    }  # fmt: skip
    return RawLog(**values | more)


def make_point(**more: Any) -> RawMetricPoint:
    values: dict[str, Any] = {
        "name": "gen_ai.client.token.usage", "description": "d", "unit": "{token}", "type": "histogram",
        "temporality": "delta", "monotonic": True, "start_ns": T0 - 1, "time_ns": T0,
        "attributes": {"model": "m", "n": 1, "b": True}, "resource": {"service.name": "svc", "host.name": "h"},
        "scope": Scope("lib", "1"), "value": 1.5, "count": 3, "sum": 4.5, "min": 1.0, "max": 2.0,
        "explicit_bounds": [1.0, 2.0], "bucket_counts": [1, 1, 1], "scale": -2, "zero_count": 1, "positive_offset": -1,
        "positive_counts": [1], "negative_offset": 2, "negative_counts": [3], "quantiles": [(0.5, 1.25)],
    }  # fmt: skip
    return RawMetricPoint(**values | more)


def one(store: ColumnarStore, table: str, project: str) -> dict[str, Any]:
    (row,) = store.select(f"SELECT * FROM {table} FINAL WHERE project_id = {{p:String}}", {"p": project})
    row["received_at"] = int(row["received_at"].timestamp()) if row["received_at"].tzinfo else row["received_at"]
    return row


def test_spans(columnar: ColumnarStore) -> None:
    sent = span_row("row", T0, 60_000, make_span())
    columnar.insert("spans", lines([sent]))
    stored = one(columnar, "spans", "row")
    assert stored.keys() == sent.keys()
    for name, value in stored.items():
        if name.startswith("cost_") and name.endswith("usd"):
            assert f"{value:.12f}" == sent[name], name
        elif name in JSON_COLUMNS:
            assert value == dump(sent[name]).decode(), name
        elif name != "received_at":
            assert value == sent[name], name
    assert orjson.loads(stored["events"])[0]["time_ns"] == T0 + 1
    assert orjson.loads(stored["scope"]) == {"attributes": {"s": True}, "name": "lib", "version": "1.0"}


def test_logs(columnar: ColumnarStore) -> None:
    sent = log_row("row", T0, 60_000, make_log(), True)
    columnar.insert("logs", lines([sent]))
    stored = one(columnar, "logs", "row")
    assert stored.keys() == sent.keys()
    assert {name: stored[name] for name in stored if name != "received_at"} == {
        name: sent[name] for name in sent if name != "received_at"
    }


def test_points(columnar: ColumnarStore) -> None:
    sent = point_row("row", T0, 60_000, make_point())
    columnar.insert("metric_points", lines([sent]))
    stored = one(columnar, "metric_points", "row")
    assert stored.keys() == sent.keys()
    assert [list(pair) for pair in stored.pop("quantiles")] == sent.pop("quantiles")
    assert {name: stored[name] for name in stored if name != "received_at"} == {
        name: sent[name] for name in sent if name != "received_at"
    }


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_points_without_a_number(columnar: ColumnarStore, bad: float) -> None:
    project = f"point {bad}"
    point = make_point(value=bad, sum=bad, explicit_bounds=[1.0, bad], quantiles=[(0.5, bad)])
    columnar.insert("metric_points", lines([point_row(project, T0, 0, point)]))
    stored = one(columnar, "metric_points", project)
    assert stored["value"] is None
    assert stored["explicit_bounds"][0] == 1.0


def test_odd_values_do_not_spoil_the_batch(columnar: ColumnarStore) -> None:
    deep: Any = "bottom"
    for _ in range(1_000):
        deep = [deep]
    odd = make_span(
        "3" * 32, "4" * 16, name="lone \ud800 surrogate", attributes={"big": 2**70, "deep": deep, "\ud800": "\udfff"},
        session_id="a\0b", start_ns=-5, end_ns=2**63 - 1, dropped_attributes=2**40,
        parameters={"nan": math.nan, "inf": math.inf}, tool_arguments="plain text", metadata={"k": "\ud800"},
    )  # fmt: skip
    odd.usage.input_tokens = -1
    odd.usage.output_tokens = 2**64
    columnar.insert("spans", lines([span_row("odd", T0, 0, odd), span_row("odd", T0, 0, make_span())]))
    rows = columnar.select("SELECT * FROM spans FINAL WHERE project_id = 'odd' ORDER BY trace_id")
    assert len(rows) == 2
    stored = rows[0]
    assert stored["name"] == "lone \ufffd surrogate"
    assert stored["session_id"] == "a\0b"
    assert (stored["start_ns"], stored["end_ns"]) == (-5, 2**63 - 1)
    assert stored["input_tokens"] is None
    assert stored["output_tokens"] is None
    assert orjson.loads(stored["attributes"])["big"] == str(2**70)
    assert orjson.loads(stored["tool_arguments"]) == "plain text"


def test_a_retention_of_a_lifetime_fits(columnar: ColumnarStore) -> None:
    columnar.insert("spans", lines([span_row("forever", 4_000_000_000 * NS, 65_535, make_span())]))
    assert one(columnar, "spans", "forever")["retention_days"] == 65_535


def test_rows_without_names_are_the_same_rows(columnar: ColumnarStore) -> None:
    """The hot path leaves the names out; the columns go with the statement."""
    span = make_span()
    named, bare = span_row("named", T0, 0, span), span_row("bare", T0, 0, span)
    columnar.insert("spans", lines([named]))
    columnar.insert("spans", bare_span(list(bare.values())), COLUMNS["spans"])
    index = index_row("named", facts_of(T0, 0, span), T0)
    columnar.insert("span_index", lines([index]))
    columnar.insert("span_index", bare_index([replace(index, project_id="bare")]), COLUMNS["span_index"])
    for table in ("spans", "span_index"):
        rows = columnar.select(f"SELECT * EXCEPT project_id FROM {table} WHERE project_id IN ('named', 'bare')")
        assert len(rows) == 2
        assert rows[0] == rows[1]
        assert rows[0]["span_id"] == span.raw.span_id
