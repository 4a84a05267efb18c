"""Why a bill changed: the parts sum to the change, and each cause shows as itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.errors import BadQuery
from spanhouse_server.model.span import Cost, Usage
from spanhouse_server.query.cost.changes import (
    FACTORS,
    OTHER_MODELS,
    CacheTerms,
    Traffic,
    _bounded,
    cache_terms,
    decompose,
    explain_change,
)
from spanhouse_server.query.cost.selection import CostQuery
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, columnar, span

HOUR_S = 3600
A, B = ("openai", "a"), ("openai", "b")
TERMS = {A: CacheTerms(Fraction(1, 2), Fraction(1, 4)), B: CacheTerms(Fraction(9, 10))}

money = st.decimals(0, 100_000, places=12)
counts = st.integers(0, 10**9)


@st.composite
def traffic(draw: st.DrawFn) -> Traffic:
    """Any traffic, however odd: costs without tokens, tokens without cost, more cached than sent."""
    input_usd, output_usd, rest = draw(money), draw(money), draw(money)
    return Traffic(
        draw(st.integers(0, 10**6)) if draw(st.booleans()) else 1, draw(counts), draw(counts), draw(counts),
        draw(counts), input_usd + output_usd + rest, input_usd, output_usd,
    )  # fmt: skip


def real(each: Traffic) -> Traffic:
    """What has no calls has nothing."""
    return each if each.calls else Traffic()


SIDES = st.dictionaries(st.sampled_from([A, B, ("x", "c")]), traffic().map(real), max_size=3)


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES)
def test_the_parts_sum_to_the_change_to_the_last_decimal(
    old: dict[tuple[str, str], Traffic], new: dict[tuple[str, str], Traffic]
) -> None:
    cells = decompose(old, new, TERMS)
    for key, cell in cells.items():
        before, after = old.get(key, Traffic()).cost_usd, new.get(key, Traffic()).cost_usd
        # As fractions: parts of 10^16 dollars that cancel out have more digits than a sum of decimals keeps.
        assert sum(map(Fraction, cell.values())) == Fraction(after) - Fraction(before)
        assert list(cell) == list(FACTORS)


def priced(calls: int, given_: int, gave: int, read: int = 0, *, usd: str = "2", out: str = "8") -> Traffic:
    """Calls at ``usd`` and ``out`` dollars per million tokens, cached ones at half of ``usd``."""
    input_usd = (Decimal(given_ - read) + Decimal(read) / 2) * Decimal(usd) / 1_000_000
    output_usd = Decimal(gave) * Decimal(out) / 1_000_000
    return Traffic(calls, given_, gave, read, 0, input_usd + output_usd, input_usd, output_usd)


BASE = priced(100, 100_000, 20_000)


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (priced(300, 300_000, 60_000), "volume"),
        (priced(100, 250_000, 20_000), "tokens_per_request"),
        (priced(100, 100_000, 90_000), "tokens_per_request"),
        (priced(100, 100_000, 20_000, 80_000), "cache_hit_rate"),
        (priced(100, 100_000, 20_000, usd="3", out="12"), "price"),
    ],
)
def test_a_single_cause_is_all_of_the_change(after: Traffic, cause: str) -> None:
    cell = decompose({A: BASE}, {A: after}, TERMS)[A]
    assert cell[cause] == after.cost_usd - BASE.cost_usd != 0
    assert all(not amount for name, amount in cell.items() if name != cause)


def test_moving_to_a_dearer_model_is_mix() -> None:
    dear = priced(100, 100_000, 20_000, usd="20", out="80")
    cells = decompose({A: BASE, B: replace(dear, calls=0, cost_usd=Decimal(0), input_usd=Decimal(0), output_usd=Decimal(0),
                                           input_tokens=0, output_tokens=0)}, {B: dear}, TERMS)  # fmt: skip
    assert cells[A]["model_mix"] == -BASE.cost_usd
    assert cells[B]["model_mix"] == dear.cost_usd
    assert all(not cell[name] for cell in cells.values() for name in FACTORS if name != "model_mix")


def test_from_nothing_everything_is_volume() -> None:
    assert decompose({}, {A: BASE}, TERMS)[A]["volume"] == BASE.cost_usd
    assert decompose({A: BASE}, {}, TERMS)[A]["volume"] == -BASE.cost_usd


def test_cheap_models_beyond_the_bound_become_one_and_nothing_is_lost() -> None:
    old = {("p", f"m{number:03}"): priced(1, 1000 + number, 10) for number in range(150)}
    kept, empty = _bounded(old, {})
    assert len(kept) == 101
    assert not empty
    assert kept[OTHER_MODELS].calls == 50
    assert sum(each.cost_usd for each in kept.values()) == sum(each.cost_usd for each in old.values())


def test_cache_terms_come_from_the_tariff() -> None:
    terms = cache_terms("claude-haiku-4-5", "claude-haiku-4-5", "anthropic", T0, None)
    assert terms == CacheTerms(Fraction(9, 10), Fraction(1, 4))
    assert cache_terms("no-such-model", "", "", T0, None) == CacheTerms()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("changes")) as opened:
        keeper = Keeper(opened)
        for hour, model, usd in ((0, "gpt-4o-mini", "0.01"), (1, "gpt-4o", "0.17")):
            for number in range(4):
                call = span(f"t{hour}{number}", "chat", start_s=hour * HOUR_S + number, category="llm", operation="chat",
                            provider="openai", request_model=model, response_model=model)  # fmt: skip
                call.usage = Usage(1000, 100, basis="inclusive")
                half = Decimal(usd) / 2
                call.cost = Cost(Decimal(usd), half, half, status="priced")
                keeper.put(call)
        silent = span("silent", "chat", start_s=HOUR_S, category="llm", request_model="own", tokens=(500, 5))
        keeper.put(silent)
        keeper.put(span("theirs", "chat", start_s=HOUR_S, category="llm", tokens=(9, 9), cost="100"), project="other")
        yield opened


def test_a_swap_of_models_is_named(store: ColumnarStore, tmp_path: Path) -> None:
    now = CostQuery(Window(T0 + HOUR_S * NS, T0 + 2 * HOUR_S * NS))
    reply = explain_change(store, "default", now, Window())
    assert (reply["baseline"]["cost_usd"], reply["current"]["cost_usd"]) == ("0.04", "0.68")
    assert reply["change_usd"] == "0.64"
    assert sum(Decimal(each["contribution_usd"]) for each in reply["factors"]) == Decimal("0.64")
    assert sum(Decimal(each["change_usd"]) for each in reply["models"]) == Decimal("0.64")
    assert reply["top"]["factor"] == "model_mix"
    assert (reply["top"]["provider"], reply["top"]["model"]) == ("openai", "gpt-4o")
    assert "mix of models" in reply["top"]["sentence"]
    assert reply["current"]["unpriced"]["requests"] == 1
    assert reply["current"]["unpriced"]["tokens"] == 505


def test_nothing_changed(store: ColumnarStore) -> None:
    window = Window(T0, T0 + HOUR_S * NS)
    reply = explain_change(store, "default", CostQuery(window), window)
    assert (reply["change_usd"], reply["top"]) == ("0", None)
    with pytest.raises(BadQuery, match="one end"):
        explain_change(store, "default", CostQuery(window), Window(T0, None))
