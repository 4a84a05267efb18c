"""Fallbacks: what a chain is, when it goes on, and what another host never gets."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.policy.errors import MalformedPolicy
from spanhouse_collector.policy.fallback import CREDENTIALS, body_for, headers_for, parse_fallbacks, query_for

CHAIN = [
    {"target-url": "https://api.openai.com/", "headers": {"Authorization": "Bearer one"}, "onCodes": [{"from": 400, "to": 500}]},
    {"target-url": "https://api.lemonfox.ai", "headers": {"Authorization": "Bearer two"}, "onCodes": [401, 403],
     "bodyKeyOverride": {"model": "zephyr-chat"}},
    {},
]  # fmt: skip


def parse(value):
    return parse_fallbacks(orjson.dumps(value).decode(), "header X")


def test_helicones_example_is_read() -> None:
    first, second, base = parse(CHAIN)
    assert (first.url, second.url, base.url) == ("https://api.openai.com", "https://api.lemonfox.ai", None)
    assert [first.leaves_on(status) for status in (399, 400, 500, 501)] == [False, True, True, False]
    assert [second.leaves_on(status) for status in (401, 402, 403)] == [True, False, True]


def test_without_codes_overload_and_server_faults_go_on() -> None:
    (target,) = parse([{}])
    assert [status for status in range(100, 600) if target.leaves_on(status)] == [408, 429, *range(500, 600)]
    assert target.leaves_on(None)


def test_an_attempt_without_an_answer_always_goes_on() -> None:
    (target,) = parse([{"onCodes": []}])
    assert target.leaves_on(None)
    assert not target.leaves_on(500)


@pytest.mark.parametrize(
    "value",
    [
        {}, [], [1], [{}] * 9, [{"url": "https://x"}], [{"onCodes": [True]}], [{"onCodes": [99]}],
        [{"onCodes": [{"from": 500, "to": 400}]}], [{"onCodes": 500}], [{"target-url": "api.openai.com"}],
        [{"target-url": "https://user:pw@host"}], [{"target-url": "https://host\\@evil"}], [{"target-url": "https://h/?a=b"}],
        [{"target-url": "ftp://host"}], [{"target-url": "https://h:99999"}], [{"headers": {"Host": "evil"}}],
        [{"headers": {"a b": "x"}}], [{"headers": {"X": "a\r\nEvil: 1"}}], [{"headers": {"Spanhouse-Target-Url": "x"}}],
        [{"bodyKeyOverride": []}],
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(value) -> None:
    with pytest.raises(MalformedPolicy, match="header X"):
        parse(value)


def test_a_key_never_shows() -> None:
    assert "Bearer" not in repr(parse(CHAIN))
    with pytest.raises(MalformedPolicy) as caught:
        parse([{"headers": {"Authorization": "Bearer sekret\n"}}])
    assert "sekret" not in str(caught.value)


CALLER = [
    ("Authorization", "Bearer caller"), ("x-api-key", "caller"), ("Cookie", "c=1"), ("X-Unheard-Of-Auth", "caller"),
    ("Content-Type", "application/json"), ("anthropic-version", "2023-06-01"), ("traceparent", "00-a-b-01"),
]  # fmt: skip


def test_another_host_gets_no_credential_of_the_caller() -> None:
    (target,) = parse([{"target-url": "https://other.example", "headers": {"x-api-key": "mine"}}])
    sent = headers_for(target, CALLER, same_origin=False)
    assert sent == [*CALLER[4:], ("x-api-key", "mine")]


def test_the_same_host_gets_the_callers_headers() -> None:
    (target,) = parse([{}])
    assert headers_for(target, CALLER, same_origin=True) == CALLER


def test_a_target_with_a_key_of_its_own_gets_only_that_one() -> None:
    (target,) = parse([{"headers": {"authorization": "Bearer mine"}}])
    sent = headers_for(target, CALLER, same_origin=True)
    assert [value for name, value in sent if name.lower() in CREDENTIALS] == ["Bearer mine"]


def test_keys_in_the_query_stay_home() -> None:
    assert query_for("alt=sse&key=secret&Api-Key=x&a%20b", same_origin=False) == "alt=sse&a%20b"
    assert query_for("alt=sse&key=secret", same_origin=True) == "alt=sse&key=secret"


def test_the_body_is_overridden_key_by_key() -> None:
    target = parse(CHAIN)[1]
    assert orjson.loads(body_for(target, b'{"model":"gpt-4","n":1}', [])) == {"model": "zephyr-chat", "n": 1}
    assert body_for(target, b"\x28\xb5\x2f\xfd", [("Content-Encoding", "zstd")]) is None
    assert body_for(target, b"[1]", []) is None
    assert body_for(parse([{}])[0], b"\x00raw", [("content-encoding", "gzip")]) == b"\x00raw"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["target-url", "headers", "onCodes", "bodyKeyOverride", "from", "to", "x"]), inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip


@given(json_values)
def test_any_json_is_read_or_refused(value) -> None:
    try:
        targets = parse_fallbacks(__import__("json").dumps(value), "header X")
    except MalformedPolicy:
        return
    assert all(100 <= low <= high <= 599 for target in targets for low, high in target.codes)
