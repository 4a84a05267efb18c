from spanhouse_server.clock import MAX_TIME_NS, MonotonicStamps, rfc3339


def test_rfc3339_keeps_every_nanosecond() -> None:
    assert rfc3339(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456789Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(MAX_TIME_NS).startswith("2262-")


def test_stamps_rise_even_above_a_floor_in_the_future() -> None:
    floor_ns = 4_000_000_000_000_000_000
    stamps = MonotonicStamps(floor_ns)
    given = [stamps.next_ns() for _ in range(100)]
    assert given[0] == floor_ns + 1
    assert given == sorted(set(given))
