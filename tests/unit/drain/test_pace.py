"""Large traces rest between settlings; what they are owed is never forgotten."""

from spanhouse_server.drain.pace import LARGE_SPANS, REST_PER_WORK, Pace

LARGE, SMALL = ("default", "aa"), ("default", "bb")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_only_large_traces_rest_for_a_multiple_of_their_share() -> None:
    clock = Clock()
    pace = Pace(now_s=clock)
    assert pace.hold({LARGE, SMALL}) == set()
    pace.settled({LARGE: 3 * LARGE_SPANS, SMALL: LARGE_SPANS - 1}, took_s=4.0)
    rest_s = REST_PER_WORK * 4.0 * 3 * LARGE_SPANS / (4 * LARGE_SPANS - 1)
    assert pace.hold({LARGE, SMALL}) == {LARGE}
    clock.now_s += rest_s - 0.01
    assert pace.hold({LARGE}) == {LARGE}
    assert pace.due() == set()
    clock.now_s += 0.02
    assert pace.due() == {LARGE}
    assert pace.hold({LARGE}) == set()


def test_what_is_owed_stays_until_settled() -> None:
    clock = Clock()
    pace = Pace(owed=[LARGE], now_s=clock)
    assert pace.due() == {LARGE}
    pace.settled({LARGE: LARGE_SPANS}, took_s=1.0)
    clock.now_s += 1000
    assert pace.due() == set()


def test_a_trace_that_rests_without_news_is_not_due() -> None:
    clock = Clock()
    pace = Pace(now_s=clock)
    pace.settled({LARGE: LARGE_SPANS}, took_s=1.0)
    clock.now_s += 1000
    assert pace.due() == set()
    assert pace.hold({LARGE}) == set()
