"""The policy file: what it may say, and that a mistake in it is told at the start."""

import asyncio
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.errors import ConfigError
from spanhouse_collector.policy import settings as module
from spanhouse_collector.policy.engine import open_vault, policy_for
from spanhouse_collector.policy.prices import ModelPrice, Prices
from spanhouse_collector.policy.reload import Reloader
from spanhouse_collector.policy.settings import PolicySettings, load_policy, read_document
from spanhouse_collector.proxy.app import ProxyOptions
from tests.fakes.upstream import Upstream
from tests.unit.collector.policy.running import running


def written(text: str) -> str:
    """Return the TOML example of a docstring, without its indentation."""
    lines = text.split("::\n", 1)[1].splitlines()
    return "\n".join(line.strip() for line in lines if line.startswith("    ") or not line)


def test_the_documented_example_is_read(tmp_path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(written(module.__doc__ or ""))
    policy = load_policy(path)
    assert policy.cache is not None
    assert policy.cache.file == "cache.db"
    assert str(policy.limits[0].limits[0]) == "5000;w=2592000;u=cents"
    assert policy.limits[0].applies("default", "openai")
    assert not policy.limits[0].applies("default", "groq")
    assert policy.defaults[0].headers == (("retry-enabled", "true"), ("cache-enabled", "true"))
    assert policy.pools["llama"].members == (("http://10.0.0.5:8000", 1), ("http://10.0.0.6:8000", 2))
    assert policy.upstreams() == {"llama": "http://10.0.0.5:8000"}
    assert policy.prices["my-model"].input_usd == Decimal("0.2")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "policy is not a table"),
        ({"chache": {}}, "chache"),
        ({"cache": {"max_mb": 0}}, "max_mb"),
        ({"cache": {"max_mb": True}}, "max_mb"),
        ({"limits": {}}, "limits"),
        ({"limits": [{"limit": "5"}]}, "limits[0]"),
        ({"limits": [{"limit": "5;w=1", "project": ["a"]}]}, "'project'"),
        ({"limits": [{"limit": "5;w=1", "projects": "a"}]}, "projects"),
        ({"defaults": [{"headers": {"Cache-Enabled": "yes"}}]}, "Cache-Enabled"),
        ({"defaults": [{"headers": {"RateLimit-Policy": "5;w=1"}}]}, "RateLimit-Policy"),
        ({"defaults": [{"headers": {"User-Id": "x"}}]}, "User-Id"),
        ({"pools": {"p": {}}}, "members"),
        ({"pools": {"p": {"members": ["nonsense"]}}}, "upstream p"),
        ({"pools": {"p": {"members": ["http://a", "http://a/"]}}}, "twice"),
        ({"pools": {"p": {"members": ["http://a"], "strategy": "random"}}}, "random"),
        ({"pools": {"p": {"members": ["http://a"], "health_path": "health"}}}, "health_path"),
        ({"pools": {"p": {"members": [{"url": "http://a", "weight": 0}]}}}, "weight"),
        ({"prices": {"m": {"input": -1}}}, "input"),
    ],
)
def test_a_mistake_is_named(document, place) -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(document, "policy")
    assert place in caught.value.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "cache",
                        "limits",
                        "limit",
                        "pools",
                        "p",
                        "members",
                        "url",
                        "prices",
                        "defaults",
                        "headers",
                        "max_mb",
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=10,
    )
)
def test_any_document_is_read_or_refused(document) -> None:
    try:
        policy = read_document(document, "policy")
    except ConfigError:
        return
    assert isinstance(policy, PolicySettings)


@pytest.mark.parametrize(("name", "text"), [("a.toml", "x ="), ("a.json", "{"), ("b.toml", "\xff")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, text) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=name):
        load_policy(tmp_path / name)
    with pytest.raises(ConfigError, match="away"):
        load_policy(tmp_path / "away.toml")


def test_json_says_the_same(tmp_path) -> None:
    (tmp_path / "p.json").write_text('{"limits": [{"limit": "5;w=60"}]}')
    assert str(load_policy(tmp_path / "p.json").limits[0].limits[0]) == "5;w=60"


def test_pools_become_upstreams(tmp_path) -> None:
    (tmp_path / "p.toml").write_text('[pools.llama]\nmembers = ["http://127.0.0.1:9"]')
    options, engine = policy_for(ProxyOptions({"openai": "http://h"}), str(tmp_path / "p.toml"), tmp_path)
    assert options.upstreams == {"openai": "http://h", "llama": "http://127.0.0.1:9"}
    assert engine.upstreams.get("llama") is not None
    assert policy_for(ProxyOptions(), "", tmp_path)[1].settings == PolicySettings()


async def test_a_changed_file_is_taken_over_and_a_broken_one_is_not(tmp_path) -> None:
    path = tmp_path / "p.toml"
    async with Upstream() as one, Upstream() as two:
        first = {"pools": {"llama": {"members": [one.url]}}}
        path.write_text("")
        async with running(tmp_path, {}, first) as proxy:
            reloader = Reloader(path, proxy.engine.reload)
            assert not await reloader.look()
            path.write_text(f'[pools.llama]\nmembers = ["{two.url}"]\n[[limits]]\nlimit = "2;w=60"')
            assert await reloader.look()
            assert [(await proxy.ask("/llama/v1/chat/completions")).status for _ in range(3)] == [200, 200, 429]
            assert (len(one.requests), len(two.requests)) == (0, 2)
            await asyncio.sleep(0)
            assert [member.url for member in proxy.engine.pools["llama"].pool.members] == [two.url]
            path.write_text("broken =")
            assert not await reloader.look()
            assert (await proxy.ask("/llama/v1/chat/completions")).status == 429
            path.write_text(f'[pools.llama]\nmembers = ["{one.url}", "{two.url}"]')
            assert await reloader.look()
            assert {(await proxy.ask("/llama/v1/chat/completions")).status for _ in range(8)} == {200}
            assert one.requests


# Prices -------------------------------------------------------------------------------------------

SUMMARY = {"request_model": "gpt-4o", "response_model": "gpt-4o-2024-08-06", "input_tokens": 1000, "output_tokens": 100}


def test_what_the_provider_says_comes_first() -> None:
    assert Prices().cost_usd("openrouter", SUMMARY | {"cost_usd": "0.5"}) == Decimal("0.5")


def test_the_operators_price_comes_before_the_list() -> None:
    own = {"gpt-4o": ModelPrice(Decimal(1), Decimal(2))}
    assert Prices(own).cost_usd("openai", SUMMARY) == Decimal("0.0012")


def test_the_public_list_knows_models() -> None:
    assert Prices().cost_usd("openai", SUMMARY) == Decimal("0.0035")


@pytest.mark.parametrize(
    "changed",
    [
        {"input_tokens": None, "output_tokens": None},
        {"request_model": "nobody-knows", "response_model": ""},
        {"request_model": "", "response_model": ""},
    ],
)
def test_what_is_not_known_is_not_free(changed) -> None:
    assert Prices().cost_usd("openai", SUMMARY | changed) is None


# Commands -----------------------------------------------------------------------------------------


def command(data_dir, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spanhouse_collector.cli", "keys", *words, "--data-dir", str(data_dir)],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )


def test_keys_are_managed_by_a_command(tmp_path) -> None:
    real = "sk-real-0123456789abcdefghij"
    added = command(tmp_path, "add", "team", "--host", "api.openai.com", given=f"{real}\n")
    assert added.returncode == 0, added.stderr
    virtual = added.stdout.split()[0]
    vault = open_vault(tmp_path)
    assert vault.resolve(virtual, "https://api.openai.com/", "").reveal() == real
    (stored,) = vault.list()
    vault.close()

    shown = command(tmp_path, "list")
    assert stored.key_id in shown.stdout
    assert "ghij" in shown.stdout
    assert real not in shown.stdout + added.stdout
    assert virtual not in shown.stdout

    assert command(tmp_path, "revoke", stored.key_id, "--project", "other").returncode == 1
    assert command(tmp_path, "revoke", stored.key_id).stdout == "revoked\n"
    assert stored.key_id not in command(tmp_path, "list").stdout
    refused = command(tmp_path, "add", "team", "--host", "ftp://x", given="k\n")
    assert refused.returncode == 1
    assert "https://host" in refused.stderr
