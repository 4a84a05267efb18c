"""What another project holds changes nothing: not even the same ids, sessions, users and names with other figures."""

from __future__ import annotations

import time
from typing import Any

import pytest

from spanhouse_server.query.scores import NewScore, store_scores
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import T0, Keeper, chat_trace, columnar, hex_id, point, span
from tests.unit.show.conftest import House

AT_S = T0 // 10**9
RANGE = f"from={AT_S - 3600}&to={AT_S + 3600}"
#: Scores are of the moment they are stored; the fixture puts the time in, as names of tests may not change.
NOW = "from=NOW-3600&to=NOW+3600"
TRACE, CALL = hex_id("a"), hex_id("a/llm", 16)
#: What spans, traces, scores and payloads are asked for, of which some only the twin has.
FOUND = [
    f"&q={q}" for q in ("tool:search", "tool:theirs", "score.good>0.15", "score.own2>0", "refund", "hidden", "spans>11",
                        "user:spy", "session:s1", "has:error", "errors>0")
]  # fmt: skip
PATHS = [
    *(f"/traces?{RANGE}{more}" for more in ("", *FOUND)),
    f"/traces/{TRACE}",
    f"/traces/{TRACE}?limit=2",
    f"/traces/{TRACE}/logs",
    f"/traces/{TRACE}/spans/{CALL}",
    *(f"/spans?{RANGE}{more}" for more in ("", *FOUND)),
    f"/sessions?{RANGE}", "/sessions/s1", f"/users?{RANGE}", "/users/ann", f"/scores?{NOW}",
    *(
        f"/facets?{RANGE}&field={field}&scope={scope}"
        for field in ("model", "score", "metadata", "metadata.tier", "tool", "user", "tag")
        for scope in ("traces", "spans")
    ),
    f"/facets?{RANGE}&field=score&scope=traces&q=user:spy", f"/facets?{RANGE}&field=tool&scope=traces&q=user:spy",
    *(
        f"/metrics?{RANGE}&metric={metric}{group}"
        for metric in ("traces", "requests", "cost_usd", "trace_errors", "input_tokens")
        for group in ("", "&group_by=model", "&group_by=user", "&q=user:ann")
    ),
    f"/metrics?{NOW}&metric=score.good",
    f"/metrics?{NOW}&metric=score.good&group_by=user",
    f"/cost?{RANGE}&group_by=user,model&interval=3600", f"/cost/changes?{RANGE}",
    f"/cost/what-if?{RANGE}&model=gpt-4o-mini&model=gemini-2.5-pro", f"/cost/waste?{RANGE}", f"/cost/self-hosted?{RANGE}&model=gpt-4o-mini",
    f"/latency?{RANGE}&group_by=name",
    f"/otel-metrics?{RANGE}", f"/otel-metrics?{RANGE}&name=gpu.load", f"/otel-metrics?{RANGE}&name=latency&stat=p95",
]  # fmt: skip


def put(store: ColumnarStore, project: str, times: int) -> None:
    """Store the same things for a project; twice the ``times`` are other figures, and more of everything."""
    keeper, twin = Keeper(store), times > 1
    keeper.version += times
    for name, at_s in (("a", 0.0), ("b", 60.0)):
        spans = chat_trace(
            name,
            start_s=at_s,
            session="s1",
            user="spy" if twin and name == "b" else "ann",
            tags=[] if twin else ["x"],
            cost=str(times),
            text=f"refund {'please ' * times}",
            metadata={"tier": f"tier{times}", f"own{times}": "1"},
            error=twin,
        )
        for each in spans:
            each.raw.end_ns += times
        call: dict[str, Any] = {"category": "llm", "operation": "chat", "tokens": (10 * times, times)}
        spans += [
            span(name, "ask", parent="root", start_s=at_s + times, cost=str(times), response_model="gpt-4o", **call),
            span(name, "engine", parent="llm", start_s=at_s + 1.1, duration_s=times, category="server", ttft_ns=times),
            # Two spans between an engine and what may be the call it served: only the twin's is one.
            span(name, "far", parent="gate", start_s=at_s + 1.2, category="server"),
            span(name, "gate", parent="gateway", start_s=at_s + 1.2),
            span(name, "gateway", parent="ask" if twin else "root", start_s=at_s + 1.2),
            span(name, "near", parent="proxy", start_s=at_s + 1.2, category="server"),
            span(name, "proxy", parent="ask" if twin else "root", start_s=at_s + 1.2, **call if twin else {}),
            span(name, "sent", dialect="spanhouse", attributes={"http.request.resend_count": times}, **call),
            span(
                name, "kept", dialect="spanhouse" if twin else "", attributes={"http.request.resend_count": 7}, **call
            ),
        ]
        if twin:
            spans.append(span(name, "lost", parent="never sent", category="tool", tool_name="theirs", text="hidden"))
        keeper.put(*spans, project=project)
    # A call that counts only where nothing below it does.
    outer = span("w", "outer", category="llm", start_s=120, tokens=(100, 20), cost="1")
    inner = span("w", "inner", category="llm", start_s=120.1, parent="outer", tokens=(100, 20), cost="1")
    keeper.put(outer, *([] if twin else [inner]), project=project)
    keeper.log("a", "llm", f"said {times}", project=project)
    attributes = {"gpu": times}
    keeper.points([point("gpu.load", 10 * n, value=float(n * times), attributes=attributes) for n in range(6)], project)
    more: dict[str, Any] = {"type": "histogram", "temporality": "cumulative"}
    keeper.points([point("latency", 60 * n, count=n * times, sum=float(n * times), **more) for n in (1, 2)], project)
    store_scores(
        store,
        project,
        [
            NewScore(name="good", trace_id=TRACE, value=0.1 * times, id="one"),
            NewScore(name="good", trace_id=hex_id("b"), value=0.1 * times, id="four"),
            NewScore(name="good", trace_id=TRACE, span_id=CALL, value=0.1 * times, label=str(times), id="two"),
            NewScore(name=f"own{times}", session_id="s1", value=0.1 * times, id="three"),
        ],
    )


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each path answers before and after the other project has a twin of everything."""
    found: dict[str, list[Any]] = {path: [] for path in PATHS}
    with columnar(tmp_path_factory.mktemp("columnar")) as store:
        house = House(store, tmp_path_factory.mktemp("house"))
        now_s = time.time_ns() // 10**9
        for project, times in (("default", 1), ("other", 2)):
            put(store, project, times)
            for path in PATHS:
                dated = path.replace("NOW-3600", str(now_s - 3600)).replace("NOW+3600", str(now_s + 3600))
                reply = house.client.get(f"/api/v1{dated}")
                assert reply.status_code == 200, f"{path}: {reply.text}"
                found[path].append(reply.json())
        house.close()
    return found


@pytest.mark.parametrize("path", PATHS)
def test_a_twin_in_another_project_changes_nothing(replies: dict[str, list[Any]], path: str) -> None:
    before, after = replies[path]
    assert after == before
