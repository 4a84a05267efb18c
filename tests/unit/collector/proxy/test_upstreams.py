import ipaddress

import pytest

from spanhouse_collector.config import load, parse_upstreams
from spanhouse_collector.errors import ConfigError, ForbiddenTarget, Refused, UnknownUpstream, UpstreamUnreachable
from spanhouse_collector.proxy.addresses import is_public, resolve
from spanhouse_collector.proxy.routing import Router
from spanhouse_collector.proxy.upstreams import Upstreams


@pytest.mark.parametrize("text", [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "0.0.0.0",
    "168.63.129.16", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.0.192",
    "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "64:ff9b:1::1", "fec0::1", "2001:db8::1",
])  # fmt: skip
def test_addresses_that_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "104.18.6.192", "2606:4700::6812:6c0", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_addresses_that_are(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "017700000001", "127.1", "::1"])
async def test_every_way_to_write_loopback_is_refused(host: str) -> None:
    try:
        with pytest.raises(ForbiddenTarget):
            await resolve(host, 80, private_allowed=False)
    except UpstreamUnreachable:
        pytest.fail(f"{host} should resolve")
    assert await resolve(host, 80, private_allowed=True)


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(UpstreamUnreachable, match="cannot be resolved"):
        await resolve("does-not-exist.invalid", 443, private_allowed=False)


@pytest.mark.parametrize("path", [
    "/mine/..", "/mine/../admin", "/mine/x/../../admin", "/mine/%2e%2e/admin", "/mine/.%2E/admin", "/mine/%252e%252e/admin",
    "/mine/x/..%2f..%2fadmin", "/mine/..\\admin", "/mine/..%5cadmin", "/mine/./..//admin", "/mine/..;a=b/admin",
])  # fmt: skip
def test_a_path_does_not_lead_out_of_what_the_operator_configured(path: str) -> None:
    with pytest.raises(ForbiddenTarget, match="leaves the base URL"):
        route(path)


def route(path: str, **own: str):
    upstreams = Upstreams({"mine": "http://127.0.0.1:9000/base/"}, ["api.example.com", "*.example.org"])
    return Router(upstreams).route(path.encode(), b"", [], {name.replace("_", "-"): text for name, text in own.items()})


@pytest.mark.parametrize(("path", "url"), [
    ("/openai/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
    ("/groq/openai/v1/models", "https://api.groq.com/openai/v1/models"),
    ("/anthropic", "https://api.anthropic.com/"),
    ("/google/v1beta/models/g:generateContent", "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent"),
    ("/azure/my-res/openai/deployments/d/chat/completions", "https://my-res.openai.azure.com/openai/deployments/d/chat/completions"),
    ("/vertex/europe-west1/v1/projects/p", "https://europe-west1-aiplatform.googleapis.com/v1/projects/p"),
    ("/vertex/global/v1/projects/p", "https://aiplatform.googleapis.com/v1/projects/p"),
    ("/bedrock/eu-central-1/model/m%3A0/converse", "https://bedrock-runtime.eu-central-1.amazonaws.com/model/m%3A0/converse"),
    ("/mine//x/../y", "http://127.0.0.1:9000/base//x/../y"),
    ("/mine/x/%2e%2e/v1/...", "http://127.0.0.1:9000/base/x/%2e%2e/v1/..."),
    ("/openai/../x", "https://api.openai.com/../x"),
])  # fmt: skip
def test_paths_name_upstreams(path: str, url: str) -> None:
    found = route(path)
    assert f"{found.upstream.scheme}://{found.upstream.host_header.decode()}{found.path.decode()}" == url


@pytest.mark.parametrize("path", ["/", "", "/nope/v1", "/OpenAI/v1", "/ollama/api/chat", "/..%2fopenai/v1", "//openai"])
def test_paths_that_name_none(path: str) -> None:
    with pytest.raises(UnknownUpstream):
        route(path)


@pytest.mark.parametrize("place", ["evil.com%23", "a.b", "x@evil.com", "", "-a", "169.254.169.254", "A"])
def test_places_are_labels_and_nothing_else(place: str) -> None:
    with pytest.raises(Refused):
        route(f"/azure/{place}/openai/v1")


@pytest.mark.parametrize(
    "url", ["https://api.example.com", "https://a.example.org/base", "https://a.b.example.org:8443"]
)
def test_targets_the_operator_allowed(url: str) -> None:
    found = route("/gateway/v1/x", target_url=url)
    assert not found.upstream.trusted
    assert found.upstream.name == "gateway"


@pytest.mark.parametrize("url", [
    "https://evil.com", "https://example.org", "https://api.example.com.evil.com", "http://169.254.169.254/",
    "https://xexample.org", "http://127.0.0.1:9001", "https://.example.org",
])  # fmt: skip
def test_targets_nobody_allowed(url: str) -> None:
    with pytest.raises(Refused):
        route("/gateway/v1/x", target_url=url)


@pytest.mark.parametrize(
    "url", ["ftp://api.example.com", "https://u:p@api.example.com", "javascript:x", "https://", "//x"]
)
def test_targets_that_are_no_urls(url: str) -> None:
    with pytest.raises(Refused):
        route("/gateway/v1/x", target_url=url)


def test_a_target_that_is_a_configured_upstream_is_that_upstream() -> None:
    found = route("/x/v1", openai_api_base="http://127.0.0.1:9000")
    assert (found.upstream.name, found.upstream.trusted, found.path) == ("mine", True, b"/v1")


@pytest.mark.parametrize(
    "text",
    ["[1]", "{", '{"a": 1}', '{"A B": "http://x"}', '{"a": "ftp://x"}', '{"a": "http://u:p@x"}', '{"a": "http://x?y"}'],
)
def test_settings_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(ConfigError):
        Upstreams(parse_upstreams(text))


def test_settings_of_the_command() -> None:
    assert parse_upstreams('{"a": "http://x"}', ["b=http://y=z"]) == {"a": "http://x", "b": "http://y=z"}
    with pytest.raises(ConfigError):
        parse_upstreams("", ["nonsense"])
    with pytest.raises(ConfigError, match="without a key"):
        load({"proxy_host": "0.0.0.0"}, {})
    with pytest.raises(ConfigError, match="SPANHOUSE_PROXY_QUEUE_MB"):
        load({}, {"SPANHOUSE_PROXY_QUEUE_MB": "0"})
    settings = load(
        {"proxy_port": "0"}, {"SPANHOUSE_PROXY_TARGET_HOSTS": "a.com, b.com", "SPANHOUSE_ENDPOINT": "http://e"}
    )
    assert (settings.proxy_port, settings.target_hosts, settings.endpoint) == (0, ["a.com", "b.com"], "http://e")
