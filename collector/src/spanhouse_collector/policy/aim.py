"""Where an attempt goes and what it carries: the caller's request, changed for one target.

The caller's request is kept as it came; every attempt is made from it anew, so that nothing of one
target (a key, a host, a changed body) is left over for the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spanhouse_collector.policy.errors import UnknownKey
from spanhouse_collector.policy.fallback import (
    FallbackTarget,
    body_for,
    headers_for,
    query_for,
)
from spanhouse_collector.policy.identity import credential_id
from spanhouse_collector.policy.keys import PREFIX, Vault, swap_header, swap_query
from spanhouse_collector.policy.origins import origin
from spanhouse_collector.proxy.headers import OWN_PREFIXES, RawHeaders
from spanhouse_collector.proxy.hook import Call
from spanhouse_collector.proxy.upstreams import Upstream

PREFIX_BYTES = PREFIX.encode()
#: Gives the stored keys, ``None`` when there are none; only asked when a virtual key was sent.
Vaults = Callable[[], Vault | None]
#: The base URL's own upstream.
BASE_TARGET = FallbackTarget(None, (), ())


def names_stored_key(call: Call) -> bool:
    """Tell whether a virtual key stands anywhere in a call's headers or query."""
    return PREFIX_BYTES in call.query or any(PREFIX_BYTES in value for _, value in call.headers)


def carries_stored_key(target: FallbackTarget) -> bool:
    """Tell whether a target's own headers have a virtual key."""
    return any(PREFIX in value for _, value in target.headers)


def key_id(call: Call) -> str:
    """Return what stands for the credential of a call: ours if it carries one, else the provider's, hashed."""
    return credential_id(call.own, call.headers, call.query)


@dataclass(frozen=True, slots=True)
class Request:
    """The caller's request as it came. ``rest`` is the path below the upstream's base path."""

    upstream: Upstream
    rest: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None
    project: str

    @classmethod
    def of(cls, call: Call) -> Request:
        """Keep a call's request before any policy changes it."""
        rest = call.path.removeprefix(call.upstream.base_path)
        # Ours end here anyway; what they hold (keys of fallbacks) is not to be taken for the call's own.
        headers = tuple(pair for pair in call.headers if not pair[0].startswith(OWN_PREFIXES))
        return cls(call.upstream, rest, call.query, headers, call.body, call.project)

    def text_headers(self) -> list[tuple[str, str]]:
        """Return the headers as text (latin-1, which loses nothing)."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]

    def aim(self, call: Call, target: FallbackTarget, upstream: Upstream, vaults: Vaults) -> bool:
        """Point the call at a target; tell whether it could be (a body override may not fit the body).

        ``upstream`` is the target's, already checked. Raises ``UnknownKey`` or ``KeyNotForHost`` when a
        stored key is named that must not go there.
        """
        headers: RawHeaders = list(self.headers)
        query = self.query
        plain = target is BASE_TARGET or (target.url is None and not target.headers)
        if not plain:
            same_origin = target.url is None or origin(upstream.url) == origin(self.upstream.url)
            query = query_for(query.decode("latin-1"), same_origin=same_origin).encode("latin-1")
            headers = _encoded(headers_for(target, self.text_headers(), same_origin=same_origin))
        body = self.body
        if target.body_override is not None:
            changed = body_for(target, body, self.text_headers()) if body is not None else None
            if changed is None:
                return False
            body = changed
        headers = [
            (name, b"%d" % len(body)) if name == b"content-length" and body is not None else (name, value)
            for name, value in headers
        ]
        if body is not None and not any(name in (b"content-length", b"transfer-encoding") for name, _ in headers):
            headers += self._framing(body)
        call.headers = _swapped(headers, upstream, vaults, self.project)
        call.query = _swapped_query(query, upstream, vaults, self.project)
        call.upstream, call.path, call.body = upstream, upstream.base_path + self.rest, body
        return True

    def _framing(self, body: bytes) -> RawHeaders:
        """Return how the body is delimited, for requests whose own header for it stayed behind."""
        had_one = any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        return [(b"content-length", b"%d" % len(body))] if had_one or body else []


def _encoded(headers: list[tuple[str, str]]) -> RawHeaders:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _exchange(token: str, upstream: Upstream, vaults: Vaults, project: str) -> str:
    vault = vaults()
    if vault is None:
        raise UnknownKey("a stored key was sent, and this proxy stores none", "send the provider's own key")
    return vault.resolve(token, upstream.url, project).reveal()


def _swapped(headers: RawHeaders, upstream: Upstream, vaults: Vaults, project: str) -> RawHeaders:
    """Exchange every virtual key; one in a place that is not understood is refused, not passed on."""
    swapped: RawHeaders = []
    for name, value in headers:
        if PREFIX_BYTES in value:
            text = swap_header(value.decode("latin-1"), lambda token: _exchange(token, upstream, vaults, project))
            value = text.encode("latin-1")
            if PREFIX_BYTES in value:
                raise UnknownKey(f"the header {name.decode('latin-1')} holds a stored key among other things")
        swapped.append((name, value))
    return swapped


def _swapped_query(query: bytes, upstream: Upstream, vaults: Vaults, project: str) -> bytes:
    if PREFIX_BYTES not in query:
        return query
    text = swap_query(query.decode("latin-1"), lambda token: _exchange(token, upstream, vaults, project))
    if PREFIX in text:
        raise UnknownKey("the query holds a stored key among other things")
    return text.encode("latin-1")
