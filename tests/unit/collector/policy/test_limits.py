"""Limits: never more than the quota in any window, honest headers, and budgets that outlive the process."""

import signal
import subprocess
import sys
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_collector.policy.errors import MalformedPolicy, PolicyStoreError, RateLimited
from spanhouse_collector.policy.limits import Caller, Meter, limit_headers, parse_limits
from spanhouse_collector.policy.usage_file import UsageFile
from spanhouse_collector.policy.windows import SLOTS, Window

S = 1_000_000_000
ME = Caller("tenant", "ann", {"App": "web"})


class Clock:
    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.ns = int(now_s * S)

    def __call__(self) -> int:
        return self.ns

    def pass_s(self, seconds: float) -> None:
        self.ns += int(seconds * S)


def limits(text: str):
    return parse_limits(text, "test")


def admitted(meter: Meter, caller: Caller, text: str) -> bool:
    try:
        meter.admit(caller, limits(text))
    except RateLimited:
        return False
    return True


@given(
    st.integers(1, 5),
    st.integers(1, 100),
    st.lists(st.floats(0, 40, allow_nan=False), min_size=1, max_size=60),
)
@settings(max_examples=150)
def test_no_window_ever_holds_more_than_the_quota(quota, window_s, gaps) -> None:
    clock, taken = Clock(), []
    meter = Meter(clock=clock)
    refused_at = None
    for gap in gaps:
        clock.pass_s(gap)
        if admitted(meter, ME, f"{quota};w={window_s}"):
            taken.append(clock.ns)
        else:
            refused_at = clock.ns
            # Refused only when the true window, one slot longer, is indeed full.
            slack_ns = window_s * S // SLOTS + SLOTS
            assert sum(at > refused_at - window_s * S - slack_ns for at in taken) >= quota
    for at in taken:
        assert sum(at - window_s * S < other <= at for other in taken) <= quota


def test_retry_after_is_when_a_call_fits_again() -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    for _ in range(2):
        assert admitted(meter, ME, "2;w=60")
        clock.pass_s(10)
    with pytest.raises(RateLimited) as caught:
        meter.admit(ME, limits("2;w=60"))
    headers = dict(caught.value.headers)
    wait_s = int(headers["Retry-After"])
    assert 39 <= wait_s <= 42
    assert headers["RateLimit-Limit"] == "2"
    assert headers["RateLimit-Remaining"] == "0"
    assert headers["RateLimit-Policy"] == '"requests-60";q=2;w=60;qu="requests"'
    assert headers["RateLimit"] == f'"requests-60";r=0;t={wait_s}'
    clock.pass_s(wait_s)
    assert admitted(meter, ME, "2;w=60")


def test_all_limits_or_none() -> None:
    meter = Meter(clock=Clock())
    assert admitted(meter, ME, "1;w=60;s=user")
    assert not admitted(meter, ME, "10;w=60, 1;w=60;s=user")
    standing = meter.standing(ME, limits("10;w=60")[0])
    assert standing.used == 0, "a refused call uses nothing of the other limits"


def test_the_same_limit_twice_counts_once() -> None:
    meter = Meter(clock=Clock())
    assert admitted(meter, ME, "2;w=60, 2;w=60")
    assert admitted(meter, ME, "2;w=60")
    assert not admitted(meter, ME, "2;w=60")


def test_segments_tenants_and_units_count_apart() -> None:
    meter = Meter(clock=Clock())
    for caller in (ME, Caller("other", "ann", {"app": "web"}), Caller("tenant", "bob", {"app": "ios"})):
        assert admitted(meter, caller, "1;w=60;s=user")
        assert not admitted(meter, caller, "1;w=60;s=user")
        assert admitted(meter, caller, "1;w=60;s=app")
    assert admitted(meter, ME, "1;w=60")
    assert not admitted(meter, Caller("tenant", "carl"), "1;w=60")


def test_a_call_that_names_no_user_cannot_slip_through_a_limit_per_user() -> None:
    with pytest.raises(MalformedPolicy, match="names none") as caught:
        Meter().admit(Caller("tenant"), limits("5;w=60;s=user"))
    assert "Spanhouse-User-Id" in caught.value.hint
    with pytest.raises(MalformedPolicy) as caught:
        Meter().admit(Caller("tenant"), limits("5;w=60;s=App"))
    assert "Spanhouse-Property-App" in caught.value.hint


def test_raising_a_quota_keeps_the_count() -> None:
    meter = Meter(clock=Clock())
    assert admitted(meter, ME, "1;w=60")
    assert not admitted(meter, ME, "1;w=60")
    assert admitted(meter, ME, "2;w=60")
    assert not admitted(meter, ME, "2;w=60")


def test_money_is_charged_after_the_call_and_exactly() -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    budget = "100;w=3600;u=cents"
    first = meter.admit(ME, limits(budget))
    assert first.needs_price
    first.charge(10, Decimal("0.30000000000000000001"))
    first.charge(10, Decimal(1))  # the record came twice
    standing = meter.standing(ME, limits(budget)[0])
    assert standing.used == 300_000_001, "rounded up to whole nano-dollars"
    assert standing.remaining == 69
    for _ in range(7):
        assert admitted(meter, ME, budget)
    meter.admit(ME, limits(budget)).charge(None, Decimal("0.70"))
    assert not admitted(meter, ME, budget)
    clock.pass_s(3600 + 61)
    assert admitted(meter, ME, budget)


def test_overshoot_is_what_was_in_flight() -> None:
    meter = Meter(clock=Clock())
    in_flight = [meter.admit(ME, limits("1000;w=60;u=tokens")) for _ in range(3)]
    for ticket in in_flight:
        ticket.charge(600, None)
    assert meter.standing(ME, limits("1000;w=60;u=tokens")[0]).used == 1800
    assert not admitted(meter, ME, "1000;w=60;u=tokens")


def test_unknown_cost_is_counted_and_not_guessed() -> None:
    meter = Meter(clock=Clock())
    meter.admit(ME, limits("1;w=60;u=cents")).charge(5, None)
    assert meter.uncharged == 1
    assert meter.standing(ME, limits("1;w=60;u=cents")[0]).used == 0


def test_a_quota_of_nothing_admits_nothing() -> None:
    assert not admitted(Meter(), ME, "0;w=60")
    assert not admitted(Meter(), ME, "0;w=60;u=cents")


def test_headers_name_the_tightest_limit() -> None:
    meter = Meter(clock=Clock())
    ticket = meter.admit(ME, limits("100;w=60, 2;w=10;s=user"))
    headers = dict(limit_headers(ticket.standings))
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("2", "1")
    assert headers["RateLimit"].startswith('"requests-60";r=99;t=')
    assert limit_headers([]) == []


def test_memory_is_bounded() -> None:
    meter = Meter(clock=Clock(), max_windows=10)
    for number in range(50):
        admitted(meter, Caller("t", f"u{number}"), "1;w=60;s=user")
    assert len(meter._windows) == 10


def test_a_clock_set_back_does_not_free_the_quota() -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    assert admitted(meter, ME, "1;w=60")
    clock.pass_s(-3000)
    assert not admitted(meter, ME, "1;w=60")


def test_budgets_outlive_the_process(tmp_path) -> None:
    clock = Clock()
    budget = "100;w=86400;u=cents;s=user"
    file = UsageFile(tmp_path / "usage.db")
    meter = Meter(file, clock=clock)
    meter.admit(ME, limits(budget)).charge(1, Decimal("0.60"))
    admitted(meter, ME, "5;w=60")  # a short limit of requests is not kept
    file.close()

    again = UsageFile(tmp_path / "usage.db")
    meter = Meter(again, clock=clock)
    assert meter.standing(ME, limits(budget)[0]).used == 600_000_000
    assert meter.standing(ME, limits("5;w=60")[0]).used == 0
    meter.admit(ME, limits(budget)).charge(1, Decimal("0.40"))
    assert not admitted(meter, ME, budget)
    again.close()
    assert (tmp_path / "usage.db").stat().st_mode & 0o077 == 0


def test_a_killed_process_loses_no_charge_that_is_some_milliseconds_old(tmp_path) -> None:
    program = """
import os, pathlib, signal, sys, time
from spanhouse_collector.policy.usage_file import UsageFile
file = UsageFile(pathlib.Path(sys.argv[1]))
for _ in range(50):
    file.add(("t", "cents", 3600, "", ""), int(sys.argv[2]), 1)
while UsageFile(pathlib.Path(sys.argv[1])).load(("t", "cents", 3600, "", ""), 0) != [(int(sys.argv[2]), 50)]:
    time.sleep(0.01)  # written by itself, without being closed
os.kill(os.getpid(), signal.SIGKILL)
"""
    path, slot = tmp_path / "usage.db", time.time_ns() // (60 * S)
    killed = subprocess.run(
        [sys.executable, "-c", program, str(path), str(slot)], env={"PYTHONPATH": ":".join(sys.path)}, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    file = UsageFile(path)
    assert file.load(("t", "cents", 3600, "", ""), 0) == [(slot, 50)]
    file.close()


def test_windows_that_left_memory_come_back_from_the_file(tmp_path) -> None:
    clock = Clock()
    file = UsageFile(tmp_path / "usage.db")
    meter = Meter(file, clock=clock, max_windows=4)
    tickets = [meter.admit(Caller("t", f"u{n}"), limits("10;w=3600;u=tokens;s=user")) for n in range(12)]
    for number, ticket in enumerate(tickets):
        ticket.charge(number, None)
    assert meter.standing(Caller("t", "u3"), limits("10;w=3600;u=tokens;s=user")[0]).used == 3
    file.close()
    file = UsageFile(tmp_path / "usage.db")
    meter = Meter(file, clock=clock, max_windows=4)
    used = [meter.standing(Caller("t", f"u{n}"), limits("10;w=3600;u=tokens;s=user")[0]).used for n in range(12)]
    assert used == list(range(12))
    file.close()


def test_a_file_that_breaks_does_not_stop_counting(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("spanhouse_collector.policy.usage_file._RETRY_S", 0.01)
    file = UsageFile(tmp_path / "usage.db")
    file._database.execute("DROP TABLE uses")
    meter = Meter(file, clock=Clock())
    meter.admit(ME, limits("5;w=60;u=tokens")).charge(5, None)
    assert not admitted(meter, ME, "5;w=60;u=tokens")
    file.close()
    assert file.failed_writes >= 1


def test_a_file_that_is_none_is_a_clear_error(tmp_path) -> None:
    (tmp_path / "usage.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(PolicyStoreError, match=r"usage\.db cannot be opened"):
        UsageFile(tmp_path / "usage.db")


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 9)), max_size=40), st.integers(1, 200))
def test_a_restored_window_is_the_same(uses, window_s) -> None:
    one, now_ns = Window(window_s * S), 1_800_000_000 * S
    for gap_s, amount in uses:
        now_ns += gap_s * S
        one.add(amount, now_ns)
    other = Window(window_s * S)
    other.restore(one.slots(), now_ns)
    assert (other.used, other.slots()) == (one.used, one.slots())
