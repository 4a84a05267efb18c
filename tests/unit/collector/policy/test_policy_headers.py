"""The policy headers: what is read, what is refused, what is left out with a warning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.policy.errors import MalformedPolicy
from spanhouse_collector.policy.headers import NOTHING, POLICY_HEADERS, CacheAsk, read_policy
from spanhouse_collector.policy.retry import RetryAsk


def ask(**headers: str):
    return read_policy([(f"Spanhouse-{name.replace('_', '-')}", value) for name, value in headers.items()])


def test_a_call_without_policy_headers_asks_for_nothing() -> None:
    assert read_policy([("content-type", "application/json"), ("spanhouse-user-id", "u")]) is NOTHING


def test_cache_headers() -> None:
    asked = ask(
        Cache_Enabled="TRUE", Cache_Bucket_Max_Size="3", Cache_Seed="s", Cache_Control="max-age=60, private",
        Cache_Ignore_Keys="user, metadata",
    )  # fmt: skip
    assert asked.cache == CacheAsk(True, True, 3, "s", 60, ("metadata", "user"))
    assert not asked.warnings
    assert asked.needs_body


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Cache_Read": "true"}, (True, False)),
        ({"Cache_Save": "true"}, (False, True)),
        ({"Cache_Enabled": "true", "Cache_Save": "false"}, (True, False)),
        ({"Cache_Enabled": "true", "Cache_Control": "no-cache"}, (False, True)),
        ({"Cache_Enabled": "true", "Cache_Control": "no-store"}, None),
        ({"Cache_Enabled": "false", "Cache_Read": "true"}, None),
        ({"Cache_Seed": "x"}, None),
    ],
)
def test_reading_and_saving_are_apart(headers, expected) -> None:
    cache = ask(**headers).cache
    assert (cache and (cache.read, cache.save)) == expected


def test_ttl_is_capped_at_a_year() -> None:
    assert ask(Cache_Enabled="true", Cache_Control="max-age=99999999999").cache.ttl_s == 365 * 86_400


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"Cache_Enabled": "1"}, "Spanhouse-Cache-Enabled"),
        ({"Cache_Enabled": "true", "Cache_Bucket_Max_Size": "21"}, "Spanhouse-Cache-Bucket-Max-Size"),
        ({"Cache_Enabled": "true", "Cache_Control": "max-age=soon"}, "Spanhouse-Cache-Control"),
        ({"Retry_Enabled": "yes"}, "Spanhouse-Retry-Enabled"),
        ({"Retry_Enabled": "true", "Retry_Num": "-1"}, "Spanhouse-Retry-Num"),
        ({"Retry_Enabled": "true", "Retry_Factor": "nan"}, "Spanhouse-Retry-Factor"),
        ({"Fallbacks": "[{"}, "Spanhouse-Fallbacks"),
        ({"Fallbacks": '[{"target-url":"file:///etc"}]'}, "Spanhouse-Fallbacks"),
    ],
)
def test_what_only_helps_is_left_out_with_a_warning(headers, named) -> None:
    asked = ask(**headers)
    assert (asked.cache, asked.retry, asked.fallbacks) == (None, None, ())
    assert len(asked.warnings) == 1
    assert named in asked.warnings[0]


def test_one_bad_policy_leaves_the_others_standing() -> None:
    asked = ask(Cache_Enabled="maybe", Retry_Enabled="true", Retry_Num="2")
    assert asked.cache is None
    assert asked.retry == RetryAsk(2, 2.0, 1_000, 10_000)


@pytest.mark.parametrize(
    "value",
    ["", "10", "10;w=0", "10;w=60;u=euro", "10;w=60;s=", "10;w=60;w=70", "1.5;w=60", "10;w=60;x=1", "-1;w=60",
     "10;w=99999999", "1e3;w=60", "10;w=60,", "١٠;w=60", "10 ; w = 60"],
)  # fmt: skip
def test_a_bad_limit_fails_closed_and_names_the_header(value) -> None:
    with pytest.raises(MalformedPolicy) as caught:
        ask(RateLimit_Policy=value)
    assert caught.value.http_status == 400
    assert "Spanhouse-RateLimit-Policy" in caught.value.message
    assert "w=seconds" in caught.value.hint


def test_limits_of_several_headers_all_count() -> None:
    asked = read_policy([
        ("spanhouse-ratelimit-policy", "1000;w=3600, 250.5;w=86400;u=cents;s=user"),
        ("spanhouse-ratelimit-policy", "5;w=60;u=tokens;s=App"),
    ])  # fmt: skip
    assert [str(limit) for limit in asked.limits] == [
        "1000;w=3600",
        "250.5;w=86400;u=cents;s=user",
        "5;w=60;u=tokens;s=App",
    ]


def test_aliases_yield_to_our_names() -> None:
    asked = read_policy([
        ("helicone-cache-enabled", "true"), ("HELICONE-RETRY-ENABLED", "true"), ("spanhouse-cache-enabled", "false"),
    ])  # fmt: skip
    assert asked.cache is None
    assert asked.retry is not None


def test_two_different_values_are_malformed() -> None:
    asked = read_policy([("spanhouse-cache-enabled", "true"), ("spanhouse-cache-enabled", "false")])
    assert asked.cache is None
    assert "different values" in asked.warnings[0]


helpful = sorted(POLICY_HEADERS - {"ratelimit-policy"})


@given(st.lists(st.tuples(st.sampled_from(helpful), st.text(max_size=40)), max_size=6))
def test_what_only_helps_never_fails(headers) -> None:
    asked = read_policy([(f"spanhouse-{name}", value) for name, value in headers])
    assert asked.cache is None or 1 <= asked.cache.buckets <= 20
    assert asked.retry is None or 1 <= asked.retry.retries <= 10


@given(st.text(max_size=40))
def test_a_limit_is_read_or_refused_by_name(value) -> None:
    try:
        limits = read_policy([("spanhouse-ratelimit-policy", value)]).limits
    except MalformedPolicy as error:
        message = error.message
    else:
        assert limits
        return
    assert "Spanhouse-RateLimit-Policy" in message
