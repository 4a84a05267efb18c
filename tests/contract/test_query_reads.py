"""Single things and figures on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from spanhouse_server.clock import rfc3339
from spanhouse_server.errors import BadQuery, NotFound
from spanhouse_server.query.facets import facet_values
from spanhouse_server.query.logs import trace_logs
from spanhouse_server.query.metrics import MetricQuery, metric_series
from spanhouse_server.query.points import PointQuery, otel_metrics
from spanhouse_server.query.scores import NewScore, delete_score, list_scores, store_scores
from spanhouse_server.query.sessions import session_detail
from spanhouse_server.query.span import span_detail
from spanhouse_server.query.times import Window
from spanhouse_server.query.trace import trace_detail
from spanhouse_server.query.users import user_detail
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, chat_trace, columnar, hex_id, point, span

HOUR = Window(T0, T0 + 3600 * NS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("store")) as opened:
        keeper = Keeper(opened)
        keeper.put(*chat_trace("a", session="s/1", user="ann", tags=["x", "y"], metadata={"tier": "free"}))
        keeper.put(*chat_trace("b", start_s=600, session="s/1", user="ann", model="claude-3", cost="0.5", error=True))
        keeper.put(*chat_trace("c", start_s=1200, session="s2", user="bob", model="o3", cost="0.25"))
        # A wrapper that repeats what the call below it used.
        keeper.put(
            span("w", "outer", category="llm", start_s=1800, tokens=(100, 20), cost="1"),
            span("w", "inner", category="llm", start_s=1800.1, parent="outer", tokens=(100, 20), cost="1",
                 response_model="o3", duration_s=0.5),
            span("w", "lost", category="tool", start_s=1800.2, parent="never sent"),
        )  # fmt: skip
        keeper.log("a", "llm", {"role": "user"}, at_s=1)
        keeper.log("a", "root", "text", at_s=2)
        keeper.points([point("gpu.load", 10 * n, value=float(n)) for n in range(6)])
        keeper.points([
            point("latency", 60 * n, type="histogram", temporality="cumulative", count=10 * n, sum=float(n * n))
            for n in range(1, 4)
        ])  # fmt: skip
        keeper.put(*chat_trace("a", user="spy"), project="other")
        yield opened


def test_a_trace_has_totals_and_a_skeleton(store: ColumnarStore) -> None:
    trace = trace_detail(store, "default", hex_id("w"), 5000, "")
    assert trace["cost_usd"] == "1"
    assert (trace["input_tokens"], trace["output_tokens"]) == (100, 20)
    assert trace["missing_parents"] == 1
    assert [bone["name"] for bone in trace["spans"]] == ["outer", "inner", "lost"]
    outer, inner, lost = trace["spans"]
    assert outer["counted"] is False
    assert "counted" not in inner
    assert (inner["start_ms"], inner["duration_ms"], inner["tokens"], inner["model"]) == (100.0, 500.0, 120, "o3")
    assert "cost_usd" not in lost


def test_the_skeleton_is_paged(store: ColumnarStore) -> None:
    names: list[str] = []
    cursor = ""
    while True:
        page = trace_detail(store, "default", hex_id("a"), 2, cursor)
        names += [bone["name"] for bone in page["spans"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert names == ["a", "chat gpt-4o", "search"]


def test_the_skeleton_is_small(store: ColumnarStore) -> None:
    spans = trace_detail(store, "default", hex_id("a"), 5000, "")["spans"]
    assert len(orjson.dumps(spans)) / len(spans) <= 200


def test_a_span_is_the_canonical_one(store: ColumnarStore) -> None:
    found = span_detail(store, "default", hex_id("b"), hex_id("b/llm", 16))
    assert found["input_messages"] == [{"role": "user", "parts": [{"type": "text", "content": "hello world"}]}]
    assert found["usage"]["counted"] is True
    assert found["cost"]["total_usd"] == "0.5"
    assert (found["session_id"], found["user_id"]) == ("s/1", "ann")  # set on the root, serve the trace
    assert (found["ttft_ms"], found["duration_ms"]) == (250.0, 2000.0)
    assert found["output_tokens_per_s"] == round(20 / 1.75, 3)
    assert found["attributes"] == {"gen_ai.system": "openai", "n": 5, "flag": True}
    assert found["events"] == [{"name": "started", "time": rfc3339(T0 + 601 * NS), "attributes": {"n": 1}}]
    assert found["scope"] == {"name": "test", "version": "1.0", "attributes": {}}
    assert found["tool_arguments"] is None
    assert span_detail(store, "default", hex_id("b"), hex_id("b/tool", 16))["tool_arguments"] == {"q": "x"}


@pytest.mark.parametrize("project", ["default", "nobody"])
def test_what_is_not_there_is_not_found(store: ColumnarStore, project: str) -> None:
    name = "unknown" if project == "default" else "b"
    with pytest.raises(NotFound):
        trace_detail(store, project, hex_id(name), 10, "")
    with pytest.raises(NotFound):
        span_detail(store, project, hex_id(name), hex_id(f"{name}/llm", 16))
    with pytest.raises(NotFound):
        session_detail(store, project, "s/1" if project != "default" else "s9", 10, "")
    with pytest.raises(NotFound):
        user_detail(store, project, "ann" if project != "default" else "eve")


def test_a_session_sums_its_traces(store: ColumnarStore) -> None:
    session = session_detail(store, "default", "s/1", 1, "")
    assert (session["trace_count"], session["span_count"], session["error_count"]) == (2, 6, 1)
    assert (session["cost_usd"], session["input_tokens"]) == ("0.51", 200)
    assert session["models"] == ["claude-3", "gpt-4o"]
    assert session["duration_ms"] == 604_000.0
    assert [turn["name"] for turn in session["traces"]] == ["a"]
    following = session_detail(store, "default", "s/1", 1, session["next_cursor"])
    assert [turn["name"] for turn in following["traces"]] == ["b"]
    assert following["next_cursor"] is None


def test_a_user_has_sessions(store: ColumnarStore) -> None:
    user = user_detail(store, "default", "ann")
    assert (user["trace_count"], user["session_count"], user["cost_usd"]) == (2, 1, "0.51")
    assert [session["session_id"] for session in user["sessions"]] == ["s/1"]


@pytest.mark.parametrize(
    ("field", "q", "values"),
    [
        ("model", "", {"gpt-4o": 1, "claude-3": 1, "o3": 2}),
        ("model", "user:ann", {"gpt-4o": 1, "claude-3": 1}),
        ("status", "", {"unset": 3, "error": 1}),
        ("tag", "", {"x": 1, "y": 1}),
        ("kind", "", {"internal": 4, "client": 3}),
        ("host_name", "user:bob", {"h1": 1}),
        ("metadata.tier", "", {"free": 1}),
        ("metadata", "", {"tier": 1}),
    ],
)
def test_facets_count_traces(store: ColumnarStore, field: str, q: str, values: dict[str, int]) -> None:
    found = facet_values(store, "default", field, Window(), q, "traces", 50)
    assert {value["value"]: value["count"] for value in found["values"]} == values


def test_facets_are_cut_and_say_so(store: ColumnarStore) -> None:
    found = facet_values(store, "default", "model", Window(), "", "spans", 1)
    assert found["values"] == [{"value": "o3", "count": 2}]
    assert found["more"] is True


@pytest.mark.parametrize("field", ["modle", "duration", "metadata.", "model.x", "attribute.a", "text"])
def test_not_every_field_has_facets(store: ColumnarStore, field: str) -> None:
    with pytest.raises(BadQuery, match="cannot group by"):
        facet_values(store, "default", field, Window(), "", "traces", 5)


def series(store: ColumnarStore, metric: str, **more: Any) -> dict[tuple[str, ...], Any]:
    query = MetricQuery(metric=metric, window=HOUR, interval_s=600, **more)
    found = metric_series(store, "default", query)
    assert all(len(line["points"]) == 6 for line in found["series"])
    return {tuple(line["group"].values()): (line["total"], [p[1] for p in line["points"]]) for line in found["series"]}


def test_metrics_count_usage_once(store: ColumnarStore) -> None:
    assert series(store, "cost_usd") == {(): (1.76, [0.01, 0.5, 0.25, 1.0, 0.0, 0.0])}
    assert series(store, "input_tokens")[()][0] == 400
    assert series(store, "requests") == {(): (4.0, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0])}
    assert series(store, "spans")[()][0] == 12
    assert series(store, "traces")[()][0] == 4
    assert series(store, "errors", q="user:ann")[()] == (1.0, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0])


def test_metrics_are_grouped_and_the_rest_is_one_group(store: ColumnarStore) -> None:
    grouped = series(store, "cost_usd", group_by="model", limit=2)
    assert list(grouped) == [("o3",), ("claude-3",), ("true",)]
    assert [total for total, _ in grouped.values()] == [1.25, 0.5, 0.01]
    assert list(series(store, "traces", group_by="user, session")) == [("ann", "s/1"), ("", ""), ("bob", "s2")]
    assert set(series(store, "traces", group_by="tag")) == {("x",), ("y",), ("",)}
    assert list(series(store, "requests", group_by="metadata.tier")) == [("",), ("free",)]
    counted = series(store, "spans", group_by="counted")
    assert {key: total for key, (total, _) in counted.items()} == {("true",): 4, ("false",): 8}
    assert series(store, "spans", q="counted:true")[()][0] == counted[("true",)][0]
    assert sum(total for total, _ in series(store, "spans", group_by="counted_reason").values()) == 12


def test_spread_metrics_have_no_value_without_data(store: ColumnarStore) -> None:
    assert series(store, "ttft_ms.p95") == {(): (250.0, [250.0, 250.0, 250.0, None, None, None])}
    assert series(store, "trace_duration_ms.max", q="has:user")[()][0] == 4000.0
    assert series(store, "request_duration_ms.avg", group_by="model")[("o3",)][0] == (2000 + 500) / 2
    assert series(store, "duration_ms.p50", q="name:nothing") == {(): (None, [None] * 6)}


@pytest.mark.parametrize(
    "query",
    [
        {"metric": "price"},
        {"metric": "cost_usd.p95"},
        {"metric": "duration_ms.p995"},
        {"metric": "score."},
        {"metric": "spans", "group_by": "a,b,c,d"},
        {"metric": "spans", "group_by": "duration"},
        {"metric": "traces", "group_by": "kind"},
        {"metric": "spans", "interval_s": 1, "window": Window(0, T0)},
        {"metric": "spans", "q": "nofield:x"},
    ],
)
def test_metrics_that_make_no_sense_are_refused(store: ColumnarStore, query: dict[str, Any]) -> None:
    with pytest.raises(BadQuery):
        metric_series(store, "default", MetricQuery(**query))


def test_scores_are_replaced_by_id_moved_and_deleted(store: ColumnarStore) -> None:
    trace_id = hex_id("c")
    [first] = store_scores(store, "default", [NewScore(name="good", id="one", trace_id=trace_id, value=1.0)])
    [second] = store_scores(store, "default", [NewScore(name="good", id="one", trace_id=trace_id, value=0.5)])
    assert first["created_at"] == second["created_at"]
    trace = trace_detail(store, "default", trace_id, 10, "")
    assert trace["scores"] == {"good": {"value": 0.5, "label": "", "count": 1}}
    assert [score["id"] for score in trace["score_items"]] == ["one"]
    store_scores(store, "default", [NewScore(name="good", id="one", session_id="s2", label="ok")])
    assert trace_detail(store, "default", trace_id, 10, "")["scores"] == {}
    assert session_detail(store, "default", "s2", 10, "")["scores"]["good"]["label"] == "ok"
    with pytest.raises(NotFound):
        delete_score(store, "other", "one")
    delete_score(store, "default", "one")
    assert list_scores(store, "default", Window(), {"name": "good"}, 10, "")["items"] == []


def test_scores_over_time(store: ColumnarStore) -> None:
    names = ["a", "b", "a"]
    scores = [NewScore(name="faith", trace_id=hex_id(name), value=n / 2) for n, name in enumerate(names)]
    store_scores(store, "default", scores)
    query = MetricQuery(metric="score.faith", group_by="model")
    totals = {line["group"]["model"]: line["total"] for line in metric_series(store, "default", query)["series"]}
    assert totals == {"gpt-4o": 0.5, "claude-3": 0.5}
    assert metric_series(store, "default", MetricQuery(metric="score.faith.max"))["series"][0]["total"] == 1.0
    pages = list_scores(store, "default", Window(), {"name": "faith"}, 2, "")
    rest = list_scores(store, "default", Window(), {"name": "faith"}, 2, pages["next_cursor"])
    assert [item["value"] for item in pages["items"] + rest["items"]] == [1.0, 0.5, 0.0]


def test_logs_of_a_trace(store: ColumnarStore) -> None:
    page = trace_logs(store, "default", hex_id("a"), "", 1, "")
    rest = trace_logs(store, "default", hex_id("a"), "", 5, page["next_cursor"])
    assert [log["body"] for log in page["items"] + rest["items"]] == [{"role": "user"}, "text"]
    assert len(trace_logs(store, "default", hex_id("a"), hex_id("a/llm", 16), 5, "")["items"]) == 1
    assert trace_logs(store, "other", hex_id("a"), "", 5, "")["items"] == []


def test_stored_metrics(store: ColumnarStore) -> None:
    names = otel_metrics(store, "default", PointQuery(window=HOUR))["metrics"]
    assert [(item["name"], item["type"], item["point_count"]) for item in names] == [
        ("gpu.load", "gauge", 6),
        ("latency", "histogram", 3),
    ]
    load = otel_metrics(store, "default", PointQuery(name="gpu.load", window=HOUR, interval_s=30))["series"]
    assert load[0]["host_name"] == "h1"
    assert load[0]["points"] == [[T0 / NS, 2.0], [T0 / NS + 30, 5.0]]
    means = otel_metrics(store, "default", PointQuery(name="latency", window=HOUR, interval_s=60))["series"]
    assert [value for _, value in means[0]["points"]] == [0.1, 0.3, 0.5]
    assert otel_metrics(store, "other", PointQuery(window=HOUR))["metrics"] == []
