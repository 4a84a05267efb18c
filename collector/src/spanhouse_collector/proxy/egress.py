"""Going out through another proxy, where a network lets nothing out directly.

Off unless the operator sets it: with it, names of upstreams are resolved by that proxy and no longer
here, so that what a name leads to is judged there. What is still judged here: a caller can name only
hosts that are built in or that the operator allowed, and an address in place of a name must be public.
Every connection is a tunnel (``CONNECT``); TLS is between the upstream and us.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from spanhouse_collector.errors import ConfigError, ForbiddenTarget, UpstreamUnreachable
from spanhouse_collector.proxy.addresses import Address, is_public
from spanhouse_collector.proxy.upstreams import Upstream

#: The setting's value that stands for ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``.
ENVIRONMENT = "environment"
_MAX_ANSWER_BYTES = 16 * 1024
_USUAL_PORT = 3128
#: What is refused by name: schemes of outgoing proxies that are not spoken here.
_OTHERS = {"https": "TLS (https://)"} | dict.fromkeys(("socks", "socks4", "socks4a", "socks5", "socks5h"), "SOCKS")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A proxy to go out through. ``authorization`` is its header's value, empty without a password."""

    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Gateway({self.host}:{self.port})"


class Egress:
    """Says which upstreams are reached through which gateway."""

    def __init__(self, gateways: Mapping[str, Gateway], direct: str = "") -> None:
        """``gateways`` by the upstream's scheme; ``direct`` as ``NO_PROXY``: hosts by commas."""
        self._gateways = dict(gateways)
        self._direct = [word.strip().lower() for word in direct.split(",") if word.strip()]

    @classmethod
    def of_setting(cls, setting: str, environment: Mapping[str, str] | None = None) -> Egress | None:
        """Return what the operator set: nothing, a URL for all, or the environment's; raise ``ConfigError``."""
        if not setting.strip():
            return None
        known = dict(getproxies_environment() if environment is None else environment)
        if setting.strip() != ENVIRONMENT:
            known = {"all": setting.strip(), "no": known.get("no", "")}
        urls = {scheme: known.get(scheme) or known.get("all", "") for scheme in ("http", "https")}
        return cls({scheme: read_gateway(url) for scheme, url in urls.items() if url}, known.get("no", ""))

    def gateway(self, upstream: Upstream) -> Gateway | None:
        """Return what an upstream is reached through, ``None`` for directly; raise ``ForbiddenTarget``."""
        gateway = self._gateways.get(upstream.scheme)
        if gateway is None or any(_matches(upstream, word) for word in self._direct):
            return None
        address = _address(upstream.host)
        is_here = upstream.host == "localhost" or (address is not None and not is_public(address))
        if is_here and not upstream.trusted:
            raise ForbiddenTarget(
                f"{upstream.host} is not on the public internet",
                "configure it as an upstream of its own with --proxy-upstream name=url",
            )
        return None if is_here else gateway


def read_gateway(url: str) -> Gateway:
    """Read the URL of an outgoing proxy; raise ``ConfigError`` without quoting what may hold a password."""
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        host, port = parts.hostname or "", parts.port or _USUAL_PORT
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    if parts.scheme in _OTHERS and host:
        raise ConfigError(
            f"an outgoing proxy that speaks {_OTHERS[parts.scheme]} is not supported, only one that takes CONNECT over http",
            "most gates have such a port too (http://host:3128); else run a forwarder like privoxy or gost before it",
        )
    if parts.scheme != "http" or not host:
        raise ConfigError("the outgoing proxy has no usable URL", "write http://host:3128; only http is spoken to it")
    authorization = ""
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(login.encode()).decode()
    return Gateway(host, port, authorization)


async def tunnel(gateway: Gateway, upstream: Upstream) -> socket.socket:
    """Return a socket that leads to the upstream; raise ``UpstreamUnreachable``."""
    loop = asyncio.get_running_loop()
    name = f"the outgoing proxy {gateway.host}:{gateway.port}"
    try:
        found = await loop.getaddrinfo(gateway.host, gateway.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        connection = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UpstreamUnreachable(f"{name} cannot be found: {error.strerror}") from None
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(connection, address)
        await loop.sock_sendall(connection, _asked(gateway, upstream))
        status = await _answered(connection)
    except OSError as error:
        connection.close()
        raise UpstreamUnreachable(f"no connection to {name}: {error.strerror or type(error).__name__}") from None
    except BaseException:
        connection.close()
        raise
    if status != 200:
        connection.close()
        said = f"answered {status}" if status else "gave no answer"
        raise UpstreamUnreachable(f"{name} {said} when asked for {upstream.host}:{upstream.port}")
    return connection


def _asked(gateway: Gateway, upstream: Upstream) -> bytes:
    host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    place = f"{host}:{upstream.port}"
    login = f"proxy-authorization: {gateway.authorization}\r\n" if gateway.authorization else ""
    return f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n{login}\r\n".encode()


async def _answered(connection: socket.socket) -> int:
    """Return the status of the answer to ``CONNECT``, 0 for none."""
    answer = b""
    # Nothing may follow the head before we speak, so nothing of the upstream's is read here.
    while b"\r\n\r\n" not in answer and len(answer) < _MAX_ANSWER_BYTES:
        data = await asyncio.get_running_loop().sock_recv(connection, 4096)
        if not data:
            break
        answer += data
    words = answer.split(b"\r\n")[0].split(b" ", 2)
    whole = b"\r\n\r\n" in answer and words[0].startswith(b"HTTP/1.") and len(words) > 1
    return int(words[1]) if whole and words[1].isdigit() else 0


def _address(host: str) -> Address | None:
    """Return the address that a host is, also in the short and numeric forms that resolvers take."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host.removesuffix(".")))
    except (OSError, ValueError):
        return None


def _matches(upstream: Upstream, word: str) -> bool:
    """Tell whether a word of ``NO_PROXY`` means an upstream: all, a host and all below it, or a network."""
    if word == "*":
        return True
    if "/" in word:
        address = _address(upstream.host)
        try:
            return address is not None and address in ipaddress.ip_network(word, strict=False)
        except ValueError:
            return False
    host, colon, port = word.rpartition(":")
    if colon and port.isdigit() and ":" not in host:
        word = host
        if int(port) != upstream.port:
            return False
    bare = word.removeprefix("*").removeprefix(".").strip("[]")
    return bool(bare) and (upstream.host == bare or upstream.host.endswith(f".{bare}"))
