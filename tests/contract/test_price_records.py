"""Own prices in the records store, on SQLite and on a real Postgres."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from spanhouse_server.errors import BadRequest, NotFound, StoreUnavailable
from spanhouse_server.model.prices import NO_PRICES, OwnPrice
from spanhouse_server.store.contract import RecordsStore
from spanhouse_server.store.own_prices import FRESH_S, PriceBooks
from spanhouse_server.store.records import prices as price_records
from tests.contract.test_records import records, url

__all__ = ["records", "url"]

PRICE = OwnPrice(
    id="",
    project_id="default",
    model=" GPT-4o* ",
    rates={"input_usd_per_mtok": Decimal("0.000000000001"), "web_search_usd_per_k": Decimal("1E+1")},
    provider="OpenAI",
    service_tier="Batch",
    above_input_tokens=2**40,
    from_ns=5,
    until_ns=2**62,
    note="from the contract \0 of May",
)


def test_prices_come_back_as_they_were_given(records: RecordsStore) -> None:
    made = records.create_price(PRICE)
    assert len(made.id) == 16
    assert made.created_ns > 0
    expected = replace(PRICE, id=made.id, created_ns=made.created_ns, model="GPT-4o*", provider="openai",
                       service_tier="batch", note="from the contract \ufffd of May")  # fmt: skip
    assert made == expected
    assert records.prices("default") == records.prices() == [made]
    assert records.prices("nope") == []


def test_projects_do_not_see_each_others(records: RecordsStore) -> None:
    other = records.create_project("other").id
    mine, theirs = records.create_price(PRICE), records.create_price(replace(PRICE, project_id=other))
    assert records.prices(other) == [theirs]
    with pytest.raises(NotFound):
        records.delete_price(other, mine.id)
    assert records.delete_price("default", mine.id) == mine
    assert records.prices() == [theirs]
    for missing in (mine.id, "a\0b", "\ud800", ""):
        with pytest.raises(NotFound):
            records.delete_price("default", missing)
    with pytest.raises(NotFound):
        records.create_price(replace(PRICE, project_id="nope"))


@pytest.mark.parametrize(
    "bad",
    [
        {"model": ""}, {"model": " * "}, {"model": "a*b"}, {"model": "x" * 201}, {"provider": "x" * 101},
        {"note": "x" * 501}, {"above_input_tokens": -1}, {"above_input_tokens": 2**60}, {"from_ns": -1},
        {"from_ns": 2**63}, {"until_ns": 5}, {"until_ns": 2**63}, {"rates": {}}, {"rates": {"input": Decimal(1)}},
        *({"rates": {"input_usd_per_mtok": Decimal(value)}} for value in ("-1", "NaN", "Infinity", "1000001", "1E-13")),
    ],
)  # fmt: skip
def test_a_price_that_cannot_be_meant_is_refused(records: RecordsStore, bad: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        records.create_price(replace(PRICE, **bad))
    assert records.prices() == []


def test_their_number_is_bounded(records: RecordsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_records, "MAX_PRICES", 2)
    for _ in range(2):
        records.create_price(PRICE)
    with pytest.raises(BadRequest, match="at most 2"):
        records.create_price(PRICE)


def test_books_are_read_once_in_a_while_and_outlast_an_outage(
    records: RecordsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    books = PriceBooks(records, lambda: clock[0])
    assert books.current() is NO_PRICES
    made = records.create_price(PRICE)
    assert books.current() is NO_PRICES
    clock[0] += FRESH_S
    book = books.current()
    assert book.prices == {"default": (made,)}
    clock[0] += FRESH_S
    assert books.current() is book
    records.delete_price("default", made.id)
    books.forget()

    def away() -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(records, "prices", away)
        assert books.current() is book
    books.forget()
    assert books.current().prices == {}
