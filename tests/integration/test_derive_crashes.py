"""Rollups end the same however often their worker is cut off while spans stream in.

Run as a program, this file is the process that is killed: it stores spans and rolls them up side by side.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server.derive.rollup import Rollup
from spanhouse_server.derive.runner import Runner
from spanhouse_server.query.rollups import rolled_rows
from spanhouse_server.store.columnar import open_columnar
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from spanhouse_server.store.records import open_records
from tests.contract.samples import NS
from tests.settled import Clock, Traffic

BATCHES = 40
#: What is compared: exact sums and the sketches' percentiles, by every group.
_FIGURES = (
    "sum({spans}) AS n, sum({input}) AS input, sum({cost}) AS cost, sum({nanoseconds}) AS ns,"
    " quantileDD{merge}(0.01, 0.95)({sketch}) AS p95"
)
_GROUPS = "minute, model, provider, status_code, category, finish_reasons"


def rolled(store: ColumnarStore, step_s: int = 60) -> list[dict[str, Any]]:
    figures = _FIGURES.format(
        spans="spans", input="input_tokens", cost="cost_usd", nanoseconds="duration_sum_ns", merge="Merge",
        sketch="duration_sketch",
    )  # fmt: skip
    sql = (
        f"SELECT start_s AS minute, model, provider, status_code, category, finish_reasons, {figures}"
        f" FROM ({rolled_rows(step_s, [(0, 2**40)])}) GROUP BY {_GROUPS} ORDER BY {_GROUPS}"
    )
    return store.select(sql, {"project": "p"})


def from_spans(store: ColumnarStore, step_s: int = 60) -> list[dict[str, Any]]:
    figures = _FIGURES.format(
        spans="1", input="if(counted, ifNull(input_tokens, 0), 0)", nanoseconds="toInt128(duration_ns)", merge="",
        cost="if(counted, ifNull(cost_usd, 0), 0)", sketch="toFloat64(duration_ns)",
    )  # fmt: skip
    sql = (
        f"SELECT intDiv(start_ns, {step_s * NS}) * {step_s} AS minute, model, provider, status_code, category,"
        f" finish_reasons, {figures} FROM span_index FINAL WHERE project_id = 'p'"
        f" GROUP BY {_GROUPS} ORDER BY {_GROUPS}"
    )
    return store.select(sql)


class Cut(BaseException):
    """The worker's thread dies here."""


class Fragile:
    """Stands before a store and dies at random calls, before or after they were done."""

    def __init__(self, real: Any, draw: random.Random) -> None:
        self._real, self._draw, self.deaths = real, draw, 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._real, name)

        def fragile(*arguments: Any) -> Any:
            self._maybe_die()
            answer = call(*arguments)
            self._maybe_die()
            return answer

        return fragile

    def _maybe_die(self) -> None:
        if self._draw.random() < 0.03:
            self.deaths += 1
            raise Cut


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[ColumnarStore, RecordsStore]]:
    store, records = opened(tmp_path)
    yield store, records
    store.close()
    records.close()


def opened(folder: Path) -> tuple[ColumnarStore, RecordsStore]:
    store = open_columnar(f"chdb://{folder}/columnar", memory_mb=512, query_timeout_s=20)
    store.migrate()
    records = open_records(f"sqlite:///{folder}/records.db")
    records.migrate()
    return store, records


def test_a_worker_that_dies_at_any_point_ends_with_the_same_rows(stores):
    store, records = stores
    clock, draw = Clock(), random.Random(7)
    traffic = Traffic(store, clock, 7)
    fragile = Fragile(store, draw), Fragile(records, draw)
    for batch in range(3):
        traffic.rows(10, (50, 70))
        if batch:
            traffic.again(5, (50, 70))
        clock.ns += 20 * NS
        while True:
            worker = Rollup(fragile[0], 0, "plan", clock)
            runner = Runner(*fragile, workers=[worker], instance="here", clock_ns=clock)
            try:
                while runner.once("rollup"):
                    pass
                break
            except Cut:
                continue
    assert fragile[0].deaths + fragile[1].deaths > 4
    assert rolled(store) == from_spans(store)
    assert rolled(store, 3600) == from_spans(store, 3600)


def test_kill_9_while_spans_stream(tmp_path):
    draw = random.Random(8)
    deaths = 0
    while True:
        process = subprocess.Popen([sys.executable, "-m", "tests.integration.test_derive_crashes", str(tmp_path)])
        try:
            # Some die while they start, most while they work.
            process.wait(20 if deaths == 4 else draw.uniform(0.8, 2.5))
            assert process.returncode == 0
            break
        except subprocess.TimeoutExpired:
            deaths += 1
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert deaths < 5
    assert deaths > 0
    store, records = opened(tmp_path)
    try:
        assert from_spans(store)
        assert rolled(store) == from_spans(store)
        assert rolled(store, 3600) == from_spans(store, 3600)
        assert records.leases()[0].covered_ns == 0
    finally:
        store.close()
        records.close()


def stream(folder: Path) -> None:
    """Store batches beside a running worker, going on where the last process ended; leave when all is rolled up."""
    store, records = opened(folder)
    clock = Clock()
    worker = Rollup(store, 0, "plan", clock)
    worker.every_s = 0.05
    runner = Runner(store, records, workers=[worker], instance="here", clock_ns=clock)
    runner.start()
    progress, written = folder / "progress", folder / "progress.new"
    done = int(progress.read_text()) if progress.exists() else 0
    for batch in range(done, BATCHES):
        # The same batch again after a crash: seeded by its number, under later stamps.
        clock.ns += (batch + 1) * NS + time.monotonic_ns() % NS
        traffic = Traffic(store, clock, batch)
        traffic.rows(10, (0, 90), [f"{at:016x}" for at in random.Random(batch).sample(range(200), 10)])
        # Put in place whole: the kill may come between opening the file and writing to it.
        written.write_text(str(batch + 1))
        written.replace(progress)
        time.sleep(0.03)
    wait = threading.Event()
    clock.ns += 100 * NS
    while not wait.wait(0.05):
        [state] = runner.states()
        if state.lag_s == 0 and state.covered_ns == 0:
            break
    runner.stop()
    store.close()
    records.close()


if __name__ == "__main__":
    stream(Path(sys.argv[1]))
