"""Pools on the way of real calls: client, proxy, replicas, over real sockets."""

import asyncio
import time

import orjson

from tests.fakes.upstream import Reply, Upstream
from tests.unit.collector.policy.running import (
    CACHE,
    FAST,
    pool,
    running,
)
from tests.waiting import reached


async def test_a_pool_spreads_calls_and_survives_a_member_that_is_gone(tmp_path) -> None:
    async with Upstream(Reply(delay_s=0.1)) as one, Upstream(Reply(delay_s=0.1)) as two:
        members = [one.url + "/base", two.url, "http://127.0.0.1:1"]
        async with running(tmp_path, {}, pool(*members, consecutive_failures=1)) as proxy:
            answers = await asyncio.gather(*(proxy.ask("/llama/v1/chat/completions") for _ in range(12)))
            assert {answer.status for answer in answers} == {200}
            assert min(len(one.requests), len(two.requests)) >= 5
            assert {request.target for request in one.requests} == {"/base/v1/chat/completions"}
            assert {request.target for request in two.requests} == {"/v1/chat/completions"}
            states = {item.url: item for item in proxy.engine.pools["llama"].pool.states()}
            assert states["http://127.0.0.1:1"].state == "ejected"
            assert {item.in_flight for item in states.values()} == {0}
            assert states[two.url].latency_ms >= 90


async def test_sessions_stay_on_their_replica(tmp_path) -> None:
    async with (
        Upstream() as one,
        Upstream() as two,
        running(tmp_path, {}, pool(one.url, two.url, strategy="session-affinity")) as proxy,
    ):
        for number in range(24):
            await proxy.ask("/llama/v1/chat/completions", session_id=f"s{number % 6}")
        homes = [{request.headers["session-id"] for request in each.requests} for each in (one, two)]
        assert not homes[0] & homes[1]
        assert len(homes[0] | homes[1]) == 6


async def test_a_retry_goes_to_another_replica(tmp_path) -> None:
    async with (
        Upstream(Reply(503)) as one,
        Upstream(Reply(503)) as two,
        Upstream(Reply(503)) as three,
        running(tmp_path, {}, pool(one.url, two.url, three.url)) as proxy,
    ):
        answer = await proxy.ask("/llama/v1/chat/completions", **FAST, Spanhouse_Retry_Num="2")
        assert answer.status == 503
        assert [len(each.requests) for each in (one, two, three)] == [1, 1, 1]


async def test_active_checks_take_a_dead_member_out_and_a_living_one_in(tmp_path) -> None:
    async with Upstream() as one:
        spare = Upstream()
        spare.port = 0
        async with spare:
            port = spare.port
        policy = pool(
            one.url, f"http://127.0.0.1:{port}", health_path="/health", interval_s=0.1, base_s=0.1, slow_start_s=0
        )
        async with running(tmp_path, {}, policy) as proxy:
            states = proxy.engine.pools["llama"].pool.states
            await reached(lambda: [item.state for item in states()] == ["healthy", "ejected"])
            assert "health check" in states()[1].reason
            async with spare:
                await reached(lambda: proxy.engine.pools["llama"].pool.members[1].health.available(time.monotonic()))
                for _ in range(20):
                    await proxy.ask("/llama/v1/chat/completions")
                assert spare.requests


async def test_draining_finishes_what_is_under_way(tmp_path) -> None:
    async with (
        Upstream(Reply(delay_s=0.3)) as one,
        Upstream() as two,
        running(tmp_path, {}, pool(one.url, two.url, strategy="round-robin")) as proxy,
    ):
        first = asyncio.create_task(proxy.ask("/llama/v1/chat/completions"))
        await reached(lambda: one.open)
        draining = asyncio.create_task(proxy.engine.pools["llama"].pool.drain(one.url, 5))
        await asyncio.sleep(0)
        assert [(await proxy.ask("/llama/v1/chat/completions")).status for _ in range(4)] == [200] * 4
        assert len(two.requests) == 4
        assert await draining
        assert (await first).status == 200


async def test_metrics_tell_how_policies_stand(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {}, CACHE | pool(upstream.url)) as proxy:
        ask = {"Spanhouse_Cache_Enabled": "true", "Spanhouse_RateLimit_Policy": "1;w=60"}
        await proxy.ask("/llama/v1/chat/completions", **ask)
        await proxy.ask("/llama/v1/chat/completions", **ask)
        await proxy.ask("/llama/v1/chat/completions", body=b"{}", **ask)
        text = proxy.metrics()
        for line in (
            "spanhouse_proxy_limited_total 1.0",
            'spanhouse_proxy_cache_lookups_total{result="hit"} 1.0',
            f'spanhouse_proxy_pool_up{{member="{upstream.url}",pool="llama"}} 1.0',
            f'spanhouse_proxy_pool_in_flight{{member="{upstream.url}",pool="llama"}} 0.0',
            f'spanhouse_proxy_pool_calls_total{{member="{upstream.url}",pool="llama"}} 1.0',
        ):
            assert line in text, text


async def test_an_operator_drains_a_member_and_takes_it_back(tmp_path) -> None:
    async with (
        Upstream(Reply(delay_s=0.3)) as one,
        Upstream() as two,
        running(tmp_path, {}, pool(one.url, two.url, strategy="round-robin")) as proxy,
    ):
        key = {"Spanhouse_Key": "operator"}

        async def states(path: str = "", body: bytes | None = b"") -> dict[str, dict[str, object]]:
            answer = await proxy.ask(f"/-/pools{path}", body, **key)
            assert answer.status == 200, answer.body
            return {item["url"]: item for item in orjson.loads(answer.body)["pools"]["llama"]}

        under_way = [asyncio.create_task(proxy.ask("/llama/v1/chat/completions")) for _ in range(2)]
        await reached(lambda: one.open)
        drained = await states(f"/llama/drain?member={one.url}")
        assert (drained[one.url]["state"], drained[one.url]["in_flight"]) == ("draining", 1)
        for _ in range(4):
            await proxy.ask("/llama/v1/chat/completions")
        assert len(one.requests) == 1
        assert {(await task).status for task in under_way} == {200}
        assert (await states("", None))[one.url]["in_flight"] == 0
        assert (await states(f"/llama/undrain?member={one.url}"))[one.url]["state"] == "healthy"
        await proxy.ask("/llama/v1/chat/completions")
        await proxy.ask("/llama/v1/chat/completions")
        assert len(one.requests) == 2


async def test_only_an_operator_sees_pools_and_mistakes_are_told(tmp_path) -> None:
    async with Upstream() as one, running(tmp_path, {}, pool(one.url)) as proxy:
        assert (await proxy.ask("/-/pools", None)).status == 401
        for path, body in (
            ("/-/pools/llama/drain?member=http://10.9.9.9", b""),
            ("/-/pools/other/drain?member=" + one.url, b""),
            ("/-/pools/llama/drain", b""),
            ("/-/pools/llama/drain?member=" + one.url, None),
            ("/-/elsewhere", None),
        ):
            answer = await proxy.ask(path, body, Spanhouse_Key="operator")
            assert (answer.status, orjson.loads(answer.body)["error"]["code"]) == (404, "not_found"), path
        assert not one.requests
