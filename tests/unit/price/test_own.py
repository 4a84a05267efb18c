"""A project's own prices: which of them holds, and that they hold to the day and to the token."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.model.prices import NO_PRICES, RATE_NAMES, OwnPrice, PriceBook
from spanhouse_server.model.span import Usage
from spanhouse_server.price import OwnPrices, own_prices, price
from spanhouse_server.price.own import _FEE, _RATE
from spanhouse_server.store.own_prices import book_of
from tests.unit.price.test_price import NOVEMBER_2026_NS, span

DAY_NS = 86_400 * 10**9


def own(model: str = "gpt-4o", usd: str = "1", id: str = "a", **more: object) -> OwnPrice:
    rates = {"input_usd_per_mtok": Decimal(usd), "output_usd_per_mtok": Decimal(usd)}
    return OwnPrice(id=id, project_id="p", model=model, **({"rates": rates} | more))  # type: ignore[arg-type]


def source(made, *prices: OwnPrice) -> str:
    return price(made, OwnPrices(prices)).source


def test_goes_before_the_public_list_and_names_itself():
    cost = price(span(), OwnPrices([own(usd="2")]))
    assert (cost.total_usd, cost.status, cost.source) == (Decimal("0.003"), "priced", "own:a")
    assert price(span(model="gpt-4o-mini"), OwnPrices([own(usd="2")])).source == "list"


def test_prices_what_no_list_knows_and_what_is_self_hosted():
    prices = OwnPrices([own("in-house-7b"), own("*llama*".strip("*") + "*", id="b")])
    assert price(span("", "in-house-7b"), prices).source == "own:a"
    hosted = span("ollama", "llama3.2", attributes={"server.address": "127.0.0.1"})
    assert price(hosted, prices).source == "own:b"


def test_every_bucket_at_its_own_rate_to_the_token():
    rates = {name: Decimal(number) for number, name in enumerate(RATE_NAMES, 1)}
    usage = Usage(1000, 500, 100, 90, 80, 70, 60, cache_write_1h_tokens=40, audio_cache_read_tokens=30,
                  image_input_tokens=20, image_output_tokens=10, web_search_requests=2)  # fmt: skip
    cost = price(span(usage=usage), OwnPrices([own(rates=rates)]))
    by = {name: Decimal(number) for number, name in enumerate(RATE_NAMES, 1)}
    tokens = {
        "cache_read_usd_per_mtok": 70, "audio_cache_read_usd_per_mtok": 30, "cache_write_usd_per_mtok": 50,
        "cache_write_1h_usd_per_mtok": 40, "audio_input_usd_per_mtok": 40, "image_input_usd_per_mtok": 20,
        "input_usd_per_mtok": 1000 - 100 - 90 - 40 - 20,
    }  # fmt: skip
    given = sum(by[name] * count for name, count in tokens.items()) / 1_000_000
    assert cost.input_usd == given + (by["web_search_usd_per_k"] * 2 + by["request_usd_per_k"]) / 1000
    made = {"audio_output_usd_per_mtok": 60, "image_output_usd_per_mtok": 10, "reasoning_usd_per_mtok": 80,
            "output_usd_per_mtok": 350}  # fmt: skip
    assert cost.output_usd == sum(by[name] * count for name, count in made.items()) / 1_000_000


def test_every_rate_is_used():
    assert {*_RATE, *_FEE} == set(RATE_NAMES)


def test_what_it_leaves_out_has_no_price():
    cost = price(span(usage=Usage(1000, 500, cache_read_tokens=10)), OwnPrices([own()]))
    assert (cost.status, cost.reason) == ("partial", "no_price_for: cache_read_tokens")


def test_holds_from_its_first_moment_to_before_its_last():
    noon = NOVEMBER_2026_NS
    bounded = own(from_ns=noon, until_ns=noon + DAY_NS)
    times = (noon - 1, noon, noon + DAY_NS - 1, noon + DAY_NS)
    assert [source(span(start_ns=at), bounded) for at in times] == ["list", "own:a", "own:a", "list"]
    # A span without times is priced as of now: by what has no end.
    assert source(span(start_ns=0), bounded) == "list"
    assert source(span(start_ns=0), own(from_ns=noon)) == "own:a"


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ({"model": "gpt-4o"}, {"model": "gpt-4*"}),
        ({"model": "gpt-4o*"}, {"model": "gpt-4*"}),
        ({"model": "GPT-4O"}, {"model": "gpt*"}),
        ({"provider": "openai"}, {}),
        ({"service_tier": "batch"}, {}),
        ({"above_input_tokens": 999}, {"above_input_tokens": 500}),
        ({"from_ns": 5}, {"from_ns": 4}),
        ({"created_ns": 5}, {"created_ns": 4}),
    ],
)
def test_the_more_specific_holds(more, less):
    made = span(usage=Usage(1000, 500, service_tier="batch"))
    first, second = own(**({"model": "gpt-4o", "id": "more"} | more)), own(**({"model": "gpt-4o", "id": "less"} | less))
    assert source(made, first, second) == source(made, second, first) == "own:more"


@pytest.mark.parametrize(
    "other",
    [{"provider": "azure.ai.openai"}, {"service_tier": "flex"}, {"above_input_tokens": 1000}, {"model": "gpt-4"}],
)
def test_what_does_not_fit_does_not_hold(other):
    assert source(span(), own(**other)) == "list"


def test_a_price_for_long_calls_makes_the_sum_of_several_unsure():
    short, long = own(usd="2"), own(usd="4", id="long", above_input_tokens=900)
    summed = price(span(category="agent"), OwnPrices([short, long]))
    assert (summed.total_usd, summed.source, summed.status) == (Decimal("0.003"), "own:a", "partial")
    assert summed.reason == "no_price_for: calls with long inputs"
    assert price(span(category="agent"), OwnPrices([short])).status == "priced"


def test_the_model_served_decides():
    asked_and_served = span(model="gpt-4o", response_model="gpt-4o-2024-08-06")
    assert source(asked_and_served, own("gpt-4o"), own("gpt-4o-2024-08-06", id="served")) == "own:served"
    assert source(asked_and_served, own("gpt-4o")) == "own:a"
    # Something else was served and has a price: that of the one asked for would be wrong.
    assert source(span(model="gpt-4o", response_model="gpt-4o-mini"), own("gpt-4o-mini-x"), own("gpt-4o")) == "list"
    rerouted = span(model="gpt-4o", response_model="o3")
    assert source(rerouted, own("gpt-4o")) == "list"
    # … but it is the last resort where nothing is known about what was served.
    assert source(span(model="router", response_model="in-house-7b"), own("router")) == "own:a"


def test_books_hold_one_projects_prices_apart_from_anothers():
    book = book_of([own(), OwnPrice(id="b", project_id="q", model="x", rates={})])
    assert own_prices(book, "p") is own_prices(book, "p")
    assert own_prices(book, "nobody") is None
    assert set(book.only(["p", "nobody"]).prices) == {"p"}
    handed = pickle.loads(pickle.dumps(book.only(["p"])))
    assert price(span(), own_prices(handed, "p")).source == "own:a"
    assert own_prices(handed, "q") is None
    assert book_of([]) is NO_PRICES is NO_PRICES.only(["p"])


def test_a_books_version_tells_every_change():
    versions = {book_of([each]).version for each in (own(), own(usd="2"), own(id="b"), own(from_ns=1), own("x"))}
    assert len(versions) == 5
    assert book_of([own(), own(id="b")]).version == book_of([own(id="b"), own()]).version
    assert PriceBook().version == ""


@given(
    prices=st.lists(st.builds(own, st.sampled_from(["gpt-4o", "gpt*", "*", "", "g"]), st.sampled_from(["0", "1"]),
                              st.text(max_size=3), above_input_tokens=st.integers(0, 2000)), max_size=5),
    tokens=st.integers(0, 3000),
)  # fmt: skip
def test_never_raises_and_does_not_depend_on_order(prices, tokens):
    made = span(usage=Usage(tokens, 1))
    assert price(made, OwnPrices(prices)).total_usd == price(made, OwnPrices(prices[::-1])).total_usd or len(
        {each.id for each in prices}
    ) < len(prices)
