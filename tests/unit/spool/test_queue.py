"""The queue: order, acknowledgement, setting aside, counters, restarts."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from spanhouse_server.errors import Unavailable
from spanhouse_server.spool import SpoolStats, SqliteSpool
from tests.unit.spool.conftest import append, claim_all

Open = Callable[..., SqliteSpool]


def test_entries_come_in_order_with_rising_stamps(spool: SqliteSpool) -> None:
    begun_ns = time.time_ns()
    sequences = append(spool, b"a", b"", b"\x00" * 100_000)
    ended_ns = time.time_ns()
    entries = spool.claim(10, 10**9)
    assert [entry.sequence for entry in entries] == sequences == sorted(sequences)
    assert [entry.body for entry in entries] == [b"a", b"", b"\x00" * 100_000]
    stamps = [entry.received_ns for entry in entries]
    assert stamps == sorted(set(stamps))
    assert begun_ns <= stamps[0]
    assert stamps[0] - 3 <= ended_ns  # equal stamps are moved on by one
    assert {(entry.project_id, entry.signal) for entry in entries} == {("default", "traces")}


def test_claim_keeps_its_bounds_but_gives_at_least_one(spool: SqliteSpool) -> None:
    append(spool, *[b"x" * 1000] * 10)
    assert len(spool.claim(4, 10**9)) == 4
    assert len(spool.claim(10, 3000)) == 3
    assert len(spool.claim(10, 3999)) == 3
    assert len(spool.claim(10, 1)) == 1


def test_claim_looks_behind_what_is_being_stored(spool: SqliteSpool) -> None:
    first, second, third = append(spool, b"1", b"2", b"3")
    assert [entry.sequence for entry in spool.claim(1, 10**9)] == [first]
    assert [entry.sequence for entry in spool.claim(9, 10**9, after=first)] == [second, third]
    assert spool.claim(9, 10**9, after=third) == []


def test_what_is_not_acknowledged_comes_again(spool: SqliteSpool, open_spool: Open) -> None:
    append(spool, b"1", b"2", b"3")
    claimed = spool.claim(10, 10**9)
    assert spool.claim(10, 10**9) == claimed
    spool.ack([claimed[0].sequence])
    assert spool.claim(10, 10**9) == claimed[1:]
    spool.close()
    assert open_spool().claim(10, 10**9) == claimed[1:]


def test_acknowledging_twice_or_the_unknown_changes_nothing(spool: SqliteSpool) -> None:
    sequences = append(spool, b"1", b"2")
    spool.ack([sequences[0], 999])
    spool.ack([sequences[0]])
    stats = spool.stats()
    assert stats.requests == 1
    assert stats.bytes > 0
    spool.ack(sequences)
    assert (spool.stats().requests, spool.stats().bytes) == (0, 0)


def test_sequences_and_stamps_rise_across_restarts_of_an_empty_queue(
    open_spool: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool()
    (last,) = append(spool, b"1")
    stamp_ns = spool.claim(1, 1)[0].received_ns
    spool.ack([last])
    spool.close()
    monkeypatch.setattr(time, "time_ns", lambda: stamp_ns - 3600 * 10**9)  # the clock was set back
    again = open_spool()
    (following,) = append(again, b"2")
    assert following > last
    assert again.claim(1, 1)[0].received_ns > stamp_ns


def test_counters_are_durable(spool: SqliteSpool, open_spool: Open) -> None:
    async def fill() -> None:
        await spool.append("a", "traces", b"t", records=5, rejected={"invalid_time": 2, "invalid_trace_id": 1})
        await spool.append("b", "logs", b"l", records=7, rejected={"invalid_time": 1})
        await spool.append("b", "metrics", b"m", records=9)

    asyncio.run(fill())
    spool.count_rejected({"invalid_span_id": 4})
    spool.ack([1], stored_spans=4, duplicate_spans=1)
    expected = SpoolStats(
        requests=2,
        received_spans=5,
        received_logs=7,
        received_metric_points=9,
        stored_spans=4,
        duplicate_spans=1,
        rejected={"invalid_time": 3, "invalid_trace_id": 1, "invalid_span_id": 4},
    )
    for stats in (spool.stats(), (spool.close(), open_spool().stats())[1]):
        assert stats.bytes > 0
        assert 0 <= stats.oldest_age_s < 60
        stats.bytes, stats.oldest_age_s = 0, 0.0
        assert stats == expected


def test_set_aside_and_replay(spool: SqliteSpool, open_spool: Open) -> None:
    append(spool, b"good", b"poison", b"later", project_id="p", signal="logs")
    good, poison, later = spool.claim(10, 10**9)
    spool.set_aside(poison, "cannot be decoded: \ud83d " + "x" * 5000)
    assert spool.claim(10, 10**9) == [good, later]
    assert (spool.stats().set_aside, spool.stats().requests) == (1, 2)
    spool.set_aside(poison, "again")  # it has gone already
    assert spool.stats().set_aside == 1
    spool.close()

    spool = open_spool()
    (aside,) = spool.list_set_aside()
    assert (aside.sequence, aside.project_id, aside.signal) == (poison.sequence, "p", "logs")
    assert (aside.received_ns, aside.size_bytes) == (poison.received_ns, len(b"poison"))
    assert aside.reason.startswith("cannot be decoded: ? x")
    assert len(aside.reason) == 2000
    assert spool.replay([later.sequence, 999]) == 0
    assert spool.replay() == 1
    assert spool.replay() == 0
    *_, replayed = spool.claim(10, 10**9)
    assert (replayed.project_id, replayed.signal, replayed.body) == ("p", "logs", b"poison")
    assert replayed.sequence > later.sequence
    assert replayed.received_ns == poison.received_ns
    (new,) = append(spool, b"new")
    assert spool.claim(1, 1, after=new - 1)[0].received_ns > later.received_ns


def test_chosen_entries_are_replayed(spool: SqliteSpool) -> None:
    append(spool, b"1", b"2", b"3")
    for entry in spool.claim(10, 10**9):
        spool.set_aside(entry, "bad")
    assert spool.replay([3, 1, 3]) == 2
    assert [entry.body for entry in spool.claim(10, 10**9)] == [b"1", b"3"]
    assert [aside.sequence for aside in spool.list_set_aside()] == [2]


def test_wait_wakes_when_something_comes(spool: SqliteSpool) -> None:
    assert spool.wait(0.01) is False
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(spool.wait(120)), daemon=True)
    waiting.start()
    while not spool._writer.changed._waiters:
        time.sleep(0.001)
    append(spool, b"x")
    waiting.join(60)  # far less than it would wait by itself
    assert woken == [True]
    assert spool.wait(0) is True


def test_closing_keeps_what_was_submitted_and_refuses_more(spool: SqliteSpool, open_spool: Open) -> None:
    async def append_and_close() -> list[int]:
        tasks = [asyncio.create_task(spool.append("p", "traces", b"%d" % n, records=1)) for n in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(spool.close)
        return await asyncio.gather(*tasks)

    sequences = asyncio.run(append_and_close())
    with pytest.raises(Unavailable):
        append(spool, b"x")
    with pytest.raises(Unavailable):
        spool.claim(1, 1)
    spool.count_rejected({"x": 1})
    assert sorted(claim_all(open_spool())) == sequences


def test_an_unknown_signal_is_a_fault_of_the_caller(spool: SqliteSpool) -> None:
    with pytest.raises(ValueError, match="profiles"):
        append(spool, b"x", signal="profiles")
    assert append(spool, b"y") == [1]


def test_owed_traces_survive_a_restart_until_paid(open_spool: Open) -> None:
    spool = open_spool()
    sequence = append(spool, b"a")[0]
    spool.ack([sequence], owed=[("default", "aa"), ("other", "aa"), ("default", "aa")])
    spool.ack([], owed=[("default", "bb")], paid=[("other", "aa")])
    spool.close()
    again = open_spool()
    assert sorted(again.owed()) == [("default", "aa"), ("default", "bb")]
    again.ack([], paid=again.owed())
    assert again.owed() == []
