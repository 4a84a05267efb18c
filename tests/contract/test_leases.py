"""Leases and backfills in the records store, on SQLite and on a real Postgres, and one process's hold on them."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from spanhouse_server.derive.holder import LONGEST_CALL_S, Holder
from spanhouse_server.errors import BadRequest, LeaseLost, NotFound
from spanhouse_server.store.contract import RecordsStore
from spanhouse_server.store.records import leases as lease_records
from tests.contract.test_records import records, url

__all__ = ["records", "url"]

TTL_S = 30.0


class Clock:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def holder(records: RecordsStore, clock: Clock, who: str) -> Holder:
    return Holder(records, "w", who, TTL_S, clock)


def test_one_holds_it_and_another_waits_until_it_was_silent_for_the_whole_time(records, clock):
    one, two = holder(records, clock, "a/1"), holder(records, clock, "b/1")
    state = one.acquire(5, 7)
    assert state is not None
    assert (state.position_ns, state.covered_ns, state.holder) == (5, 7, "a/1")
    assert two.acquire(0, 0) is None
    clock.s += TTL_S - 1
    one.beat()
    assert two.acquire(0, 0) is None  # it lived in between
    clock.s += TTL_S - 1
    assert two.acquire(0, 0) is None
    assert one.still_held()
    clock.s += 2
    assert not one.still_held()  # it cannot know whether another took over
    taken = two.acquire(0, 0)
    assert taken is not None
    assert (taken.holder, taken.position_ns, taken.fence) == ("b/1", 5, state.fence + 1)


def test_a_stuck_worker_loses_its_lease_though_its_process_lives(records, clock):
    one, two = holder(records, clock, "a/1"), holder(records, clock, "b/1")
    assert one.acquire(5, 7) is not None
    stuck = one.next()
    assert two.acquire(0, 0) is None
    while clock.s < 1000 + LONGEST_CALL_S - TTL_S / 3:
        clock.s += TTL_S / 3
        one.beat()
        assert two.acquire(0, 0) is None, "a long call is no stuck one"
    for _ in range(5):
        clock.s += TTL_S / 3
        one.beat()
        taken = two.acquire(0, 0)
        if taken is not None:
            break
    assert taken is not None
    assert not stuck.still_held()
    # It comes round: nothing of its call is written, and the next one begins with taking the lease.
    with pytest.raises(LeaseLost):
        records.move_cursor("w", stuck.fence, 9, 9)
    with pytest.raises(LeaseLost):
        one.next()


def test_a_process_that_slept_through_a_take_over_writes_nothing_more(records, clock):
    one, two = holder(records, clock, "a/1"), holder(records, clock, "b/1")
    one.acquire(5, 0)
    lease = one.next()
    assert two.acquire(0, 0) is None
    clock.s += TTL_S
    assert two.acquire(0, 0) is not None
    assert not lease.still_held()
    newer = two.next()
    assert newer.fence > lease.fence
    backfill = records.add_backfill("w", "", 1, 2)
    for late in (
        lambda: records.move_cursor("w", lease.fence, 99, 0),
        lambda: records.move_backfill(backfill, lease.fence),
        one.next,
    ):
        with pytest.raises(LeaseLost):
            late()
    one.beat()
    one.release()
    assert records.leases()[0].holder == "b/1"
    records.move_cursor("w", newer.fence, 6, 3)
    assert (records.leases()[0].position_ns, records.leases()[0].covered_ns) == (6, 3)


def test_an_older_call_of_the_same_process_is_refused_too(records, clock):
    one = holder(records, clock, "a/1")
    one.acquire(0, 0)
    first, second = one.next(), one.next()
    with pytest.raises(LeaseLost):
        records.move_cursor("w", first.fence, 9, 0)
    records.move_cursor("w", second.fence, 9, 0)


def test_the_next_process_of_the_same_folder_takes_over_at_once(records, clock):
    holder(records, clock, "a/1").acquire(0, 0)
    again, other = holder(records, clock, "a/2"), holder(records, clock, "b/1")
    assert other.acquire(0, 0) is None
    assert again.acquire(0, 0) is not None
    # Only at its start: two that share a name (a copied folder) must not take it from each other for ever.
    holder(records, clock, "a/3").acquire(0, 0)
    again.lose()
    assert again.acquire(0, 0) is None


def test_what_is_given_back_is_taken_at_once(records, clock):
    one, two = holder(records, clock, "a/1"), holder(records, clock, "b/1")
    one.acquire(0, 0)
    one.release()
    one.release()
    assert two.acquire(0, 0) is not None


def test_many_at_once_make_one_lease_and_one_holder(records, clock):
    holders = [holder(records, clock, f"h{n}/1") for n in range(8)]
    taken: list[object] = []
    gate = threading.Barrier(len(holders))

    def take(each: Holder) -> None:
        gate.wait()
        if each.acquire(0, 0) is not None:
            taken.append(each)

    threads = [threading.Thread(target=take, args=(each,)) for each in holders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(taken) == 1
    assert len(records.leases()) == 1


def test_backfills_are_kept_bounded_and_found_by_state(records, clock, monkeypatch):
    monkeypatch.setattr(lease_records, "MAX_OPEN", 3)
    monkeypatch.setattr(lease_records, "MAX_KEPT", 4)
    one = holder(records, clock, "a/1")
    one.acquire(0, 0)
    with pytest.raises(BadRequest, match="ends before it begins"):
        records.add_backfill("w", "", 5, 5)
    with pytest.raises(NotFound):
        records.backfill("none")
    for _ in range(6):
        made = records.add_backfill("w", "p", 1, 9)
        assert records.backfills("w", ("waiting",)) == [made]
        done = replace(made, state="done", position_ns=1, windows=2, rows=3, error="x" * 900)
        records.move_backfill(done, one.next().fence)
        kept = records.backfill(made.id)
        assert (kept.state, kept.rows, len(kept.error)) == ("done", 3, 500)
        assert kept.ended_ns is not None
    assert len(records.backfills()) == 4
    for _ in range(3):
        records.add_backfill("v", "", 1, 9)
    with pytest.raises(BadRequest, match="are waiting"):
        records.add_backfill("v", "", 1, 9)
