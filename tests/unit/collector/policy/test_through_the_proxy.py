"""Cache, retries and fallbacks on the way of real calls: client, proxy, upstream, over real sockets."""

import asyncio
import time

import orjson

from tests.fakes.upstream import Reply, Upstream
from tests.unit.collector.policy.running import (
    CACHE,
    CHAT,
    FAST,
    SSE,
    USAGE,
    WEBSOCKET,
    attributes_of,
    chain,
    running,
)
from tests.waiting import reached

# Retries ------------------------------------------------------------------------------------------


async def test_nothing_applies_unless_asked(tmp_path) -> None:
    async with Upstream(Reply(503), Reply()) as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        answer = await proxy.ask()
        assert answer.status == 503
        assert len(upstream.requests) == 1
        assert {name for name in answer.headers if name.lower().startswith("spanhouse-")} == {
            "spanhouse-call-id",
            "spanhouse-overhead-ms",
        }


async def test_retries_until_an_answer_comes_and_tells_the_record(tmp_path) -> None:
    replies = [Reply(503), Reply(refuse=True), Reply(429, [("retry-after-ms", "30")]), Reply(chunks=[USAGE])]
    async with Upstream(*replies) as upstream, running(tmp_path, {"openai": upstream.url}, recorded=True) as proxy:
        began = time.monotonic()
        answer = await proxy.ask(**FAST)
        assert (answer.status, answer.body) == (200, USAGE)
        assert time.monotonic() - began >= 0.03
        assert [request.body for request in upstream.requests] == [CHAT] * 4
        assert not any(name.startswith(("spanhouse", "helicone")) for name in upstream.requests[3].headers)
        await reached(lambda: proxy.delivered)
        (span,) = attributes_of(proxy.delivered)
        assert 3 in span.values(), span


async def test_retries_end_and_the_last_answer_is_passed_on(tmp_path) -> None:
    async with (
        Upstream(Reply(500, chunks=[b"one"]), Reply(500, chunks=[b"two"])) as upstream,
        running(tmp_path, {"openai": upstream.url}) as proxy,
    ):
        answer = await proxy.ask(**FAST, Spanhouse_Retry_Num="1")
        assert (answer.status, answer.body) == (500, b"two")
        assert len(upstream.requests) == 2


async def test_what_began_is_never_tried_again(tmp_path) -> None:
    async with (
        Upstream(Reply(chunks=[b"begun"], break_off=True), Reply()) as upstream,
        running(tmp_path, {"openai": upstream.url}) as proxy,
    ):
        answer = await proxy.ask(**FAST)
        assert answer.broken
        assert len(upstream.requests) == 1


async def test_a_client_that_leaves_is_not_tried_for_again(tmp_path) -> None:
    async with Upstream(Reply(503), Reply()) as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        asking = asyncio.create_task(proxy.ask(Spanhouse_Retry_Enabled="true", Spanhouse_Retry_Min_Timeout="600"))
        await reached(lambda: upstream.requests)
        asking.cancel()
        await asyncio.sleep(0.7)
        assert len(upstream.requests) == 1


async def test_a_malformed_helper_is_left_out_with_a_warning(tmp_path) -> None:
    async with Upstream(Reply(503), Reply()) as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        answer = await proxy.ask(Spanhouse_Retry_Enabled="yes please")
        assert answer.status == 503
        assert "Spanhouse-Retry-Enabled" in answer.headers["Spanhouse-Policy-Warning"]


async def test_a_body_too_large_to_keep_goes_out_once_and_whole(tmp_path) -> None:
    large = b"x" * (17 * 1024 * 1024)
    async with Upstream(Reply(503), Reply()) as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        answer = await proxy.ask(body=large, **FAST)
        assert answer.status == 503
        assert "too large" in answer.headers["Spanhouse-Policy-Warning"]
        (request,) = upstream.requests
        assert request.body == large


# The cache ----------------------------------------------------------------------------------------


async def test_the_second_call_comes_from_the_cache_chunk_for_chunk(tmp_path) -> None:
    chunks = [b'data: {"a":1}\n\n', b"data: [DONE]\n\n"]
    async with (
        Upstream(Reply(headers=SSE, chunks=chunks)) as upstream,
        running(tmp_path, {"openai": upstream.url}, CACHE) as proxy,
    ):
        first = await proxy.ask(Spanhouse_Cache_Enabled="true")
        second = await proxy.ask(Spanhouse_Cache_Enabled="true")
        third = await proxy.ask()
        assert [answer.headers.get("Spanhouse-Cache") for answer in (first, second, third)] == ["MISS", "HIT", None]
        assert first.body == second.body == b"".join(chunks)
        assert second.headers["content-type"] == "text/event-stream"
        assert second.headers["age"] == "0"
        assert len(upstream.requests) == 2


async def test_no_tenant_and_no_other_key_gets_a_cached_answer(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url, "b": upstream.url}, CACHE) as proxy:
        ask = {"Spanhouse_Cache_Enabled": "true"}
        assert (await proxy.ask(**ask)).headers["Spanhouse-Cache"] == "MISS"
        assert (await proxy.ask(**ask, Spanhouse_Key="other")).headers["Spanhouse-Cache"] == "MISS"
        assert (await proxy.ask(**ask, authorization="Bearer stolen")).headers["Spanhouse-Cache"] == "MISS"
        assert (await proxy.ask("/b/v1/chat/completions", **ask)).headers["Spanhouse-Cache"] == "MISS"
        assert (await proxy.ask("/openai/v1/chat/completions?x", **ask)).headers["Spanhouse-Cache"] == "MISS"
        assert (await proxy.ask(**ask)).headers["Spanhouse-Cache"] == "HIT"


async def test_errors_and_broken_answers_are_not_cached(tmp_path) -> None:
    replies = [Reply(500), Reply(chunks=[b"half"], break_off=True), Reply(chunks=[b"whole"])]
    async with Upstream(*replies) as upstream, running(tmp_path, {"openai": upstream.url}, CACHE) as proxy:
        seen = [await proxy.ask(Spanhouse_Cache_Enabled="true") for _ in range(4)]
        assert [answer.headers["Spanhouse-Cache"] for answer in seen] == ["MISS", "MISS", "MISS", "HIT"]
        assert seen[3].body == b"whole"


async def test_what_a_fallback_answered_is_not_cached_for_what_was_asked(tmp_path) -> None:
    async with (
        Upstream(Reply(503), Reply(chunks=[b"first"])) as first,
        Upstream(Reply(chunks=[b"second"])) as second,
        running(tmp_path, {"openai": first.url, "other": second.url}, CACHE) as proxy,
    ):
        ask = chain({}, {"target-url": second.url}) | {"Spanhouse_Cache_Enabled": "true"}
        seen = [await proxy.ask(**ask) for _ in range(3)]
        assert [answer.body for answer in seen] == [b"second", b"first", b"first"]
        assert [answer.headers["Spanhouse-Cache"] for answer in seen] == ["MISS", "MISS", "HIT"]


async def test_an_upgrade_is_never_answered_from_the_cache(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}, CACHE) as proxy:
        ask = {"Spanhouse_Cache_Enabled": "true", "Spanhouse_RateLimit_Policy": "2;w=60"}
        answers = [
            await proxy.ask("/openai/v1/models", body=None, **ask, **headers)
            for headers in ({}, {}, WEBSOCKET, WEBSOCKET)
        ]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert len(upstream.requests) == 2


async def test_without_a_cache_the_header_is_answered_by_a_warning(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        answer = await proxy.ask(Spanhouse_Cache_Enabled="true")
        assert answer.status == 200
        assert "no response cache" in answer.headers["Spanhouse-Policy-Warning"]


async def test_the_operator_may_switch_policies_on_for_a_project(tmp_path) -> None:
    policy = CACHE | {"defaults": [{"projects": ["team"], "headers": {"Cache-Enabled": "true"}}]}
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}, policy) as proxy:
        assert "Spanhouse-Cache" not in (await proxy.ask()).headers
        assert (await proxy.ask(Spanhouse_Key="team")).headers["Spanhouse-Cache"] == "MISS"
        assert (await proxy.ask(Spanhouse_Key="team")).headers["Spanhouse-Cache"] == "HIT"
        off = await proxy.ask(Spanhouse_Key="team", Spanhouse_Cache_Enabled="false")
        assert "Spanhouse-Cache" not in off.headers


# Fallbacks ----------------------------------------------------------------------------------------


async def test_a_fallback_answers_and_gets_nothing_of_the_callers_secrets(tmp_path) -> None:
    async with (
        Upstream(Reply(529)) as first,
        Upstream(Reply(chunks=[b"second"])) as second,
        running(tmp_path, {"openai": first.url, "other": second.url}, recorded=True) as proxy,
    ):
        answer = await proxy.ask(
            "/openai/v1/chat/completions?key=caller-secret&alt=sse",
            x_custom_auth="caller-secret",
            cookie="caller-secret",
            **chain(
                {}, {"target-url": second.url, "headers": {"x-api-key": "mine"}, "bodyKeyOverride": {"model": "b"}}
            ),
        )
        assert (answer.status, answer.body) == (200, b"second")
        assert answer.headers["Spanhouse-Fallback-Index"] == "1"
        (request,) = second.requests
        assert request.target == "/v1/chat/completions?alt=sse"
        assert request.headers["host"] == f"127.0.0.1:{second.port}"
        assert request.headers["x-api-key"] == "mine"
        assert "caller" not in repr(request)
        assert orjson.loads(request.body)["model"] == "b"
        assert first.requests[0].headers["authorization"] == "Bearer sk-caller"
        await reached(lambda: proxy.delivered)
        (span,) = attributes_of(proxy.delivered)
        assert second.port in span.values(), "the record names who answered"


async def test_codes_decide_and_the_last_answer_is_passed_on(tmp_path) -> None:
    async with (
        Upstream(Reply(404)) as first,
        Upstream(Reply(500)) as second,
        running(tmp_path, {"openai": first.url, "other": second.url}) as proxy,
    ):
        target = {"target-url": second.url}
        assert (await proxy.ask(**chain({"onCodes": [500]}, target))).status == 404
        answer = await proxy.ask(**chain({"onCodes": [{"from": 400, "to": 404}]}, target))
        assert (answer.status, answer.headers["Spanhouse-Fallback-Index"]) == (500, "1")


async def test_an_upstream_that_is_gone_falls_back(tmp_path) -> None:
    async with (
        Upstream() as second,
        running(tmp_path, {"openai": "http://127.0.0.1:1", "other": second.url}) as proxy,
    ):
        assert (await proxy.ask(**chain({}, {"target-url": second.url}))).status == 200


async def test_no_target_gets_around_the_address_guard(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        for url in ("http://169.254.169.254", "http://127.0.0.1:9", "https://evil.example", "http://[::1]"):
            answer = await proxy.ask(**chain({}, {"target-url": url}))
            assert answer.status == 403, url
            assert orjson.loads(answer.body)["error"]["code"] == "forbidden_target"
        assert not upstream.requests
