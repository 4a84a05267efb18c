"""Before a call and after it: the proxy's answer about a filter, and the store's, are the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from spanhouse_server.derive.budgets.callers import Caller, can_enforce, condition_of, fits, values_of
from spanhouse_server.derive.budgets.rules import quoted, shorthand
from spanhouse_server.model.budgets import Budget
from spanhouse_server.query.compile import select_rows
from spanhouse_server.query.filter import parse_filter
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import Keeper, columnar, span

USERS = ("", "ann", "Anna", "a%b_c", 'q"u\\x')
TAGS = ((), ("x",), ("x", "y z"))
TEAMS = ({}, {"team": "core"}, {"team": "Core-2", "key_id": "0a"})
CALLERS = [
    Caller("default", user, f"s-{user}", "prod", tags=tags, metadata=team)
    for user, tags, team in product(USERS, TAGS, TEAMS)
]
FILTERS = [
    "", "user:ann", "user:ann,Anna", "user:a*", "user:*", "user:*n*", 'user:""', "-user:ann", "user!=ann", "user~AN",
    "user:a%*", "user:a*_c", 'user:"a%b_c"', f"user:{quoted(USERS[4])}", "tag:x", "tag:x,z", 'tag:"y z"', "tag:y*", "tag:*",
    "-tag:x", 'tag:""', "metadata.team:core", "metadata.team~core", "metadata.team:*", "-metadata.team:core",
    "metadata.key_id:0a OR user:ann", "(user:ann OR tag:x) -metadata.team:core", "session:s-*n", "environment:prod",
    "NOT (user:ann AND tag:x)", "environment:test", "tag~Y",
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("callers")) as opened:
        Keeper(opened).put(
            *(
                span(f"t{number}", "chat", category="llm", user_id=each.user_id, session_id=each.session_id,
                     environment=each.environment, tags=list(each.tags), metadata=dict(each.metadata), tokens=(1, 1))
                for number, each in enumerate(CALLERS)
            )
        )  # fmt: skip
        yield opened


@pytest.mark.parametrize("q", FILTERS)
def test_the_proxy_and_the_store_mean_the_same_calls(store: ColumnarStore, q: str) -> None:
    node = parse_filter(q)
    assert can_enforce(Budget("b", "default", "n", Decimal(1), q=q))
    selected = select_rows("spans", "default", Window(), q)
    rows = store.select(
        f"SELECT user_id, tags, metadata FROM span_index FINAL WHERE {selected.where}", selected.parameters
    )
    found = sorted((row["user_id"], row["tags"], sorted(row["metadata"].items())) for row in rows)
    expected = sorted(
        (each.user_id, list(each.tags), sorted(each.metadata.items())) for each in CALLERS if fits(node, each)
    )
    assert found == expected


def holds(condition: dict[str, Any] | None, caller: Caller) -> bool:
    """Judge a condition by what its documentation says of it, as a proxy elsewhere would."""
    if condition is None:
        return True
    if "all" in condition:
        return all(holds(part, caller) for part in condition["all"])
    if "any" in condition:
        return any(holds(part, caller) for part in condition["any"])
    if "not" in condition:
        return not holds(condition["not"], caller)
    values = list(caller.values(condition["field"], condition["key"]))
    for wanted in condition["values"]:
        if condition["test"] == "like":
            pattern = ".*".join(re.escape(part) for part in wanted)
            if wanted == ["", ""]:
                pattern = ".+"
            if any(re.fullmatch(pattern, value, re.DOTALL) for value in values):
                return True
        elif condition["test"] == "contains":
            if any(wanted.casefold() in value.casefold() for value in values):
                return True
        elif wanted in values or (condition["field"] == "tag" and wanted == "" and not values):
            return True
    return False


@pytest.mark.parametrize("q", FILTERS)
def test_conditions_say_what_filters_mean(q: str) -> None:
    node = parse_filter(q)
    condition = json.loads(json.dumps(condition_of(node)))
    assert [holds(condition, each) for each in CALLERS] == [fits(node, each) for each in CALLERS]


@pytest.mark.parametrize(
    ("q", "per"),
    [("model:x", ""), ("refund", ""), ("has:error", ""), ("cost>1", ""), ("metadata.n>5", ""), ("", "model"),
     ("score.x:1", ""), ("user:ann OR model:x", ""), ("-status:error", ""), ("attribute.x:1", ""), ("tag:x", "host")],
)  # fmt: skip
def test_what_only_the_answer_tells_cannot_be_enforced(q: str, per: str) -> None:
    assert not can_enforce(Budget("b", "default", "n", Decimal(1), q=q, per=per))


def test_values_of_a_callers_field() -> None:
    caller = Caller("p", "ann", tags=("x", "y"), metadata={"team": "core"})

    def of(per: str) -> list[str]:
        return list(values_of(Budget("b", "p", "n", Decimal(1), per=per), caller))

    assert (of(""), of("user"), of("tag"), of("metadata.team"), of("metadata.no")) == (
        [""],
        ["ann"],
        ["x", "y"],
        ["core"],
        [""],
    )
    assert list(values_of(Budget("b", "p", "n", Decimal(1), per="tag"), Caller("p"))) == [""]


@pytest.mark.parametrize("value", USERS[1:])
def test_shorthands_read_back_as_meant(value: str) -> None:
    node = parse_filter(shorthand("environment:prod OR environment:x", user=value, tag=value))
    assert fits(node, Caller("p", value, environment="prod", tags=(value,)))
    assert not fits(node, Caller("p", value, environment="test", tags=(value,)))
    assert not fits(node, Caller("p", value + "x", environment="prod", tags=(value,)))
    assert shorthand("") == ""
