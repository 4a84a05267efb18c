"""Pools: who gets the next call, who is left out, and how a replica comes back."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_collector.policy.checker import Checker
from spanhouse_collector.policy.errors import NoUpstream
from spanhouse_collector.policy.health import Health, HealthRules
from spanhouse_collector.policy.pools import STRATEGIES, Pool

A, B, C = "http://a:1", "http://b:1", "http://c:1"


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def pool(strategy: str = "least-connections", urls=(A, B, C), **kwargs) -> tuple[Pool, Clock]:
    clock = Clock()
    return Pool("p", urls, strategy=strategy, clock=clock, rng=lambda: 0.5, **kwargs), clock


def call(pool: Pool, clock: Clock, latency_s: float = 0.1, status: int = 200, session: str = "") -> str:
    with pool.lease(session) as lease:
        clock.s += latency_s
        lease.answered(status)
        lease.first_token()
        return lease.url


def fail(pool: Pool, url: str, times: int) -> None:
    others = [member.url for member in pool.members if member.url != url]
    for _ in range(times):
        with pool.lease(exclude=others) as lease:
            assert lease.url == url
            lease.failed("connection refused")


def state(pool: Pool, url: str) -> str:
    return next(item.state for item in pool.states() if item.url == url)


def test_least_connections_evens_out_what_is_in_flight() -> None:
    one, _ = pool()
    leases = [one.lease() for _ in range(9)]
    assert Counter(lease.url for lease in leases) == {A: 3, B: 3, C: 3}
    for lease in leases:
        if lease.url == B:
            lease.release()
            lease.release()
    assert [one.lease().url for _ in range(3)] == [B, B, B]


def test_weights_count() -> None:
    one, _ = pool(urls=(A, B), weights=(3.0, 1.0))
    assert Counter(one.lease().url for _ in range(40)) == {A: 30, B: 10}
    other, clock = pool("round-robin", urls=(A, B), weights=(3.0, 1.0))
    assert Counter(call(other, clock) for _ in range(40)) == {A: 30, B: 10}


def test_round_robin_goes_in_turn() -> None:
    one, clock = pool("round-robin")
    assert [call(one, clock) for _ in range(6)] == [A, B, C, A, B, C]


def test_least_latency_prefers_the_fast_one_until_it_is_busy() -> None:
    one, clock = pool("least-latency", urls=(A, B))
    one.members[0].observe(0.1, clock.s)
    one.members[1].observe(0.45, clock.s)
    assert [one.lease().url for _ in range(6)] == [A, A, A, A, B, A]


def test_a_peak_counts_at_once_and_fades() -> None:
    one, clock = pool("least-latency", urls=(A, B))
    member = one.members[0]
    member.observe(0.1, clock.s)
    member.observe(5.0, clock.s)
    assert member.latency_s == 5.0
    clock.s += 10
    member.observe(0.1, clock.s)
    assert 1.5 < member.latency_s < 2.1
    clock.s += 100
    member.observe(0.1, clock.s)
    assert member.latency_s == pytest.approx(0.1, rel=0.01)


def test_a_slow_one_is_tried_again_after_a_while() -> None:
    one, clock = pool("least-latency", urls=(A, B))
    one.members[0].observe(0.1, clock.s)
    one.members[1].observe(0.45, clock.s)
    seen = []
    for _ in range(30):
        seen.append(call(one, clock, 0.1))
        clock.s += 1
    assert Counter(seen)[A] > 20
    assert B in seen[10:]


def test_a_new_replica_is_tried_and_not_flooded() -> None:
    one, clock = pool("least-latency", urls=(A, B))
    for _ in range(5):
        one.members[0].observe(0.2, clock.s)
    assert Counter(one.lease().url for _ in range(8)) == {A: 4, B: 4}


def test_a_fast_failure_does_not_look_fast() -> None:
    one, clock = pool("least-latency", urls=(A, B))
    one.members[0].observe(0.2, clock.s)
    one.members[1].observe(0.2, clock.s)
    fail(one, A, 1)
    assert one.members[0].latency_s == 0.2


def test_a_session_stays_where_it_is() -> None:
    one, clock = pool("session-affinity")
    homes = {f"s{number}": call(one, clock, session=f"s{number}") for number in range(200)}
    assert all(call(one, clock, session=session) == home for session, home in homes.items())
    assert min(Counter(homes.values()).values()) > 40


def test_only_sessions_of_the_replica_that_is_out_move_and_they_come_back() -> None:
    one, clock = pool("session-affinity")
    sessions = [f"s{number}" for number in range(200)]
    homes = {session: call(one, clock, session=session) for session in sessions}
    fail(one, B, 5)
    moved = {session: call(one, clock, latency_s=0, session=session) for session in sessions}
    assert all(moved[session] == homes[session] for session in sessions if homes[session] != B)
    assert {moved[session] for session in sessions if homes[session] == B} == {A, C}
    clock.s += 11
    assert {session: call(one, clock, latency_s=0, session=session) for session in sessions} == homes


def test_adding_a_replica_moves_only_its_share() -> None:
    one, clock = pool("session-affinity")
    sessions = [f"s{number}" for number in range(400)]
    before = {session: call(one, clock, session=session) for session in sessions}
    one.add("http://d:1")
    after = {session: call(one, clock, session=session) for session in sessions}
    moved = [session for session in sessions if before[session] != after[session]]
    assert {after[session] for session in moved} == {"http://d:1"}
    assert 50 < len(moved) < 150


def test_calls_without_a_session_go_by_load() -> None:
    one, _ = pool("session-affinity")
    assert Counter(one.lease().url for _ in range(6)) == {A: 2, B: 2, C: 2}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_ejected_member_gets_nothing_until_its_time_is_over(strategy) -> None:
    one, clock = pool(strategy)
    fail(one, A, 4)
    assert state(one, A) == "healthy"
    fail(one, A, 1)
    assert state(one, A) == "ejected"
    assert A not in {call(one, clock, 0, session=f"s{n}") for n in range(50)}
    clock.s += 10.1
    assert A in {one.lease(f"s{n}").url for n in range(50)}


def test_ejections_grow_and_a_relapse_on_probation_is_immediate() -> None:
    one, clock = pool(urls=(A, B))
    lengths = []
    fail(one, A, 5)
    for _ in range(7):
        started = clock.s
        while not one.members[0].health.available(clock.s):
            clock.s += 1
        lengths.append(clock.s - started)
        fail(one, A, 1)
    assert lengths == [10, 20, 40, 80, 160, 300, 300]


def test_a_member_that_keeps_well_starts_afresh() -> None:
    health = Health(HealthRules())
    now = 0.0
    for _ in range(5):
        health.failed(now, "x")
    assert health.available(11.0)
    health.succeeded(11.0)
    health.succeeded(100.0)
    for _ in range(5):
        health.failed(100.0, "x")
    assert health.ejection_s() == 10.0


def test_a_bad_share_ejects_too() -> None:
    one, clock = pool(urls=(A, B))
    for number in range(19):
        with one.lease(exclude=[B]) as lease:
            lease.answered(500 if number % 2 else 200)
    assert state(one, A) == "healthy"
    with one.lease(exclude=[B]) as lease:
        lease.answered(503)
    assert state(one, A) == "ejected"
    assert one.states()[0].reason == "status 503"


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429])
def test_the_callers_faults_are_not_the_members(status) -> None:
    one, clock = pool(urls=(A, B))
    for _ in range(50):
        call(one, clock, 0, status)
    assert {item.state for item in one.states()} == {"healthy"}


def test_slow_start_gives_few_calls_first() -> None:
    one, clock = pool(urls=(A, B))
    fail(one, A, 5)
    clock.s += 10
    first = Counter(one.lease().url for _ in range(22))
    assert first[A] == 2
    clock.s += 31
    assert state(one, A) == "healthy"
    for _ in range(18):
        assert one.lease().url == A


def test_when_all_are_out_all_are_tried() -> None:
    one, clock = pool(urls=(A, B))
    fail(one, A, 5)
    fail(one, B, 5)
    assert {item.state for item in one.states()} == {"ejected"}
    assert Counter(one.lease().url for _ in range(4)) == {A: 2, B: 2}


def test_members_tried_already_come_last() -> None:
    one, _ = pool()
    assert one.lease(exclude=[A, B]).url == C
    fail(one, C, 5)
    assert one.lease(exclude=[A]).url == B
    assert one.lease(exclude=[A, B]).url in (A, B)


async def test_draining_finishes_what_is_in_flight() -> None:
    one, _ = pool(urls=(A, B))
    lease = one.lease(exclude=[B])
    task = asyncio.create_task(one.drain(A, 5))
    await asyncio.sleep(0.01)
    assert not task.done()
    assert state(one, A) == "draining"
    assert {one.lease().url for _ in range(5)} == {B}
    lease.release()
    assert await task
    one.remove(A)
    assert [member.url for member in one.members] == [B]


async def test_draining_gives_up_after_its_time_and_can_be_undone() -> None:
    one, _ = pool(urls=(A,))
    lease = one.lease()
    assert not await one.drain(A, 0.02)
    with pytest.raises(NoUpstream) as caught:
        one.lease()
    assert ("Retry-After", "5") in caught.value.headers
    one.undrain(A)
    lease.release()
    assert one.lease().url == A


async def test_probes_eject_and_bring_back() -> None:
    one, clock = pool(urls=(A, B), probed=True)
    wrong = {A: "status 503", B: ""}

    async def probe(url: str) -> str:
        if wrong[url] == "raise":
            raise ConnectionRefusedError
        return wrong[url]

    checker = Checker([one], probe, clock=clock)
    for _ in range(2):
        await checker.check_all()
    assert state(one, A) == "healthy"
    wrong[A] = "raise"
    await checker.check_all()
    assert state(one, A) == "ejected"
    assert "ConnectionRefusedError" in one.states()[0].reason
    clock.s += 60
    assert {one.lease().url for _ in range(4)} == {B}, "its time is over, but it does not answer"
    wrong[A] = ""
    await checker.check_all()
    assert not one.members[0].health.available(clock.s)
    await checker.check_all()
    assert one.members[0].health.available(clock.s)


async def test_a_probe_that_hangs_counts_as_failed_and_the_task_ends_when_stopped() -> None:
    one, _ = pool(urls=(A, B), rules=HealthRules(probe_failures=1))

    async def probe(url: str) -> str:
        await asyncio.sleep(0 if url == B else 60)
        return ""

    checker = Checker([one], probe, interval_s=0.01, timeout_s=0.01)
    checker.start()
    for _ in range(200):
        await asyncio.sleep(0.005)
        if state(one, A) == "ejected":
            break
    await checker.stop()
    assert [state(one, url) for url in (A, B)] == ["ejected", "healthy"]


@pytest.mark.parametrize(
    "wrong", [{"strategy": "random"}, {"urls": ()}, {"urls": (A, A)}, {"weights": (1.0,)}, {"weights": (1, 1, 0)}]
)
def test_a_pool_that_cannot_be_is_refused(wrong) -> None:
    with pytest.raises(ValueError):
        Pool("p", **({"urls": (A, B, C)} | wrong))


@given(
    st.sampled_from(STRATEGIES),
    st.lists(
        st.tuples(st.sampled_from(["ok", "bad", "fail", "leave"]), st.floats(0, 20), st.text(max_size=2)), max_size=80
    ),
)
@settings(max_examples=60, deadline=None)
def test_there_is_always_a_place_and_nothing_stays_in_flight(strategy, steps) -> None:
    one, clock = pool(strategy)
    for what, gap_s, session in steps:
        clock.s += gap_s
        with one.lease(session) as lease:
            if what == "ok":
                lease.answered(200)
                lease.first_token()
            elif what == "bad":
                lease.answered(502)
            elif what == "fail":
                lease.failed("broken")
    assert all(member.in_flight == 0 and member.idle.is_set() for member in one.members)
    assert sum(item.calls for item in one.states()) == len(steps)
