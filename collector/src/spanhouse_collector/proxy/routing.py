"""From a request to its upstream: the name in the path, or a target-URL header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spanhouse_collector.errors import UnsignableRequest
from spanhouse_collector.proxy.headers import RawHeaders, is_signed
from spanhouse_collector.proxy.upstreams import Route, Upstreams

#: Ours, and Helicone's name of it for Azure (behind the prefix).
_TARGET_HEADERS = ("target-url", "openai-api-base")


class Router:
    """Finds where a call goes."""

    def __init__(self, upstreams: Upstreams) -> None:
        self.upstreams = upstreams

    def route(self, raw_path: bytes, query: bytes, headers: RawHeaders, own: Mapping[str, str]) -> Route:
        """Return the upstream and the path below it; raise ``Refused`` with the reason.

        With a target header, the path's first part is only a label (``/proxy/gateway/v1/…``) and what
        follows is asked of the target. A client that names the target itself may have signed for it.
        """
        target = next((own[name] for name in _TARGET_HEADERS if own.get(name)), "")
        if target:
            name, slash, rest = raw_path[1:].partition(b"/")
            upstream = self.upstreams.target(target)
            if upstream.name == "target":
                upstream = replace(upstream, name=name.decode("latin-1")[:64].lower() or "target")
            return Route(upstream, slash + rest or b"/")
        route = self.upstreams.route(raw_path)
        if is_signed(headers, query):
            raise UnsignableRequest(
                "the request is signed (AWS SigV4) for another host, so it cannot be passed on",
                "use a Bedrock API key (AWS_BEARER_TOKEN_BEDROCK) with the proxy's base URL",
            )
        return route
