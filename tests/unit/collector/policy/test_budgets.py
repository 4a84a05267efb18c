"""Budgets that the server keeps: who is asked about, what a refusal looks like, and what stands for a key."""

from __future__ import annotations

import time
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from spanhouse_collector.policy.budgets import ROLLING_WAIT_S, UsedBudget, refusal
from spanhouse_collector.policy.identity import KEY_ID_DIGITS, credential_id
from spanhouse_collector.proxy.answers import refusal as answer_for
from spanhouse_collector.proxy.cleaned import read_start


def used() -> UsedBudget:
    """Return a budget whose period ends in an hour."""
    return UsedBudget("teäm\r\nx", "ann", Decimal("10.5"), Decimal("10.504999"), int(time.time()) + 3600)


#: A path of each API, and where its clients look for the sentence.
APIS = {
    "/v1/chat/completions": ("error", "message"),
    "/v1/responses": ("error", "message"),
    "/v1/embeddings": ("error", "message"),
    "/v1/messages": ("error", "message"),
    "/v1beta/models/gemini-2.5-flash:generateContent": ("error", "message"),
    "/model/anthropic.claude/converse": ("message",),
    "/v2/chat": ("message",),
    "/api/chat": ("error",),
    "/some/new/api": ("error", "message"),
}


@pytest.mark.parametrize("path", APIS)
def test_the_sentence_is_where_the_clients_of_an_api_look(path: str) -> None:
    error = refusal(used(), "POST", path, "")
    assert (error.http_status, error.code) == (429, "budget_exceeded")
    found: Any = error.body
    for name in APIS[path]:
        found = found[name]
    assert "is used up: 10.50 of 10.5 USD are spent" in found
    assert "for 'ann'" in found
    answer = answer_for(error)
    headers = dict(answer.headers)
    assert answer.status == 429
    assert headers[b"spanhouse-error"] == b"budget_exceeded"
    assert headers[b"x-should-retry"] == b"false"
    assert 3500 < int(headers[b"retry-after"]) <= 3600
    assert int(headers[b"content-length"]) == len(answer.chunks[0])
    assert not any(b"\r" in value or b"\n" in value for value in headers.values())


def test_a_rolling_budget_names_no_renewal() -> None:
    used = UsedBudget("team", "", Decimal(1), Decimal(2), None)
    error = refusal(used, "POST", "/v1/chat/completions", "")
    assert "as it ages" in error.message
    assert ("Retry-After", str(ROLLING_WAIT_S)) in error.headers


def test_one_key_has_one_name_and_ours_the_servers() -> None:
    name = sha256(b"sk-sh-x").hexdigest()[:32]
    for own in ({"auth": "Bearer sk-sh-x"}, {"auth": "bearer  sk-sh-x "}, {"key": "sk-sh-x"}):
        assert credential_id(own, [(b"authorization", b"Bearer provider")], b"") == name
    provider = credential_id({}, [(b"authorization", b"Bearer provider"), (b"cookie", b"a")], b"")
    assert provider == credential_id({}, [(b"authorization", b"Bearer provider")], b"x=1") != name
    assert credential_id({}, [], b"key=AIza&x=1") == credential_id({}, [], b"x=2&key=AIza") != ""
    assert credential_id({}, [(b"cookie", b"a")], b"") == ""


def test_a_record_names_the_key_and_holds_nothing_of_it() -> None:
    value = {
        "call_id": "0" * 32, "provider": "openai", "url": b"https://api.openai.com/v1/x?key=sk-secret", "method": b"POST",
        "path": b"/v1/x", "query": b"key=sk-secret", "traceparent": b"", "project": "p", "reports": False,
        "headers": [(b"authorization", b"Bearer sk-secret"), (b"spanhouse-property-key_id", b"forged")],
        "own": {"property-key_id": "forged", "property-team": "core"},
    }  # fmt: skip
    start = read_start(1, value)
    expected = credential_id(value["own"], value["headers"], value["query"])[:KEY_ID_DIGITS]
    assert start.context.properties == {"team": "core", "key_id": expected}
    assert "sk-secret" not in repr(start)
    assert "key_id" not in read_start(1, value | {"headers": [], "own": {}, "query": b""}).context.properties
