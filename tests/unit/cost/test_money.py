"""Spend and what-if against the truth: sums of what each call was priced at, to the last decimal."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from spanhouse_server.errors import BadQuery
from spanhouse_server.model.budgets import GpuPrice
from spanhouse_server.query.cost import self_hosted as gpus
from spanhouse_server.query.cost.selection import CostQuery
from spanhouse_server.query.cost.self_hosted import checked, self_hosted
from spanhouse_server.query.cost.spend import spend
from spanhouse_server.query.cost.whatif import what_if
from spanhouse_server.query.page import encode_cursor
from spanhouse_server.query.times import Window
from spanhouse_server.show.schemas.cost import MeasuredGpus
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, columnar, point
from tests.unit.cost.traffic import MODELS, OWN, calls, total

CALLS = calls(1500, 7)
WINDOW = Window(T0, T0 + 7200 * NS)
ALL = CostQuery(WINDOW)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("money")) as opened:
        keeper = Keeper(opened)
        keeper.put(*CALLS)
        keeper.put(*calls(20, 8), project="other")
        yield opened


def test_the_total_is_the_sum_of_the_calls(store: ColumnarStore) -> None:
    reply = spend(store, "default", ALL)["total"]
    assert Decimal(reply["cost_usd"]) == total(CALLS)
    assert Decimal(reply["input_usd"]) + Decimal(reply["output_usd"]) == total(CALLS)
    told = [each for each in CALLS if each.usage.known]
    assert reply["input_tokens"] == sum(each.usage.input_tokens or 0 for each in told)
    unpriced = [each for each in told if each.cost.total_usd is None]
    assert unpriced
    assert reply["unpriced"]["requests"] == len(unpriced)
    assert reply["unpriced"]["tokens"] == sum(
        (each.usage.input_tokens or 0) + (each.usage.output_tokens or 0) for each in unpriced
    )
    assert reply["unpriced"]["partial_requests"] == sum(each.cost.status == "partial" for each in CALLS)
    assert reply["unpriced"]["requests_without_usage"] == len(CALLS) - len(told) == reply["requests"] - len(told)


@pytest.mark.parametrize(
    ("group_by", "values"),
    [
        ("user", lambda each: [(each.user_id,)]),
        ("model,metadata.team", lambda each: [(each.response_model, each.metadata["team"])]),
        ("tag", lambda each: [(tag,) for tag in each.tags or [""]]),
        ("trace", lambda each: [(each.raw.trace_id,)]),
    ],
)
def test_every_group_is_the_sum_of_its_calls(store: ColumnarStore, group_by: str, values: object) -> None:
    expected: dict[tuple[str, ...], Decimal] = {}
    for each in CALLS:
        for group in values(each):  # type: ignore[operator]
            expected[group] = expected.get(group, Decimal(0)) + (each.cost.total_usd or 0)
    found: dict[tuple[str, ...], Decimal] = {}
    cursor: str | None = ""
    last: Decimal | None = None
    while cursor is not None:
        page = spend(store, "default", ALL, group_by, limit=200, cursor=cursor)
        for row in page["groups"]:
            key, cost = tuple(row["group"].values()), Decimal(row["cost_usd"])
            assert key not in found, "no group comes twice"
            assert last is None or cost <= last, "the dearest come first"
            found[key], last = cost, cost
        cursor = page["next_cursor"]
    assert found == expected


def test_over_time(store: ColumnarStore) -> None:
    reply = spend(store, "default", ALL, "user", 3600)
    assert sum(Decimal(usd) for _, usd in reply["total"]["points"]) == total(CALLS)
    ann = next(row for row in reply["groups"] if row["group"] == {"user": "ann"})
    late = [each for each in CALLS if each.user_id == "ann" and each.raw.start_ns >= T0 + 3600 * NS]
    assert dict(ann["points"])[T0 // NS + 3600] == f"{total(late).normalize():f}"


@pytest.mark.parametrize(
    "cursor", ["x", encode_cursor(["1"]), encode_cursor(["x", '["a"]']), encode_cursor(["1", "no"]),
               encode_cursor(["1", '["a","b"]']), encode_cursor(["1", "[1]"])],
)  # fmt: skip
def test_a_forged_cursor_is_refused(store: ColumnarStore, cursor: str) -> None:
    with pytest.raises(BadQuery, match="cursor"):
        spend(store, "default", ALL, "user", cursor=cursor)


def test_bad_groups(store: ColumnarStore) -> None:
    for group_by in ("nope", "cost", "user,model,tag,release", "metadata"):
        with pytest.raises(BadQuery):
            spend(store, "default", ALL, group_by)


@pytest.mark.parametrize("model", MODELS, ids=lambda each: each[1])
def test_the_same_model_costs_what_it_did(store: ColumnarStore, model: tuple[str, str]) -> None:
    own_calls = [each for each in CALLS if each.response_model == model[1]]
    name = "/".join(filter(None, model))
    reply = what_if(store, "default", CostQuery(WINDOW, f"model:{model[1]}"), [name], OWN)
    found = reply["models"][0]
    assert Decimal(reply["actual"]["cost_usd"]) == Decimal(found["cost_usd"]) == total(own_calls)
    assert found["comparable"]["change_usd"] == "0"
    told = [each for each in own_calls if each.usage.known]
    assert found["priced_requests"] == sum(each.cost.status == "priced" for each in told)
    assert found["partial_requests"] == sum(each.cost.status == "partial" for each in told)
    assert found["unpriceable_requests"] == sum(each.cost.status == "unpriced" for each in told)
    assert reply["actual"]["requests_without_usage"] == 0


def test_another_model_is_priced_call_by_call(store: ColumnarStore) -> None:
    """Each call priced anew as if the other model had served it, by the price room itself."""
    from dataclasses import replace

    from spanhouse_server.price import OwnPrices, price

    provider, name = MODELS[2]
    moved = [
        price(replace(each, provider=provider, request_model=name, response_model=name), OwnPrices(OWN))
        for each in CALLS
    ]
    reply = what_if(store, "default", ALL, [f"{provider}/{name}", "no-such-model"], OWN)
    assert Decimal(reply["models"][0]["cost_usd"]) == sum(each.total_usd or 0 for each in moved)
    unknown = reply["models"][1]
    assert (unknown["cost_usd"], unknown["unpriceable_share_of_tokens"]) == (None, 1.0)
    assert unknown["reasons"] == {"unknown_provider": unknown["requests"]}


def test_own_gpus_beside_an_api(store: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "now_ns", lambda: T0 + 7200 * NS)
    price = GpuPrice("g", "default", "H200", "model:house-large", Decimal(4), Decimal("2.5"), from_ns=T0 + 3600 * NS)
    reply = self_hosted(store, "default", CostQuery(Window(T0, T0 + 9000 * NS)), [price], ["gpt-4o-mini"])
    row = reply["items"][0]
    served = [
        each for each in CALLS
        if each.response_model == "house-large" and each.usage.known and each.raw.start_ns >= T0 + 3600 * NS
    ]  # fmt: skip
    tokens = sum((each.usage.input_tokens or 0) + (each.usage.output_tokens or 0) for each in served)
    assert (row["gpu_hours"], row["cost_usd"]) == (4.0, "10")
    assert row["input_tokens"] + row["output_tokens"] == tokens > 0
    assert Decimal(row["usd_per_mtok"]) == round(Decimal(10) * 1_000_000 / tokens, 12)
    assert row["models"][0]["requests"] == len(served)
    assert row["measured"] is None
    # One of the four was up for half an hour, and did nothing for half of that.
    use = [
        point("hw.gpu.utilization", 3600 + minute * 60, value=0.5 if minute < 15 else 0.0,
              attributes={"hw.id": "GPU-1", "hw.name": "NVIDIA H200"})
        for minute in range(30)
    ]  # fmt: skip
    Keeper(store).points(use)
    seen = self_hosted(store, "default", CostQuery(Window(T0, T0 + 9000 * NS)), [price])["items"][0]["measured"]
    MeasuredGpus.model_validate(seen)
    assert (seen["gpus"], seen["gpu_hours"], seen["idle_gpu_hours"], seen["utilization"]) == (1, 0.5, 0.25, 0.25)
    assert (seen["cost_usd"], seen["idle_usd"]) == ("1.25", "0.625")
    assert Decimal(seen["usd_per_mtok"]) == round(Decimal("1.25") * 1_000_000 / tokens, 12)
    before = self_hosted(store, "default", CostQuery(Window(T0 - 10 * NS, T0)), [price], ["gpt-4o-mini"])["items"][0]
    assert (before["gpu_hours"], before["usd_per_mtok"], before["models"]) == (0.0, None, [])


def test_one_project_never_sees_another(store: ColumnarStore) -> None:
    theirs = calls(20, 8)
    assert Decimal(spend(store, "other", ALL)["total"]["cost_usd"]) == total(theirs)
    assert what_if(store, "other", ALL, ["gpt-4o"], OWN)["actual"]["requests"] == sum(e.usage.known for e in theirs)
    assert spend(store, "nobody", ALL, "user")["groups"] == []


@pytest.mark.parametrize(
    "bad",
    [
        {"name": ""}, {"q": " "}, {"q": "nope:1"}, {"gpu_count": Decimal(0)}, {"gpu_count": Decimal("NaN")},
        {"usd_per_gpu_hour": Decimal(-1)}, {"usd_per_gpu_hour": Decimal("1E-13")}, {"from_ns": 0}, {"until_ns": 5},
    ],
)  # fmt: skip
def test_a_gpu_price_that_cannot_be_meant_is_refused(bad: dict[str, object]) -> None:
    from dataclasses import replace

    from spanhouse_server.errors import BadRequest

    good = GpuPrice("", "default", "x", "model:m", Decimal(1), Decimal(1), from_ns=10)
    assert checked(good) == good
    with pytest.raises(BadRequest):
        checked(replace(good, **bad))
