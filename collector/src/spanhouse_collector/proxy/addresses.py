"""Guards against calls into networks the caller should not reach (SSRF).

A name is resolved once, every address it has is checked, and the connection is made to one of those
addresses: what was checked is what is connected to, whatever the name answers next. Encoded forms of
addresses (``2130706433``, ``0x7f.1``, ``::ffff:127.0.0.1``) need no list: the resolver turns them
into addresses, and those are judged.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from spanhouse_collector.errors import ForbiddenTarget, UpstreamUnreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Global addresses that are none: they answer with a cloud machine's secrets or belong to the host.
_HOST_SERVICES = frozenset({ipaddress.ip_address("168.63.129.16")})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: What ``ipaddress`` of some Python releases calls global.
_NOT_GLOBAL = tuple(
    ipaddress.ip_network(network)
    for network in ("100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b:1::/48", "fec0::/10")
)


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet.

    An address that carries an IPv4 address inside (mapped, compatible, 6to4, Teredo, NAT64) is as
    public as the one it carries.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
    if address in _HOST_SERVICES or any(address in net for net in _NOT_GLOBAL if net.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


async def resolve(host: str, port: int, *, private_allowed: bool) -> list[str]:
    """Return the addresses of ``host`` to connect to, best first.

    ``private_allowed`` is for upstreams that the operator configured. Raises ``ForbiddenTarget`` when any
    address is not public, and ``UpstreamUnreachable`` when the name is not known.
    """
    addresses = await _lookup(host, port)
    if not private_allowed:
        for text in addresses:
            if not is_public(ipaddress.ip_address(text.partition("%")[0])):
                raise ForbiddenTarget(
                    f"{host} has an address that is not on the public internet",
                    "configure it as an upstream of its own with --proxy-upstream name=url",
                )
    return addresses


async def _lookup(host: str, port: int) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a host name"
        raise UpstreamUnreachable(f"the name {host} cannot be resolved: {reason}") from None
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not addresses:
        raise UpstreamUnreachable(f"the name {host} has no address")
    return addresses
