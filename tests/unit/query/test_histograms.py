"""Buckets added, subtracted and asked for percentiles."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanhouse_server.query.histograms import add, explicit, exponential, indexed, quantile, rescaled, subtract


def test_percentiles_lie_evenly_within_their_bucket() -> None:
    segments = explicit([10.0, 20.0, 40.0], [10, 10, 20, 0])
    assert quantile(segments, 0.25) == 10.0
    assert quantile(segments, 0.375) == 15.0
    assert quantile(segments, 0.75) == 30.0
    assert quantile(segments, 1.0) == 40.0
    assert quantile(segments, 0.0) == 0.0


@pytest.mark.parametrize(
    ("bounds", "counts", "least", "most", "fraction", "value"),
    [
        ([10.0], [0, 4], None, None, 0.9, 10.0),  # nothing is known above the last bound
        ([10.0], [0, 4], 12.0, 30.0, 0.5, 20.0),
        ([-10.0, 0.0], [4, 0, 0], -30.0, -10.0, 0.5, -20.0),
        ([-10.0, 0.0], [4, 0, 0], None, None, 0.5, -10.0),
        ([], [7], 2.0, 4.0, 0.5, 3.0),
        ([], [7], None, None, 0.5, None),
        ([1.0], [0, 0], None, None, 0.5, None),
    ],
)
def test_outer_buckets(bounds, counts, least, most, fraction, value) -> None:
    assert quantile(explicit(bounds, counts, least, most), fraction) == value


def test_histograms_of_different_bounds_are_asked_together() -> None:
    together = explicit([10.0], [10, 0])
    add(together, explicit([20.0, 30.0], [0, 10, 0]))
    assert quantile(together, 0.5) == 10.0
    assert quantile(together, 0.75) == 25.0


def test_exponential_buckets_of_both_signs_and_zero() -> None:
    segments = exponential(0, 2, {0: 4, 1: 4}, {0: 2})
    assert segments == {(0.0, 0.0): 2, (1.0, 2.0): 4, (2.0, 4.0): 4, (-2.0, -1.0): 2}
    assert quantile(segments, 0.0) == -2.0
    assert quantile(segments, 0.25) == 0.0
    assert quantile(segments, 1.0) == 4.0


def test_extreme_scales_and_indices_stay_numbers() -> None:
    for scale, index in ((-2_147_483_648, 2_147_483_647), (20, -2_147_483_648), (0, 5000), (0, -5000), (-10, 1)):
        found = quantile(exponential(scale, 0, {index: 1}, {index: 1}), 0.9)
        assert found is not None
        assert math.isfinite(found)


@example([5.0, 6.0], 3, 0.5)
@given(
    st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=60),
    st.integers(-2, 6),
    st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_percentile_is_within_the_bucket_of_the_true_one(values, scale, fraction) -> None:
    counts: dict[int, int] = {}
    for value in values:
        index = math.ceil(math.log2(value) * 2**scale) - 1
        counts[index] = counts.get(index, 0) + 1
    found = quantile(exponential(scale, 0, counts, {}), fraction)
    true = sorted(values)[max(math.ceil(fraction * len(values)) - 1, 0)]
    width = 2 ** (2.0**-scale)
    assert true / width * (1 - 1e-9) <= found <= true * width * (1 + 1e-9)


@given(st.dictionaries(st.integers(-40, 40), st.integers(1, 9), max_size=8), st.integers(0, 5))
def test_a_lower_scale_loses_no_value(counts, steps) -> None:
    merged = rescaled((5, counts), 5 - steps)
    assert sum(merged.values()) == sum(counts.values())
    assert set(merged) == {math.floor(index / 2**steps) for index in counts}


def test_what_was_added_since() -> None:
    scale, now = indexed(3, -2, [1, 0, 4])
    assert (scale, now) == (3, {-2: 1, 0: 4})
    assert subtract(now, {-2: 1, 0: 1}) == {0: 3}


def test_order_of_adding_does_not_matter() -> None:
    parts = [explicit([1.0, 2.0], [n, n + 1, 2]) for n in range(5)]
    forward, backward = {}, {}
    for part in parts:
        add(forward, part)
    random.Random(4).shuffle(parts)
    for part in parts:
        add(backward, part)
    assert quantile(forward, 0.9) == quantile(backward, 0.9)
