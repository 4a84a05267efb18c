"""Web pages and the proxy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_collector.config import load
from spanhouse_collector.errors import ConfigError, ForeignPage
from spanhouse_collector.proxy.browsers import PageGuard

APP = "https://app.example"
HERE = (b"host", b"127.0.0.1:4319")


def admitted(method: bytes, *headers: tuple[bytes, bytes]) -> bool:
    try:
        PageGuard([APP]).check(method, list(headers))
    except ForeignPage:
        return False
    return True


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST.:1", b"127.0.0.1:4319", b"[::1]:4319", b"app.example"])
def test_names_of_this_machine(host: bytes) -> None:
    assert admitted(b"POST", (b"host", host))


@pytest.mark.parametrize(
    "host", [b"", b"evil.example", b"localhost.evil.example", b"127.0.0.1.evil.example", b"10.0.0.1"]
)
def test_other_names(host: bytes) -> None:
    assert not admitted(b"GET", (b"host", host))


def test_pages() -> None:
    evil, own = (b"origin", b"https://evil.example"), (b"origin", b"http://127.0.0.1:4319")
    for method in (b"GET", b"POST", b"OPTIONS"):
        assert not admitted(method, HERE, evil)
        assert not admitted(method, HERE, (b"origin", b"null"))
        assert admitted(method, HERE, own)
        assert admitted(method, HERE, (b"origin", APP.encode()), (b"sec-fetch-site", b"cross-site"))
    assert not admitted(b"POST", HERE, (b"sec-fetch-site", b"cross-site"))
    assert not admitted(b"POST", HERE, (b"sec-fetch-site", b"same-site"))
    assert admitted(b"GET", HERE, (b"sec-fetch-site", b"cross-site"))
    assert admitted(b"POST", HERE, own, (b"sec-fetch-site", b"same-origin"))


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=10))
def test_no_header_makes_it_fail(host: bytes, origin: bytes, site: bytes) -> None:
    if admitted(b"POST", (b"host", host), (b"origin", origin), (b"sec-fetch-site", site)):
        assert host.lower().startswith((b"localhost", b"127.0.0.1", b"[::1]"))
        assert origin.endswith(host) or not origin
        assert site in (b"", b"same-origin", b"none")


def test_origins_are_checked_at_the_start() -> None:
    assert load({"allowed_origins": "https://A.example/, http://localhost:3000"}, {}).origins == [
        "https://a.example",
        "http://localhost:3000",
    ]
    with pytest.raises(ConfigError, match="no web origin"):
        load({"allowed_origins": "*"}, {})
