"""Retries: when, how long, and never beyond what was asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.policy.retry import Retrier, RetryAsk


def retrier(retries: int = 5, *, total_pause_s: float = 60.0, rng: float = 1.0, now_s: float = 1_800_000_000.0):
    return Retrier(RetryAsk(retries), total_pause_s=total_pause_s, clock=lambda: now_s, rng=lambda: rng)


def test_nothing_is_tried_again_unless_asked() -> None:
    assert Retrier(None).pause_s(503) is None
    assert Retrier(None).pause_s(None) is None


def test_pauses_grow_to_the_longest_and_then_end() -> None:
    one = retrier()
    assert [one.pause_s(500) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, None]
    assert one.count == 5


def test_half_of_a_pause_is_chance() -> None:
    assert retrier(rng=0.0).pause_s(500) == 0.5


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 422, 501])
def test_what_would_answer_the_same_is_not_repeated(status) -> None:
    assert retrier().pause_s(status) is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529, None])
def test_what_may_pass_is_repeated(status) -> None:
    assert retrier().pause_s(status) is not None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:09 GMT"}, 9.0),
        ({"Retry-After": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, 0.5),
        ({"Retry-After": "-3"}, 0.5),
    ],
)
def test_the_pause_the_answer_asks_for_is_kept(headers, expected) -> None:
    assert retrier(rng=0.0).pause_s(429, headers.items()) == pytest.approx(expected)


def test_chance_never_shortens_a_pause_that_was_asked_for() -> None:
    assert retrier(rng=1.0).pause_s(429, [("retry-after", "10")]) == pytest.approx(11.0)


def test_a_pause_longer_than_the_time_left_ends_it() -> None:
    one = retrier(total_pause_s=15.0, rng=0.0)
    assert one.pause_s(429, [("retry-after", "10")]) == 10.0
    assert one.pause_s(429, [("retry-after", "10")]) is None
    assert one.count == 1


def test_the_provider_may_overrule_the_status() -> None:
    assert retrier().pause_s(500, [("x-should-retry", "false")]) is None
    assert retrier().pause_s(409, [("x-should-retry", "true")]) is not None
    assert retrier().pause_s(200, [("x-should-retry", "true")]) is None


@given(
    st.integers(0, 10),
    st.lists(st.tuples(st.sampled_from([None, 408, 429, 500, 503]), st.text(max_size=12)), max_size=30),
    st.floats(0, 1, exclude_max=True),
)
def test_tries_and_pauses_stay_bounded_whatever_the_upstream_says(retries, answers, chance) -> None:
    one = Retrier(RetryAsk(retries), total_pause_s=60.0, rng=lambda: chance)
    pauses = [one.pause_s(status, [("retry-after", wish)]) for status, wish in answers]
    granted = [pause for pause in pauses if pause is not None]
    assert len(granted) == one.count <= retries
    assert sum(granted) <= 60.0 + 1e-6
    assert all(pause >= 0 for pause in granted)
