"""Our arithmetic against the library's own, over its whole list; and the cost of pricing itself."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

from genai_prices import types
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.model.raw import RawSpan, Scope
from spanhouse_server.model.span import Span, Usage
from spanhouse_server.price import LIMIT_USD, QUANTUM_USD, catalogue, price
from spanhouse_server.price.tariff import Period, Rate, Rates, Tariff

MODELS = [
    (provider.id, model)
    for provider in get_snapshot().providers
    for model in provider.models
    if isinstance(model.match, types.ClauseEquals)
]


def span(provider: str, model: str, usage: Usage, start_ns: int = 1_795_000_000 * 10**9) -> Span:
    raw = RawSpan("t", "s", "", "chat", "client", start_ns, start_ns, "unset", "", {}, [], [], {}, Scope())
    return Span(raw=raw, category="llm", provider=provider, response_model=model, usage=usage)


@settings(max_examples=400, deadline=None)
@given(
    pick=st.sampled_from(MODELS),
    second=st.integers(1_600_000_000, 1_800_000_000),
    tokens=st.tuples(*[st.integers(0, 400_000)] * 4),
)
def test_agrees_with_the_library_wherever_everything_has_a_price(pick, second, tokens):
    provider_id, model = pick
    plain, read, written, output = tokens
    name = model.match.equals
    got = price(span(provider_id, name, Usage(plain + read + written, output, read, written), second * 10**9))
    if got.status != "priced" or name.endswith(":free"):
        return
    expected = get_snapshot().calc(
        types.Usage(
            input_tokens=plain + read + written,
            output_tokens=output,
            cache_read_tokens=read,
            cache_write_tokens=written,
        ),
        name,
        provider_id,
        None,
        datetime.fromtimestamp(second, UTC),
    )
    assert got.total_usd == got.input_usd + got.output_usd
    if written and "claude" in name and expected.model_price.cache_write_mtok is None:
        return  # the vendor's factor is taken, where the library takes the price of input
    assert abs(got.total_usd - expected.total_price) <= QUANTUM_USD


@settings(max_examples=200, deadline=None)
@given(
    provider=st.text(max_size=12) | st.sampled_from(["openai", "anthropic", "", "x_ai"]),
    model=st.text(max_size=20) | st.sampled_from(["gpt-4o", "o1", "claude-3-opus", "gpt-oss-20b"]),
    counts=st.tuples(*[st.none() | st.integers(0, 2**62)] * 7),
    start_ns=st.integers(-(2**62), 2**62),
)
def test_never_raises_and_never_says_zero_for_unknown(provider, model, counts, start_ns):
    cost = price(span(provider, model, Usage(*counts), start_ns))
    assert cost.status in ("priced", "partial", "unpriced")
    assert (cost.total_usd is None) == (cost.status == "unpriced")
    assert (cost.reason == "") == (cost.status == "priced")
    if cost.status == "partial":
        assert cost.total_usd is not None
        assert cost.total_usd > 0
    if cost.total_usd is not None:
        assert cost.total_usd == (cost.input_usd or 0) + (cost.output_usd or 0)
        assert 0 <= cost.total_usd < 1_000_000
        assert cost.total_usd.as_tuple().exponent >= -12


def test_names_chosen_by_senders_do_not_fill_memory(monkeypatch):
    monkeypatch.setattr(catalogue, "MAX_REMEMBERED", 50)
    for number in range(500):
        price(span("openai", f"made-up-{number}", Usage(1, 1)))
    assert len(catalogue._remembered) <= 50


def test_price_list_is_loaded_only_when_needed():
    code = (
        "import sys; from spanhouse_server import price; from spanhouse_server.model.span import Span;"
        "assert 'genai_prices' not in sys.modules, 'loaded at import'"
    )
    env = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_money_columns_cannot_hold_is_no_price(monkeypatch):
    dollar = Rate(Decimal(1_000_000))  # per million tokens
    tariff = Tariff((Period(Rates(input=dollar, cache_read=dollar, output=dollar)),))
    monkeypatch.setattr("spanhouse_server.price.find_tariff", lambda *_: (tariff, ""))
    most = price(span("openai", "m", Usage(500_000, 499_999)))
    assert (most.total_usd, most.status) == (LIMIT_USD - 1, "priced")
    more = price(span("openai", "m", Usage(500_000, 500_000)))
    assert (more.total_usd, more.status, more.reason) == (None, "unpriced", "no_price_for: implausible usage")


def test_rounding_is_half_even_and_only_at_the_end(monkeypatch):
    half = Rate(Decimal("0.0000005"))  # per million tokens, so that a token is half a quantum
    tariff = Tariff((Period(Rates(input=half, cache_read=half, output=half)),))
    monkeypatch.setattr("spanhouse_server.price.find_tariff", lambda *_: (tariff, ""))

    def of(usage: Usage) -> tuple[Decimal | None, Decimal | None]:
        cost = price(span("openai", "m", usage))
        return cost.input_usd, cost.output_usd

    assert of(Usage(1, 3)) == (Decimal(0), 2 * QUANTUM_USD)
    # Two halves of one side make a whole: parts are not rounded before they are added.
    assert of(Usage(2, 5, cache_read_tokens=1)) == (QUANTUM_USD, 2 * QUANTUM_USD)
