"""Limits and stored keys on the way of real calls: client, proxy, upstream, over real sockets."""

import asyncio
import sqlite3
import time

import orjson

from spanhouse_collector.policy.engine import open_vault
from spanhouse_collector.policy.usage_file import UsageFile
from spanhouse_collector.policy.windows import SLOTS
from tests.fakes.upstream import Reply, Upstream
from tests.unit.collector.policy.running import (
    CACHE,
    REAL,
    USAGE,
    WEBSOCKET,
    attributes_of,
    chain,
    running,
)
from tests.waiting import reached

# Limits -------------------------------------------------------------------------------------------


async def test_a_limit_answers_429_with_the_standard_headers(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        limit = {"Spanhouse_RateLimit_Policy": "2;w=60;s=user", "Spanhouse_User_Id": "ann"}
        answers = [await proxy.ask(**limit) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[0].headers["Spanhouse-RateLimit"].startswith("2;w=60;s=user;remaining=1;reset=")
        refused = answers[2]
        assert 1 <= int(refused.headers["Retry-After"]) <= 62
        assert refused.headers["RateLimit-Limit"] == "2"
        assert refused.headers["RateLimit"].startswith('"requests-60-user";r=0;t=')
        assert orjson.loads(refused.body)["error"]["code"] == "rate_limited"
        assert (await proxy.ask(**limit | {"Spanhouse_User_Id": "bob"})).status == 200
        assert len(upstream.requests) == 3


async def test_a_malformed_limit_is_a_400_and_nothing_goes_out(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        for headers in (
            {"Spanhouse_RateLimit_Policy": "lots"},
            {"Helicone_RateLimit_Policy": "1;w=x"},
            {"Spanhouse_RateLimit_Policy": "5;w=60;s=user"},
        ):
            answer = await proxy.ask(**headers)
            assert answer.status == 400
            assert orjson.loads(answer.body)["error"]["code"] == "malformed_policy"
        assert not upstream.requests


async def test_budgets_in_tokens_and_money_are_charged_from_the_record(tmp_path) -> None:
    policy = {
        "limits": [{"limit": "1;w=3600;u=cents", "projects": ["poor"]}, {"limit": "2000;w=3600;u=tokens", "projects": ["terse"]}],
        "prices": {"gpt-4o-2024-08-06": {"input": 2.5, "output": 10}},
    }  # fmt: skip
    async with (
        Upstream(Reply(chunks=[USAGE])) as upstream,
        running(tmp_path, {"openai": upstream.url}, policy, recorded=True) as proxy,
    ):
        for project, used in (("poor", 12_500_000), ("terse", 2000)):
            assert (await proxy.ask(Spanhouse_Key=project)).status == 200
            windows = proxy.engine.meter._windows
            await reached(lambda wanted=used: wanted in [window.used for window in windows.values()])  # noqa: B023
            answer = await proxy.ask(Spanhouse_Key=project)
            assert answer.status == 429
        assert (await proxy.ask()).status == 200
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}, policy, recorded=True) as proxy:
        assert (await proxy.ask(Spanhouse_Key="poor")).status == 429, "the budget outlives the process"


async def test_no_fallback_gets_around_a_providers_limit(tmp_path) -> None:
    policy = {"limits": [{"limit": "1;w=60", "providers": ["dear"]}]}
    async with (
        Upstream() as one,
        Upstream() as dear,
        running(tmp_path, {"cheap": one.url, "dear": dear.url}, policy) as proxy,
    ):
        for expected in (200, 429):
            answer = await proxy.ask("/cheap/v1/chat/completions", **chain({"target-url": dear.url}))
            assert answer.status == expected
        assert (await proxy.ask("/cheap/v1/chat/completions")).status == 200
        assert (await proxy.ask("/cheap/v1/x", Spanhouse_Target_Url=dear.url)).status == 429


async def test_a_hit_in_the_cache_costs_nothing(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}, CACHE) as proxy:
        ask = {"Spanhouse_RateLimit_Policy": "1;w=60", "Spanhouse_Cache_Enabled": "true"}
        assert [(await proxy.ask(**ask)).status for _ in range(3)] == [200, 200, 200]
        assert (await proxy.ask(body=b"{}", **ask)).status == 429


async def test_limits_per_key_count_each_credential_apart(tmp_path) -> None:
    policy = {"limits": [{"limit": "1;w=60;s=key"}]}
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}, policy) as proxy:
        assert [(await proxy.ask()).status for _ in range(2)] == [200, 429]
        assert (await proxy.ask(authorization="Bearer other")).status == 200
        assert [(await proxy.ask("/openai/v1/models?key=k", body=None, authorization="")).status for _ in range(2)] == [
            200,
            429,
        ]
        assert (await proxy.ask(authorization="")).status == 400
        assert b"Bearer" not in (tmp_path / "usage.db").read_bytes()


async def test_a_fault_in_a_policy_refuses_only_what_it_guards(tmp_path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}, CACHE) as proxy:
        monkeypatch.setattr("spanhouse_collector.policy.applied.cache_key", broken)
        assert (await proxy.ask(Spanhouse_Cache_Enabled="true")).status == 200
        refused = await proxy.ask(Spanhouse_Cache_Enabled="true", Spanhouse_RateLimit_Policy="5;w=60")
        assert refused.status == 503
        assert orjson.loads(refused.body)["error"]["code"] == "policy_failed"
        assert len(upstream.requests) == 1


# Stored keys --------------------------------------------------------------------------------------


async def test_a_stored_key_is_swapped_for_its_host_only(tmp_path) -> None:
    async with Upstream() as home, Upstream() as other:
        vault = open_vault(tmp_path)
        virtual, stored = vault.add("default", "team", REAL, [home.url])
        async with running(tmp_path, {"openai": home.url, "other": other.url}, recorded=True) as proxy:
            assert (await proxy.ask(authorization=f"Bearer {virtual}")).status == 200
            assert (await proxy.ask(authorization="", x_api_key=virtual)).status == 200
            assert (await proxy.ask(f"/openai/v1/models?key={virtual}", body=None)).status == 200
            assert [request.headers.get("authorization") for request in home.requests] == [
                f"Bearer {REAL}",
                "",
                "Bearer sk-caller",
            ]
            assert home.requests[1].headers["x-api-key"] == REAL
            assert home.requests[2].target == f"/v1/models?key={REAL}"

            for path, headers, status in (
                ("/other/v1/chat/completions", {"authorization": f"Bearer {virtual}"}, 403),
                ("/openai/v1/chat/completions", {"authorization": f"Bearer {virtual}x"}, 401),
                (
                    "/openai/v1/chat/completions",
                    {"authorization": f"Bearer {virtual}", "Spanhouse_Key": "mallory"},
                    401,
                ),
                ("/openai/v1/chat/completions", {"x_api_key": f"{virtual},{virtual}"}, 401),
                (
                    "/openai/v1/chat/completions",
                    {"Spanhouse_Target_Url": other.url, "authorization": f"Bearer {virtual}"},
                    403,
                ),
            ):
                answer = await proxy.ask(path, **headers)
                assert answer.status == status, (path, headers, answer.body)
            assert not other.requests
            assert len(home.requests) == 3
            assert vault.revoke(stored.key_id, "default")
            assert (await proxy.ask(authorization=f"Bearer {virtual}")).status == 401
            await reached(lambda: len(attributes_of(proxy.delivered)) >= 9)
            assert REAL.encode() not in b"".join(proxy.delivered)
            assert virtual.encode() not in b"".join(proxy.delivered)
        vault.close()


async def test_a_stored_key_does_not_follow_a_fallback(tmp_path) -> None:
    async with Upstream(Reply(500)) as home, Upstream() as other:
        vault = open_vault(tmp_path)
        virtual, _ = vault.add("default", "team", REAL, [home.url])
        vault.close()
        async with running(tmp_path, {"openai": home.url, "other": other.url}) as proxy:
            answer = await proxy.ask(
                authorization=f"Bearer {virtual}",
                **chain({}, {"target-url": other.url, "headers": {"authorization": f"Bearer {virtual}"}}),
            )
            assert answer.status == 500
            assert "left out" in answer.headers["Spanhouse-Policy-Warning"]
            assert not other.requests
            answer = await proxy.ask(authorization=f"Bearer {virtual}", **chain({}, {"target-url": other.url}))
            assert answer.status == 200
            assert "authorization" not in other.requests[0].headers


async def test_a_virtual_key_never_leaves_even_when_no_keys_are_stored(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        assert (await proxy.ask(authorization="Bearer sk-spanhouse-abc")).status == 401
        (tmp_path / "provider_keys.db").write_bytes(b"broken" * 1000)
        answer = await proxy.ask(authorization="Bearer sk-spanhouse-abc")
        assert answer.status == 503
        assert "the file of stored keys cannot be opened" in orjson.loads(answer.body)["error"]["message"]
        answer = await proxy.ask("/openai/v1/realtime", body=None, authorization="Bearer sk-spanhouse-abc", **WEBSOCKET)
        assert answer.status == 503
        assert not upstream.requests


async def test_a_websocket_gets_the_stored_key_and_counts(tmp_path) -> None:
    vault = open_vault(tmp_path)
    async with Upstream(Reply(426)) as upstream:
        virtual, _ = vault.add("default", "team", REAL, [upstream.url])
        vault.close()
        policy = {"limits": [{"limit": "1;w=60"}]}
        async with running(tmp_path, {"openai": upstream.url}, policy) as proxy:
            answers = [
                await proxy.ask("/openai/v1/realtime", body=None, authorization=f"Bearer {virtual}", **WEBSOCKET)
                for _ in range(2)
            ]
            assert [answer.status for answer in answers] == [426, 429]
            assert upstream.requests[0].headers["authorization"] == f"Bearer {REAL}"
            assert upstream.requests[0].headers["upgrade"] == "websocket"


async def test_a_locked_file_of_keys_holds_up_only_calls_with_stored_keys(tmp_path) -> None:
    async with Upstream() as upstream:
        vault = open_vault(tmp_path)
        virtual, _ = vault.add("default", "team", REAL, [upstream.url])
        vault.close()
        lock = sqlite3.connect(tmp_path / "provider_keys.db", isolation_level=None)
        async with running(tmp_path, {"openai": upstream.url}) as proxy:
            lock.execute("PRAGMA locking_mode = EXCLUSIVE")
            lock.execute("BEGIN EXCLUSIVE")
            held = asyncio.create_task(proxy.ask(authorization=f"Bearer {virtual}"))
            await asyncio.sleep(0.1)
            for _ in range(5):
                assert (await proxy.ask()).status == 200
            assert not held.done(), "the others waited until it had given up"
            lock.close()
            assert (await held).status == 200
            assert upstream.requests[-1].headers["authorization"] == f"Bearer {REAL}"


def test_uses_are_read_while_another_process_has_the_file(tmp_path) -> None:
    key = ("t", "tokens", 3600, "", "")
    slot = time.time_ns() * SLOTS // (3600 * 10**9)
    uses = UsageFile(tmp_path / "usage.db")
    other = sqlite3.connect(tmp_path / "usage.db", isolation_level=None)
    try:
        uses.add(key, slot, 5)
        deadline_s = time.monotonic() + 30
        while not other.execute("SELECT 1 FROM uses").fetchone():
            assert time.monotonic() < deadline_s
        other.execute("BEGIN IMMEDIATE")
        uses.add(key, slot, 2)  # the thread waits to write it
        time.sleep(0.1)
        assert uses.load(key, 0) == [(slot, 7)]
        assert uses.failed_writes == 0, "the reader waited until the writer had given up"
        other.execute("ROLLBACK")
    finally:
        other.close()
        uses.close()
