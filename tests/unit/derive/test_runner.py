"""The runner over real stores: what is due, in which order, and what a failing or lost worker does to others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from spanhouse_server.derive import passes, windows
from spanhouse_server.derive.contract import Lease, TimeWindow
from spanhouse_server.derive.runner import Runner
from spanhouse_server.derive.windows import Step, together
from spanhouse_server.errors import ConfigError, NotFound, StoreUnavailable
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from tests.contract.samples import index_row, make_span
from tests.stored import NS, T0, columnar
from tests.templates import new_records
from tests.waiting import until

MINUTE_NS = 60 * NS
COUNT = iter(range(1, 1_000_000))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        yield opened


@pytest.fixture
def records(tmp_path: Path) -> Iterator[RecordsStore]:
    opened = new_records(tmp_path / "records.db")
    yield opened
    opened.close()


@pytest.fixture
def empty(store: ColumnarStore) -> ColumnarStore:
    with store._inserts.client() as client:  # type: ignore[attr-defined]
        client.command("TRUNCATE TABLE span_index")
    return store


class Clock:
    """A wall clock."""

    def __init__(self) -> None:
        self.ns = T0 + 3600 * NS

    def __call__(self) -> int:
        return self.ns


class Minutes:
    """A worker that remembers its calls; ``fail`` may raise, ``past`` asks for what was there before."""

    every_s = 0.01
    window_s = 60

    def __init__(self, name: str = "minutes", past: bool = False) -> None:
        self.name, self.past = name, past
        self.calls: list[TimeWindow] = []
        self.fences: list[int] = []
        self.fail: Callable[[TimeWindow], None] = lambda window: None

    def derive(self, window: TimeWindow, lease: Lease) -> int:
        self.fail(window)
        assert lease.still_held()
        self.calls.append(window)
        self.fences.append(lease.fence)
        return 1

    def taken(self) -> list[tuple[str, int, int]]:
        """Return and forget the windows derived: project, first minute and width since ``T0``."""
        found = [(w.project_id, (w.from_ns - T0) // MINUTE_NS, (w.to_ns - w.from_ns) // MINUTE_NS) for w in self.calls]
        self.calls.clear()
        return found


def put(store: ColumnarStore, stamp_ns: int, *minutes: int, project: str = "p", **more: Any) -> list[Any]:
    made = []
    for minute in minutes:
        facts = rows.facts_of(stamp_ns, 0, make_span("a" * 32, f"{next(COUNT):016x}"))
        made.append(index_row(project, facts, stamp_ns, start_ns=T0 + minute * MINUTE_NS + 5, **more))
    store.insert("span_index", rows.lines(made))
    return made


def test_neighbours_come_as_one_window_up_to_an_hour_and_projects_apart():
    steps = [Step("a", n) for n in range(70)] + [Step("a", 85), Step("a", 97), Step("b", 0)]
    assert [(w.project_id, w.from_s // 60, w.to_s // 60) for w in together(steps, 60)] == [
        ("a", 0, 60), ("a", 60, 70), ("a", 85, 86), ("a", 97, 98), ("b", 0, 1),
    ]  # fmt: skip
    assert len(together([Step("a", 1), Step("a", 2)], 3600)) == 2
    assert [len(together([Step("a", 0), Step("a", n)], 60)) for n in (1, windows.GAP, windows.GAP + 1)] == [1, 1, 2]


def test_what_settles_is_derived_once_and_again_when_it_settles_anew(empty, records):
    clock, worker = Clock(), Minutes()
    put(empty, clock.ns - 1000 * NS, 1)  # before the worker first ran: not for one that leaves out the past
    runner = Runner(empty, records, workers=[worker], clock_ns=clock)
    assert runner.once("minutes") is False
    assert worker.taken() == []
    [late] = put(empty, clock.ns, 30)
    put(empty, clock.ns + 1, 30, 31, project="q")
    runner.once("minutes")
    assert worker.taken() == [("p", 30, 1), ("q", 30, 2)]
    runner.once("minutes")
    assert worker.taken() == []  # still within the overlap, but nothing came
    clock.ns += 200 * NS
    put(empty, clock.ns - 150 * NS, 7)  # it was on its way for long
    runner.once("minutes")
    assert worker.taken() == [("p", 7, 1)]
    # A late parent settles the trace anew, and one span of it moves.
    moved = replace(late, version=clock.ns, start_ns=T0 + 50 * MINUTE_NS)
    empty.insert("span_index", rows.lines([replace(late, version=clock.ns, is_deleted=1), moved]))
    runner.once("minutes")
    assert worker.taken() == [("p", 30, 1), ("p", 50, 1)]
    assert worker.fences == sorted(set(worker.fences))
    clock.ns += 1000 * NS
    runner.once("minutes")
    assert worker.taken() == []
    [state] = runner.states()
    assert (state.rows, state.lag_s) == (5, 0.0)


def test_a_crash_between_deriving_and_moving_the_cursor_derives_again(empty, records):
    clock, worker = Clock(), Minutes()
    runner = Runner(empty, records, workers=[worker], instance="here", clock_ns=clock)
    runner.once("minutes")
    put(empty, clock.ns, 1)
    clock.ns += 3600 * NS
    records.move_cursor, kept = _crash, records.move_cursor  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        runner.once("minutes")
    records.move_cursor = kept  # type: ignore[method-assign]
    assert worker.taken() == [("p", 1, 1)]
    again = Runner(empty, records, workers=[worker], instance="here", clock_ns=clock)
    again.once("minutes")
    assert worker.taken() == [("p", 1, 1)]


def _crash(*_: Any) -> None:
    raise KeyboardInterrupt


def test_the_past_is_caught_up_newest_first_and_survives_a_restart(empty, records):
    clock, worker = Clock(), Minutes(past=True)
    put(empty, 1000, -600, -599, -10, 20)
    runner = Runner(empty, records, workers=[worker], instance="here", clock_ns=clock)
    assert runner.once("minutes") is True
    assert worker.taken() == [("p", 20, 1)]
    again = Runner(empty, records, workers=[worker], instance="here", clock_ns=clock)
    while again.once("minutes"):
        pass
    assert worker.taken() == [("p", -10, 1), ("p", -600, 2)]
    assert records.leases()[0].covered_ns == 0
    again.once("minutes")
    assert worker.taken() == []


def test_a_backfill_goes_over_its_range_only_and_tells_how_it_went(empty, records):
    clock, worker = Clock(), Minutes()
    put(empty, 1000, -600, -10, 20, 21)
    put(empty, 1000, -10, project="q")
    runner = Runner(empty, records, workers=[worker], clock_ns=clock)
    records.create_project("p")
    with pytest.raises(NotFound, match="no worker"):
        runner.add_backfill("nobody", "", 0, 1)
    with pytest.raises(NotFound, match="no project"):
        runner.add_backfill("minutes", "nope", 0, 1)
    made = runner.add_backfill("minutes", "p", T0 - 60 * MINUTE_NS, T0 + 21 * MINUTE_NS)
    while runner.once("minutes"):
        pass
    assert worker.taken() == [("p", 20, 1), ("p", -10, 1)]
    done = records.backfill(made.id)
    assert (done.state, done.windows, done.rows) == ("done", 2, 2)

    def fail(window: TimeWindow) -> None:
        raise ValueError("no such luck")

    worker.fail = fail
    made = runner.add_backfill("minutes", "", 0, T0)
    while runner.once("minutes"):
        pass
    assert (records.backfill(made.id).state, records.backfill(made.id).error) == ("failed", "ValueError: no such luck")


def test_a_window_that_fails_does_not_keep_the_others_from_being_derived(empty, records):
    clock, worker = Clock(), Minutes()
    runner = Runner(empty, records, workers=[worker], clock_ns=clock)
    runner.once("minutes")
    position_ns = records.leases()[0].position_ns
    put(empty, clock.ns, 1, 30, 55)

    def fail(window: TimeWindow) -> None:
        if window.from_ns == T0 + 30 * MINUTE_NS:
            raise ValueError("bad minute")

    worker.fail = fail
    clock.ns += 10 * NS
    for _ in range(2):
        with pytest.raises(ValueError, match="bad minute"):
            runner.once("minutes")
    assert worker.taken() == [("p", 1, 1), ("p", 55, 1)]
    assert records.leases()[0].position_ns == position_ns  # readers go on to look back
    worker.fail = lambda window: None
    runner.once("minutes")
    assert worker.taken() == [("p", 30, 1)]
    assert records.leases()[0].position_ns == clock.ns


def test_what_settled_since_begins_with_the_slot_of_the_stamp(empty):
    first_ns = T0 // windows.SLOT_NS * windows.SLOT_NS
    put(empty, first_ns - 1, 1)
    put(empty, first_ns, 2)
    [page] = windows.settled_since(empty, first_ns + 5, 60)
    assert [each.step.number - T0 // MINUTE_NS for each in page] == [2]


def test_very_much_at_once_is_read_page_by_page(empty, records, monkeypatch):
    monkeypatch.setattr(windows, "PAGE", 3)
    monkeypatch.setattr(passes, "MAX_SEEN", 5)
    clock, worker = Clock(), Minutes()
    runner = Runner(empty, records, workers=[worker], clock_ns=clock)
    runner.once("minutes")
    for at in range(5):
        put(empty, clock.ns + at * 10 * NS, *range(0, 1000, 100), project=f"p{at % 2}")
    clock.ns += 100 * NS
    pages = list(windows.settled_since(empty, clock.ns - 200 * NS, 60))
    assert [len(page) for page in pages[:-1]] == [3] * 16
    runner.once("minutes")
    assert {(p, m) for p, m, _ in worker.taken()} == {(f"p{n}", m) for n in (0, 1) for m in range(0, 1000, 100)}


class Ticker:
    """A tick that counts, waits or raises."""

    every_s = 0.01

    def __init__(self, name: str, run: Callable[[], None] = lambda: None) -> None:
        self.name, self._run, self.runs = name, run, 0

    def run(self, now_ns: int, lease: Lease) -> None:
        self.runs += 1
        self._run()


def test_slow_and_failing_ones_hold_up_nobody_and_are_shown(empty, records):
    release = threading.Event()

    def refuse() -> None:
        raise StoreUnavailable("the store is away")

    slow, broken, fine = Ticker("slow", lambda: release.wait(120)), Ticker("broken", refuse), Ticker("fine")
    metrics = Metrics("test")
    runner = Runner(empty, records, metrics, ticks=[slow, broken, fine])
    runner.start()
    try:
        until(lambda: fine.runs > 5 and broken.runs > 1 and slow.runs == 1)
        states = {state.name: state for state in runner.states()}
        assert (states["broken"].state, states["broken"].last_error) == ("failing", "the store is away")
        assert states["fine"].state == "running"
        assert states["fine"].lag_s is not None
        shown = generate_latest(metrics.registry).decode()
        assert 'spanhouse_worker_errors_total{worker="broken"}' in shown
        assert 'spanhouse_worker_active{worker="fine"} 1.0' in shown
    finally:
        release.set()
        runner.stop()
    assert {lease.holder for lease in records.leases()} == {""}
    with pytest.raises(ConfigError, match="two workers"):
        Runner(empty, records, ticks=[Ticker("x"), Ticker("x")])


def test_a_stuck_one_is_seen(empty, records):
    """Never having come to an end, it has no runs to show: its lag and the time it has spent grow."""
    release, clock = threading.Event(), Clock()
    stuck = Ticker("stuck", lambda: release.wait(120))
    metrics = Metrics("test")
    runner = Runner(empty, records, metrics, ticks=[stuck], clock_ns=clock)
    runner.start()
    try:
        until(lambda: stuck.runs == 1)
        clock.ns += 600 * NS
        before = runner.states()[0]
        until(lambda: runner.states()[0].busy_s > before.busy_s)
        assert (before.runs, before.lag_s, before.last_run_ns) == (0, 600.0, None)
        assert 'spanhouse_worker_lag_seconds{worker="stuck"} 600.0' in generate_latest(metrics.registry).decode()
        spent = [
            line for line in generate_latest(metrics.registry).decode().splitlines() if "busy_seconds_total{" in line
        ]
        assert float(spent[0].split()[-1]) > 0
    finally:
        release.set()
        runner.stop()


def test_of_two_servers_one_works_and_the_other_takes_over(empty, records):
    ran: list[str] = []
    overlap: list[str] = []
    busy = threading.Lock()

    def work(who: str) -> Callable[[], None]:
        def run() -> None:
            if not busy.acquire(blocking=False):
                overlap.append(who)
                return
            time.sleep(0.002)
            ran.append(who)
            busy.release()

        return run

    runners = [Runner(empty, records, ticks=[Ticker("one", work(who))], ttl_s=3) for who in "ab"]
    for runner in runners:
        runner.start()
    try:
        until(lambda: len(ran) > 20)
        first = ran[0]
        assert set(ran) == {first}
        assert {runner.states()[0].state for runner in runners} == {"running", "standby"}
        runners["ab".index(first)].stop()
        until(lambda: set(ran) == {"a", "b"})
    finally:
        for runner in runners:
            runner.stop()
    assert not overlap
