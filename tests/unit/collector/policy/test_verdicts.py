"""Budgets of a server, judged by a proxy elsewhere: the same calls as the server itself would refuse."""

from __future__ import annotations

import re
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.parse.contract import CallContext
from spanhouse_collector.policy import remote_budgets
from spanhouse_collector.policy.remote_budgets import RemoteBudgets
from spanhouse_collector.policy.verdicts import Caller, read_verdicts
from spanhouse_collector.proxy.endpoint import Endpoint
from spanhouse_server.derive.budgets import callers as server
from spanhouse_server.query.filter import parse_filter

FUTURE, PAST = "2200-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
WORDS = ("", "ann", "Ann", "bob", "core", "co", "e", "an*n")
FILTERS = [
    "",
    "user:ann",
    "user!=ann",
    "user:a*",
    "user:*n",
    "user:a*n*",
    "user:*",
    "-user:*",
    "user:ann,bob,c*",
    "user~AN",
    "tag:core",
    'tag:""',
    "tag:co*",
    "tag:*",
    "metadata.team:core",
    "metadata.key_id:ann",
    'session:"" AND (environment:ann OR prompt~o)',
    "NOT (tag:core OR user:bob) prompt_version:*",
]


def reply(*items: dict[str, Any], **more: Any) -> bytes:
    return orjson.dumps({"read_at": FUTURE, "refresh_s": 3, "truncated": False, "items": items} | more)


def item(**more: Any) -> dict[str, Any]:
    given = {"id": "b", "name": "team", "limit_usd": "5", "resets_at": None, "condition": None, "per": None}
    return given | {"closed": [{"value": "", "used_usd": "5.25"}]} | more


def context(user: str = "", tags: tuple[str, ...] = (), team: str = "", other: str = "") -> CallContext:
    return CallContext(
        user_id=user,
        tags=tags,
        properties={"team": team},
        session_id=other,
        environment=other,
        prompt_name=other,
        prompt_version=other,
    )


@given(
    st.sampled_from(FILTERS),
    st.sampled_from(WORDS),
    st.lists(st.sampled_from(WORDS[1:]), max_size=3),
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.sampled_from(["", "user", "tag", "metadata.team"]),
)
def test_the_same_calls_as_on_the_server(q: str, user: str, tags: list[str], team: str, other: str, per: str) -> None:
    said = context(user, tuple(tags), team, other)
    node, budget = parse_filter(q), SimpleNamespace(per=per)
    caller = server.Caller("p", user, other, other, other, other, said.tags, {**said.properties, "key_id": "ann"})
    shares = server.values_of(budget, caller)  # type: ignore[arg-type]
    closed = [{"value": "ann", "used_usd": "6"}, {"value": "", "used_usd": "7"}]
    hit = next((value for value in shares if value in ("ann", "")), None) if server.fits(node, caller) else None
    body = reply(item(condition=server.condition_of(node), per=server.share_of(budget), closed=closed))  # type: ignore[arg-type]
    (verdict,) = read_verdicts(body).closed
    used = verdict.on(Caller(said, "ann"), 0.0)
    assert (used and used.value) == hit


@given(st.text("ab%_é", max_size=4), st.text("ab%_é*", max_size=6))
def test_wildcards_mean_the_same_on_both_sides(value: str, rest: str) -> None:
    # Each side has its own matching: neither package may need the other.
    pattern = "*" + rest
    node = parse_filter(f"user:{pattern}")
    (verdict,) = read_verdicts(reply(item(condition=server.condition_of(node)))).closed
    matches = server.fits(node, server.Caller("p", value))
    assert (verdict.on(Caller(context(value), ""), 0.0) is not None) == matches
    if pattern.strip("*"):  # a lone star means any value but none
        wanted = ".*".join(map(re.escape, pattern.split("*")))
        assert matches == (re.fullmatch(wanted, value) is not None)


def test_what_is_told_and_when_it_ends() -> None:
    (verdict,) = read_verdicts(reply(item(resets_at=FUTURE))).closed
    used = verdict.on(Caller(context(), ""), 0.0)
    assert used is not None
    assert (used.name, used.limit_usd, used.used_usd, used.until_s) == ("team", Decimal(5), Decimal("5.25"), 7258118400)
    assert verdict.on(Caller(context(), ""), 7258118400.0) is None


@pytest.mark.parametrize(
    "more",
    [
        {"condition": {"field": "model", "key": "", "test": "is", "values": ["x"]}},
        {"condition": {"field": "user", "key": "", "test": "sounds", "values": ["x"]}},
        {"condition": {"field": "user", "key": "", "test": "is", "values": [1]}},
        {"condition": {"field": "user", "key": "", "test": "like", "values": [[]]}},
        {"condition": []},
        {"condition": "all"},
        {"per": {"field": "model", "key": ""}},
        {"limit_usd": "much"},
        {"closed": [{"value": None, "used_usd": "1"}]},
        {"resets_at": "soon"},
    ],
)
def test_a_budget_that_is_not_understood_is_left_out_and_named(more: dict[str, Any]) -> None:
    found = read_verdicts(reply(item(name="odd", **more) if "name" not in more else item(**more), item()))
    assert ([each.name for each in found.closed], found.strange) == (["team"], ("odd",))


def test_a_condition_without_end_is_not_followed() -> None:
    nested: Any = None
    for _ in range(100):
        nested = {"not": nested}
    assert read_verdicts(reply(item(condition=nested))).strange == ("team",)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["items", "refresh_s", "name", "condition", "per", "closed", "all", "any", "not", "field", "values", "test"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(JSON_VALUES)
def test_whatever_a_server_says_is_read_or_refused(value: Any) -> None:
    for body in (orjson.dumps(value), reply(value), reply(item(condition=value)), reply(item(closed=value, per=value))):
        try:
            found = read_verdicts(body)
        except ValueError:
            continue
        for each in found.closed:
            told = each.on(Caller(context("ann", ("x",)), "k"), 0.0)
            assert told is None or told.used_usd in each.used_usd.values()


class Budgeteer:
    """A server whose answer to the question for verdicts may be changed."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, reply())
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["authorization"]))
                status, body = outer.answer
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


def test_whatever_is_wrong_with_the_server_calls_pass_in_the_end() -> None:
    now = [0.0]
    house = Budgeteer()
    endpoint = Endpoint.parse(f"http://127.0.0.1:{house.http.server_port}/below/v1/traces")
    budgets = RemoteBudgets(endpoint, {"authorization": "Bearer key"}, lambda: now[0])

    def refused() -> bool:
        return budgets.watches("") and budgets.used_up("", context("ann"), "k") is not None

    try:
        assert not refused()
        assert budgets.refresh() == 3.0
        assert house.asked == [("/below/api/v1/budgets/verdicts", "Bearer key")]
        house.answer = (200, reply(item(), refresh_s=9))
        assert budgets.refresh() == 9.0
        assert refused()
        for answer in ((503, b""), (200, b"<html>"), (200, reply()[:20]), (500, b"x" * 100)):
            house.answer = answer
            assert budgets.refresh() in remote_budgets.RETRY_S
            assert refused(), "the last answer holds"
        now[0] = remote_budgets.HOLD_S + 1
        assert not refused()
        house.answer = (200, reply(item()))
        budgets.refresh()
        assert refused()
        for status in (401, 404):
            house.answer = (status, b"")
            assert budgets.refresh() == remote_budgets.NONE_S
            assert not refused()
        house.answer = (200, reply(item()))
        budgets.refresh()
    finally:
        house.http.shutdown()
        house.http.server_close()
    assert budgets.refresh() in remote_budgets.RETRY_S
    assert refused()


@pytest.mark.parametrize(
    ("url", "path", "port"),
    [
        ("http://h", "/v1/traces", 4318),
        ("h:9", "/v1/traces", 9),
        ("https://h/otlp/", "/otlp/v1/traces", 443),
        ("http://h:1/x/v1/traces", "/x/v1/traces", 1),
    ],
)
def test_endpoints(url: str, path: str, port: int) -> None:
    endpoint = Endpoint.parse(url)
    assert (endpoint.traces_path, endpoint.port) == (path, port)
