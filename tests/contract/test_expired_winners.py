"""A call told in two traces of which one is past its retention: it was counted, and is not counted again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.drain.transform import transform
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.model.prices import NO_PRICES, OwnPrice, PriceBook
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.remake import Remake, Totals
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.spool.contract import SpoolEntry
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from spanhouse_server.store.own_prices import book_of
from tests import otlp
from tests.stored import hex_id, small_spool
from tests.templates import new_records

TABLES = ("spans", "span_index", "traces")
NUMBERS = iter(range(1, 1_000_000))
DAY_NS = 86_400 * NS_PER_S
MODEL = "gpt-4o-2024-08-06"
ID = "chatcmpl-74b989df72189cab261ed261"
#: Three days before now: by the engine's own clock, what is kept for a day is gone, what for a month is there.
CALLED_NS = now_ns() - 3 * DAY_NS
SHORT, LONG = 1, 30


class Project:
    """A project of its own, whose retention is another for each batch."""

    def __init__(self, store: ColumnarStore, spool: SqliteSpool, records: RecordsStore) -> None:
        self.name = f"expires{next(NUMBERS)}"
        self.store = store
        self._spool, self._records = spool, records
        self.restart()
        for table in TABLES:
            self._command(f"SYSTEM STOP MERGES {table}")

    def restart(self) -> None:
        """Begin without memory of what was before."""
        self._pipeline = Pipeline(self._spool, self.store, Workshop(0), dict, Metrics(), Health())

    def _command(self, sql: str) -> None:
        with self.store._inserts.client() as client:  # type: ignore[attr-defined]
            client.command(sql)

    def drain(self, trace: str, name: str, parent: str = "", days: int = LONG, **more: Any) -> None:
        """Store a request with one span, a model call where it has a ``scope``."""
        attributes: dict[str, Any] = {"gen_ai.operation.name": "invoke_agent"}
        if scope := more.get("scope", ""):
            attributes = {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": MODEL,
                "gen_ai.response.id": ID, "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
            }  # fmt: skip
        span = otlp.span(
            hex_id(trace), hex_id(trace + name, 16), hex_id(trace + parent, 16) if parent else "", name,
            CALLED_NS + more.get("later_ns", 0), more.get("duration_ns", NS_PER_S), attributes=attributes,
        )  # fmt: skip
        body = otlp.request(span, scope=scope or "app")
        entry = SpoolEntry(next(NUMBERS), self.name, "traces", CALLED_NS + DAY_NS // 10 + next(NUMBERS), body)
        stamp = self._pipeline._stamps.next_ns()
        self._pipeline._insert(transform([entry], {self.name: days}, stamp))

    def run(self, days: int) -> None:
        """Store an agent's run with its call, which counts before a lone one."""
        self.drain("run", "agent", days=days, duration_ns=2 * NS_PER_S)
        self.drain("run", "call", "agent", days=days, scope="framework")

    def expire(self) -> None:
        """Have the engine merge what there is, which drops what is past its retention."""
        for table in TABLES:
            self._command(f"SYSTEM START MERGES {table}")
            self._command(f"OPTIMIZE TABLE {table} FINAL")

    def kept(self, table: str) -> set[str]:
        """Return the traces of which a table has rows."""
        found = self.store.select(
            f"SELECT DISTINCT trace_id FROM {table} FINAL WHERE project_id = {{p:String}}", {"p": self.name}
        )
        return {row["trace_id"] for row in found}

    def counted(self) -> dict[str, str]:
        """Return by trace why its call counts or does not; the totals of the traces must agree."""
        names = {hex_id(name): name for name in ("run", "sdk", "gateway")}
        rows = self.store.select(
            "SELECT trace_id, counted, counted_reason FROM span_index FINAL"
            " WHERE project_id = {p:String} AND response_id != ''",
            {"p": self.name},
        )
        totals = self.store.select(
            "SELECT trace_id, input_tokens, llm_count, cost_usd FROM traces FINAL WHERE project_id = {p:String}",
            {"p": self.name},
        )
        for row in totals:
            counts = any(each["counted"] for each in rows if each["trace_id"] == row["trace_id"])
            assert (row["input_tokens"], row["llm_count"]) == ((1000, 1) if counts else (None, 0))
            assert (row["cost_usd"] is not None) == counts
        said = {}
        for row in rows:
            reason, _, winner = row["counted_reason"].partition(": ")
            said[names[row["trace_id"]]] = f"{reason}: {names[winner.partition('/')[0]]}" if winner else reason
        return said

    def remake(self, kind: str, book: PriceBook = NO_PRICES) -> int:
        """Make all spans anew; return how many changed."""
        totals = Totals()
        turn = lambda: nullcontext(self._pipeline._stamps.next_ns())  # noqa: E731
        Remake(kind, self.name, 0, self.store, self._records, book, turn).run(totals, threading.Event())
        return totals.changed

    def own_price(self) -> PriceBook:
        """Return a price of the project's own for the model."""
        rates = {"input_usd_per_mtok": Decimal(5), "output_usd_per_mtok": Decimal(7)}
        return book_of([OwnPrice(id="a", project_id=self.name, model=MODEL, rates=rates)])


@pytest.fixture
def project(columnar: ColumnarStore, tmp_path: Path) -> Iterator[Project]:
    records = new_records(tmp_path / "records.db")
    with small_spool(tmp_path) as spool:
        yield Project(columnar, spool, records)
    records.close()


def test_a_loser_whose_winner_expired_is_not_counted_again(project: Project) -> None:
    project.run(SHORT)
    project.drain("sdk", "call", scope="sdk")
    told = {"run": "model_call", "sdk": "other_trace: run"}
    assert project.counted() == told
    project.expire()
    for table in TABLES:
        assert project.kept(table) == {hex_id("sdk")}
    gone = {"sdk": "other_trace: run"}
    assert project.counted() == gone

    # Whatever has its trace settled again: late spans, with and without memory, repeated ones, …
    project.drain("sdk", "late", "call")
    assert project.counted() == gone
    project.restart()
    project.drain("sdk", "later", "call")
    project.drain("sdk", "call", scope="sdk")
    assert project.counted() == gone
    # … new prices, which change the span, and a new mapping, which does not.
    assert project.remake("reprice", project.own_price()) == 1
    assert project.counted() == gone
    assert project.remake("remap", project.own_price()) == 0
    assert project.counted() == gone
    # A third report of the call, late: the call was counted.
    project.drain("gateway", "call", scope="gateway")
    assert project.counted() == gone | {"gateway": "other_trace: run"}
    project.restart()
    project.drain("gateway", "late", "call")
    assert project.counted() == gone | {"gateway": "other_trace: run"}


def test_a_winner_whose_loser_expired_counts_on(project: Project) -> None:
    project.run(LONG)
    project.drain("sdk", "call", days=SHORT, scope="sdk")
    assert project.counted() == {"run": "model_call", "sdk": "other_trace: run"}
    project.expire()
    assert project.kept("spans") == {hex_id("run")}
    assert project.counted() == {"run": "model_call"}
    project.restart()
    project.drain("run", "late", "agent")
    assert project.remake("reprice", project.own_price()) == 1
    assert project.counted() == {"run": "model_call"}
    # The expired report comes again, as a replay would bring it.
    project.drain("sdk", "call", scope="sdk")
    assert project.counted() == {"run": "model_call", "sdk": "other_trace: run"}


def test_a_winner_that_comes_again_after_it_expired_counts(project: Project) -> None:
    """Then the loser gives way to what is there."""
    project.run(SHORT)
    project.drain("sdk", "call", scope="sdk")
    project.expire()
    assert project.counted() == {"sdk": "other_trace: run"}
    project.restart()
    project.run(LONG)
    assert project.counted() == {"run": "model_call", "sdk": "other_trace: run"}


def test_both_expire_and_nothing_is_left(project: Project) -> None:
    project.run(SHORT)
    project.drain("sdk", "call", days=SHORT, scope="sdk")
    project.expire()
    assert [project.kept(table) for table in TABLES] == [set()] * 3
    project.restart()
    assert (project.remake("reprice"), project.remake("remap"), project.counted()) == (0, 0, {})
