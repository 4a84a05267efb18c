"""Which upstreams go out through another proxy."""

import pytest

from spanhouse_collector.errors import ConfigError, ForbiddenTarget
from spanhouse_collector.proxy.egress import Egress, Gateway, read_gateway
from spanhouse_collector.proxy.upstreams import parse_upstream

GATEWAY = Gateway("gate.example", 3128)
ALL = {"http": GATEWAY, "https": GATEWAY}


def goes_out(url: str, direct: str = "", *, trusted: bool = True) -> bool:
    return Egress(ALL, direct).gateway(parse_upstream("u", url, trusted=trusted)) == GATEWAY


@pytest.mark.parametrize(
    ("url", "direct", "out"),
    [
        ("https://api.example", "", True),
        ("https://api.example", "*", False),
        ("https://api.example", "example", False),
        ("https://api.example", ".example", False),
        ("https://api.example", "*.example", False),
        ("https://api.example", "pi.example", True),
        ("https://api.example", "api.example:8443", True),
        ("https://api.example:8443", "other, api.example:8443", False),
        ("https://203.0.113.77", "203.0.113.0/24", False),
        ("https://8.8.8.8", "10.0.0.0/8, bad/net", True),
        # What is on this machine or in this network is no business of the outgoing proxy's.
        ("http://127.0.0.1:8000", "", False),
        ("http://localhost:8000", "", False),
        ("http://10.0.0.5:8000", "", False),
        ("http://[::1]:8000", "", False),
    ],
)
def test_what_goes_out(url: str, direct: str, out: bool) -> None:
    assert goes_out(url, direct) == out


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.0.0.5", "169.254.169.254", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
def test_a_caller_cannot_send_the_outgoing_proxy_into_its_own_network(host: str) -> None:
    with pytest.raises(ForbiddenTarget):
        goes_out(f"http://{host}", trusted=False)


def test_the_setting() -> None:
    assert Egress.of_setting("") is None
    assert Egress.of_setting("", {"https": "http://x:1"}) is None  # never without being asked
    upstreams = [parse_upstream("u", f"{scheme}://api.example", trusted=False) for scheme in ("http", "https")]

    def gateways(setting: str, **environment: str) -> list[Gateway | None]:
        egress = Egress.of_setting(setting, environment)
        assert egress is not None
        return [egress.gateway(upstream) for upstream in upstreams]

    assert gateways("environment", https="http://gate:1") == [None, Gateway("gate", 1)]
    assert gateways("environment", all="gate") == [Gateway("gate", 3128)] * 2
    assert gateways("environment", https="http://gate:1", no="api.example") == [None, None]
    assert gateways("http://set:2", https="http://gate:1") == [Gateway("set", 2)] * 2


@pytest.mark.parametrize(
    "url", ["https://user:secret@gate:1", "socks5://secret@gate:1", "http://:secret@", "http://gate:secret"]
)
def test_a_wrong_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_gateway(url)
    assert "secret" not in f"{refused.value.message} {refused.value.hint}"
    assert "Basic" not in repr(Gateway("g", 1, "Basic c2VjcmV0"))


@pytest.mark.parametrize(
    "url", ["socks5://u:secret@gate:1080", "socks5h://gate", "socks4://gate", "https://u:secret@gate:3129"]
)
def test_gates_of_other_kinds_are_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Egress.of_setting("environment", {"all": url})
    assert ("SOCKS" if "socks" in url else "TLS") in refused.value.message
    assert "http://host:3128" in refused.value.hint
    assert "secret" not in f"{refused.value.message} {refused.value.hint}"
