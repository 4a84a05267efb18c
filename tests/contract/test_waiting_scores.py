"""A judgement that comes before the span of the answer it judges, from the spool to what the API shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanhouse_server import pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.query.metrics import MetricQuery, metric_series
from spanhouse_server.query.page import ListQuery
from spanhouse_server.query.scores import list_scores
from spanhouse_server.query.span import span_detail
from spanhouse_server.query.times import Window
from spanhouse_server.query.traces import list_traces
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store.contract import ColumnarStore
from tests import otlp
from tests.contract.conftest import OpenColumnar
from tests.stored import hex_id

CALLED, NAMED = hex_id("called"), hex_id("named")
CALL = hex_id("call", 16)


class House:
    """A server's spool and drain, which can be left and started again on the same files and tables."""

    def __init__(self, open_store: OpenColumnar, folder: Path, project: str) -> None:
        self._open, self._folder, self._project = open_store, folder, project
        self.store: ColumnarStore | None = None
        self.start()

    def start(self) -> None:
        """Start anew, without memory of what was before."""
        fresh = self.store is None
        self.stop()
        self.store = self._open()
        if fresh:
            self.store.migrate()
        self._spool = SqliteSpool(
            self._folder / "spool.db", max_bytes=10**8, max_age_s=3600, min_free_bytes=0, fsync="off"
        )
        self._drain = Pipeline(self._spool, self.store, Workshop(0), dict, Metrics(), Health())

    def stop(self) -> None:
        """Leave the files and tables."""
        if self.store is not None:
            self._spool.close()
            self.store.close()

    def send(self, *signals: tuple[str, bytes]) -> None:
        """Receive requests, and store them in one batch."""
        for signal, body in signals:
            asyncio.run(self._spool.append(self._project, signal, body, records=1))
        self._drain._drain()
        stats = self._spool.stats()
        assert (stats.requests, stats.set_aside) == (0, 0)

    def shown(self) -> dict[str, list[tuple[str, str, float]]]:
        """Return all scores as the API lists them, by name."""
        found: dict[str, list[tuple[str, str, float]]] = {}
        assert self.store
        for item in list_scores(self.store, self._project, Window(), {}, 100, "")["items"]:
            found.setdefault(item["name"], []).append((item["trace_id"], item["span_id"], item["value"]))
        return found

    def figures(self, name: str) -> tuple[list[float], list[tuple[str, int]]]:
        """Return a score's mean over time, and the traces found by it, with how many it has."""
        assert self.store
        lines = metric_series(self.store, self._project, MetricQuery(metric=f"score.{name}"))["series"]
        listed = list_traces(self.store, self._project, ListQuery(q=f"score.{name}>0"))["items"]
        means = [line["total"] for line in lines if line["total"] is not None]
        return means, [(item["trace_id"], item["scores"][name]["count"]) for item in listed]

    def on_span(self) -> list[str]:
        """Return the names of the scores that the page of the called span shows."""
        assert self.store
        return sorted(score["name"] for score in span_detail(self.store, self._project, CALLED, CALL)["scores"])


@pytest.fixture
def house(
    open_store: OpenColumnar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[House]:
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    made = House(open_store, tmp_path, request.node.originalname)
    yield made
    made.stop()


def judged(name: str, answer: str, trace: str = "") -> tuple[str, bytes]:
    """Return a log request with a judgement of an answer."""
    values = {
        "gen_ai.evaluation.name": name,
        "gen_ai.evaluation.score.value": 0.75,
        "gen_ai.response.id": answer,
    }
    return "logs", otlp.log_request(trace, "", ("gen_ai.evaluation.result", "", values))


def called(answer: str, name: str = "chat", trace: str = CALLED, span: str = CALL) -> tuple[str, bytes]:
    values = {"gen_ai.operation.name": name} | ({"gen_ai.response.id": answer} if answer else {})
    return "traces", otlp.request(otlp.span(trace, span, name=name, attributes=values))


def test_it_waits_and_then_stands_on_its_span_once(house: House) -> None:
    lone, within, never = judged("lone", "r"), judged("within", "r", NAMED), judged("never", "not sent")
    house.send(lone, within, never, called("other", trace=NAMED))
    assert house.shown() == {"within": [(NAMED, "", 0.75)]}
    assert house.figures("lone") == ([], [])
    assert house.figures("within") == ([0.75], [(NAMED, 1)])

    house.start()
    house.send(lone, within)  # a sender that got no answer sends again
    assert house.shown() == {"within": [(NAMED, "", 0.75)]}

    house.start()
    house.send(called("r"))
    placed = (CALLED, CALL, 0.75)
    assert house.shown() == {"lone": [placed], "within": [placed]}
    house.send(called("r"), lone)
    house.send(within, called("r"))
    assert house.shown() == {"lone": [placed], "within": [placed]}
    assert house.figures("lone") == house.figures("within") == ([0.75], [(CALLED, 1)])
    assert house.on_span() == ["lone", "within"]


def test_any_span_that_tells_of_the_answer_will_do(house: House) -> None:
    """An agent's span is no model call, and no other trace can report the same."""
    house.send(judged("good", "resp_1"))
    house.send(called("resp_1", "invoke_agent"))
    assert house.shown() == {"good": [(CALLED, CALL, 0.75)]}


def test_a_span_that_learns_its_answer_from_a_log_record_ends_the_wait(house: House) -> None:
    house.send(judged("good", "r"))
    house.send(called(""))
    assert house.shown() == {}
    details = ("gen_ai.client.inference.operation.details", "", {"gen_ai.response.id": "r"})
    house.send(("logs", otlp.log_request(CALLED, CALL, details)))
    assert house.shown() == {"good": [(CALLED, CALL, 0.75)]}


def test_one_batch_with_both_is_enough(house: House) -> None:
    house.send(judged("good", "r"), called("r"))
    assert house.shown() == {"good": [(CALLED, CALL, 0.75)]}
