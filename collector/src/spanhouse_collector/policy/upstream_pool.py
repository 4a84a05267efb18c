"""A pool of the policy file as the proxy uses it: its members are upstreams, trusted on the operator's word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from spanhouse_collector.policy.pools import Lease, Pool
from spanhouse_collector.policy.settings import PoolSettings
from spanhouse_collector.proxy.upstreams import Upstream, parse_upstream

log = logging.getLogger("spanhouse.proxy")


class UpstreamPool:
    """A pool and the upstreams of its members."""

    def __init__(self, name: str, settings: PoolSettings) -> None:
        urls = [url for url, _ in settings.members]
        self.pool = Pool(
            name,
            urls,
            strategy=settings.strategy,
            weights=[weight for _, weight in settings.members],
            rules=settings.rules,
            probed=bool(settings.health_path),
        )
        self.upstreams: dict[str, Upstream] = {url: parse_upstream(name, url, trusted=True) for url in urls}
        self._leaving: dict[str, asyncio.Task[None]] = {}

    def lease(self, session: str, tried: Collection[str] = ()) -> tuple[Lease, Upstream]:
        """Return a place at a member; raises ``NoUpstream`` when all are draining."""
        lease = self.pool.lease(session, tried)
        return lease, self.upstreams[lease.url]

    def follow(self, name: str, settings: PoolSettings) -> None:
        """Take over the members of a changed policy file; those that are gone finish what they have."""
        wanted = dict(settings.members)
        for url, weight in wanted.items():
            leaving = self._leaving.pop(url, None)
            if leaving is not None:
                leaving.cancel()
                self.pool.undrain(url)
            elif url not in self.upstreams:
                self.upstreams[url] = parse_upstream(name, url, trusted=True)
                self.pool.add(url, weight)
            self.pool.weigh(url, weight)
        for url in [url for url in self.upstreams if url not in wanted and url not in self._leaving]:
            self._leaving[url] = asyncio.get_running_loop().create_task(self._leave(url))

    def turn(self, url: str, *, drain: bool) -> bool:
        """Give a member no new calls, or new ones again; tell whether it could be (one that leaves cannot)."""
        if url in self._leaving:
            return False
        if drain:
            self.pool.close(url)
        else:
            self.pool.undrain(url)
        return True

    def stop(self) -> None:
        """End the waiting for members that leave."""
        for task in self._leaving.values():
            task.cancel()

    async def _leave(self, url: str) -> None:
        finished = await self.pool.drain(url)
        log.info("%s left the pool %s%s", url, self.pool.name, "" if finished else " with calls still under way")
        self.pool.remove(url)
        self._leaving.pop(url, None)
        self.upstreams.pop(url, None)
