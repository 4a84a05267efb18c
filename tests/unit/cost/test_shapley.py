"""The split of a change among factors: exact, symmetric, and in no order."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from math import prod

from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.query.cost.shapley import product_shares, to_decimals

FACTORS = st.lists(st.fractions(0, 1000, max_denominator=997), min_size=5, max_size=5)
QUANTUM = Decimal("0.000000000001")


@settings(max_examples=50, deadline=None)
@given(FACTORS, FACTORS)
def test_the_parts_are_the_change(old: list[Fraction], new: list[Fraction]) -> None:
    assert sum(product_shares(old, new)) == prod(new) - prod(old)


@settings(max_examples=20, deadline=None)
@given(FACTORS, FACTORS)
def test_each_part_is_the_mean_over_all_orders(old: list[Fraction], new: list[Fraction]) -> None:
    orders = list(permutations(range(5)))
    sums = [Fraction(0)] * 5
    for order in orders:
        now = list(old)
        for index in order:
            before = prod(now)
            now[index] = new[index]
            sums[index] += prod(now) - before
    assert product_shares(old, new) == [total / len(orders) for total in sums]


@settings(max_examples=50, deadline=None)
@given(FACTORS, FACTORS, st.integers(0, 4))
def test_what_did_not_change_added_nothing(old: list[Fraction], new: list[Fraction], same: int) -> None:
    new[same] = old[same]
    assert product_shares(old, new)[same] == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.fractions(-100, 100, max_denominator=10**9), min_size=1, max_size=8))
def test_decimals_sum_to_the_total_and_are_less_than_a_quantum_off(parts: list[Fraction]) -> None:
    unit = Fraction(QUANTUM)
    parts[0] += -sum(parts) % unit  # the total is a whole number of quanta, as sums of money are
    total = Decimal(int(sum(parts) / unit)) * QUANTUM
    written = to_decimals(parts, total, QUANTUM)
    assert sum(written) == total
    assert all(abs(Fraction(amount) - part) < unit for amount, part in zip(written, parts, strict=True))
