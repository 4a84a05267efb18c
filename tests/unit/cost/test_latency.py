"""Percentiles against numbers sorted by hand, and the split between client and engine."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from spanhouse_server.errors import BadQuery
from spanhouse_server.query.latency import LatencyQuery, latency
from spanhouse_server.query.metrics import MetricQuery, metric_series
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, columnar, hex_id, span

WINDOW = Window(T0, T0 + 3600 * NS)
DICE = random.Random(3)
#: (model, release, duration s, ttft s or None, output tokens)
CALLS = [
    (
        DICE.choice(["fast", "slow"]),
        DICE.choice(["v1", "v2"]),
        DICE.lognormvariate(0, 1),
        None if DICE.random() < 0.3 else 0.01,
        21,
    )
    for _ in range(400)
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("latency")) as opened:
        keeper = Keeper(opened)
        keeper.put(
            *(
                span(f"t{number}", "chat", start_s=number, duration_s=duration_s, category="llm", request_model=model,
                     release=release, tokens=(10, tokens), ttft_ns=None if ttft_s is None else round(ttft_s * NS))
                for number, (model, release, duration_s, ttft_s, tokens) in enumerate(CALLS)
            ),
            span("t0", "search", id="tool", start_s=1, duration_s=50, category="tool"),
        )  # fmt: skip
        keeper.put(
            span("e1", "chat", id="c", category="llm", duration_s=3, ttft_ns=NS, tokens=(9, 9)),
            span("e1", "gateway", id="g", parent="c", start_s=0.1, duration_s=2.9, kind="server"),
            span("e1", "POST /v1", id="h", parent="g", start_s=0.2, duration_s=2.7, kind="server"),
            span("e1", "llm_request", id="v", parent="h", start_s=0.5, duration_s=2, category="server", ttft_ns=NS // 2,
                 metadata={"latency.time_in_queue_s": "0.25", "latency.time_in_model_prefill_s": "0.1"}),
            span("e2", "chat", id="c", category="llm", duration_s=2, tokens=(9, 9)),
            span("e2", "llm_request", id="v", parent="c", duration_s=1.5, category="server",
                 metadata={"latency.queue_time_s": "0.75"}),
            span("e3", "llm_request", id="v", duration_s=9, category="server"),
            project="engines",
        )  # fmt: skip
        yield opened


def quantile(values: list[float], level: float) -> float:
    return sorted(values)[int(level * (len(values) - 1))]


def test_percentiles_by_model_and_release(store: ColumnarStore) -> None:
    reply = latency(store, "default", LatencyQuery("model,release", window=WINDOW))
    assert reply["total"]["requests"] == len(CALLS)
    assert len(reply["groups"]) == 4
    for row in reply["groups"]:
        own = [each for each in CALLS if (each[0], each[1]) == (row["group"]["model"], row["group"]["release"])]
        durations = [each[2] * 1000 for each in own]
        tpots = [(each[2] - each[3]) * 1000 / 20 for each in own if each[3] is not None and each[2] > each[3]]
        assert row["duration_ms"]["count"] == len(own)
        assert row["tpot_ms"]["count"] == len(tpots) < len(own)
        for name, level in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            assert row["duration_ms"][name] == pytest.approx(quantile(durations, level), rel=0.011)
            assert row["tpot_ms"][name] == pytest.approx(quantile(tpots, level), rel=0.011)
        assert row["duration_ms"]["max"] == pytest.approx(max(durations), rel=1e-6)


def test_the_same_as_the_metrics(store: ColumnarStore) -> None:
    total = latency(store, "default", LatencyQuery("", window=WINDOW))["total"]
    for metric, figure in (
        ("request_duration_ms.p95", total["duration_ms"]["p95"]),
        ("tpot_ms.p50", total["tpot_ms"]["p50"]),
        ("ttft_ms.p99", total["ttft_ms"]["p99"]),
        ("requests", total["requests"]),
    ):
        asked = metric_series(store, "default", MetricQuery(metric, window=WINDOW))
        assert asked["series"][0]["total"] == pytest.approx(figure, rel=0.02), metric


def test_the_slowest(store: ColumnarStore) -> None:
    reply = latency(store, "default", LatencyQuery(window=WINDOW, slowest=3))
    longest = sorted(enumerate(CALLS), key=lambda item: -item[1][2])[:3]
    assert [row["trace_id"] for row in reply["slowest"]] == [hex_id(f"t{number}") for number, _ in longest]
    spans = latency(store, "default", LatencyQuery("name", "spans", WINDOW, slowest=1))
    assert spans["slowest"][0]["name"] == "search"
    assert spans["total"]["requests"] == len(CALLS) + 1
    by_ttft = latency(store, "default", LatencyQuery(window=WINDOW, slowest_by="ttft_ms"))
    assert all(row["ttft_ms"] for row in by_ttft["slowest"])


def test_client_less_engine(store: ColumnarStore) -> None:
    split = latency(store, "engines", LatencyQuery(window=WINDOW))["engine"]
    assert split["requests"] == 2
    assert split["outside_engine_ms"]["max"] == pytest.approx(1000)
    assert split["engine_ms"]["max"] == pytest.approx(2000)
    assert split["outside_share"] == pytest.approx(1.5 / 5)
    assert split["queue_ms"]["count"] == 2
    assert split["queue_ms"]["max"] == pytest.approx(750)
    assert split["prefill_ms"]["max"] == pytest.approx(100)
    assert split["decode_ms"] == {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}
    assert (split["client_ttft_ms"]["max"], split["engine_ttft_ms"]["max"]) == (1000, 500)
    assert latency(store, "default", LatencyQuery(window=WINDOW))["engine"] is None


def test_nothing_and_nonsense(store: ColumnarStore) -> None:
    reply = latency(store, "nobody", LatencyQuery(window=WINDOW))
    assert (reply["groups"], reply["slowest"], reply["total"]["duration_ms"]["p50"]) == ([], [], None)
    for bad in (LatencyQuery("nope"), LatencyQuery(of="cats"), LatencyQuery(slowest_by="cost"), LatencyQuery(q="(")):
        with pytest.raises(BadQuery):
            latency(store, "default", bad)
