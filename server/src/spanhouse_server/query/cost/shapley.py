"""Splits the change of a product of factors among the factors, exactly and in no order.

Of the product ``f1 x f2 x … x fn`` each factor went from an old to a new value. Changing them one after the other
gives each a part of the change, but the parts depend on the order. The Shapley value is the mean over all orders:
the parts are symmetric, a factor that did not change gets nothing, and they add up to the change. Everything is done
in fractions, so "add up" means equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import factorial

#: Wide enough for any sum of money here.
_WIDE = Context(prec=80)


def product_shares(old: Sequence[Fraction], new: Sequence[Fraction]) -> list[Fraction]:
    """Return what each factor added to the change of the product, in fractions that sum to it.

    ``old`` and ``new`` hold the factors in the same order; at most about ten, since all subsets are gone through.
    """
    count = len(old)
    products = [Fraction(1)] * (1 << count)
    for mask in range(1 << count):
        product = Fraction(1)
        for index in range(count):
            product *= new[index] if mask >> index & 1 else old[index]
        products[mask] = product
    weights = _weights(count)
    parts = []
    for index in range(count):
        bit = 1 << index
        parts.append(
            sum(
                (
                    weights[mask.bit_count()] * (products[mask | bit] - products[mask])
                    for mask in range(1 << count)
                    if not mask & bit
                ),
                Fraction(0),
            )
        )
    return parts


@lru_cache(maxsize=16)
def _weights(count: int) -> tuple[Fraction, ...]:
    """Return, by the number of factors already changed, the share of orders in which one is the next."""
    return tuple(
        Fraction(factorial(before) * factorial(count - 1 - before), factorial(count)) for before in range(count)
    )


def to_decimals(parts: Sequence[Fraction], total: Decimal, quantum: Decimal) -> list[Decimal]:
    """Return the parts as multiples of ``quantum`` that sum to ``total``, each less than one quantum off.

    ``total`` is their sum and a multiple of the quantum. Each is rounded down; what is lacking goes, a quantum each,
    to those that lost most.
    """
    unit = Fraction(quantum)
    wholes = [part // unit for part in parts]
    lost = [part / unit - whole for part, whole in zip(parts, wholes, strict=True)]
    lacking = int(Fraction(total) / unit) - sum(wholes)
    for index in sorted(range(len(parts)), key=lambda each: (-lost[each], each))[:lacking]:
        wholes[index] += 1
    return [_WIDE.multiply(Decimal(whole), quantum) for whole in wholes]
