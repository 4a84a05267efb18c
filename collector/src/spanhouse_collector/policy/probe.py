"""The active health check of a pool's member: ``GET`` its health path, 2xx is well."""

from __future__ import annotations

from collections.abc import Mapping

from spanhouse_collector.proxy.http1 import Connection
from spanhouse_collector.proxy.pool import Pool as Connections
from spanhouse_collector.proxy.upstreams import Upstream


class HttpProbe:
    """Asks members by their URL, each time on a fresh connection: an accepted one is part of being well."""

    def __init__(self, upstreams: Mapping[str, Upstream], path: str) -> None:
        self._upstreams = upstreams
        self._path = path.encode()
        self._connections = Connections(connect_timeout_s=30.0)

    async def __call__(self, url: str) -> str:
        """Return an empty text for a member that is well, else what is wrong; raises ``UpstreamError``."""
        upstream = self._upstreams[url]
        connection = await self._connections.connect(upstream, lambda: Connection(lambda _: None))
        try:
            connection.begin(b"GET")
            connection.write(
                b"GET %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n" % (self._path, upstream.host_header)
            )
            status = (await connection.head()).status
        finally:
            connection.abort()
        return "" if 200 <= status < 300 else f"health check: status {status}"
