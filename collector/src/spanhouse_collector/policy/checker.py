"""Active health checks of pools: one task that asks every member in turn of its interval."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from spanhouse_collector.policy.pools import Member, Pool

#: Asks a member's URL; returns an empty text for good, else what is wrong. May raise ``OSError``.
Probe = Callable[[str], Awaitable[str]]


class Checker:
    """Probes the members of pools every ``interval_s`` (spread by a tenth), each at most ``timeout_s``."""

    def __init__(
        self,
        pools: Sequence[Pool],
        probe: Probe,
        *,
        interval_s: float = 10.0,
        timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pools = pools
        self._probe = probe
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin checking; needs a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End checking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def check_all(self) -> None:
        """Probe every member once, all at the same time."""
        await asyncio.gather(*(self._check(member) for pool in self._pools for member in pool.members))

    async def _check(self, member: Member) -> None:
        try:
            wrong = await asyncio.wait_for(self._probe(member.url), self._timeout_s)
        except TimeoutError:
            wrong = f"no answer to the health check within {self._timeout_s:g} s"
        except Exception as error:
            # Whatever a probe stumbles over says that the member is not well, and must not end the checking.
            wrong = f"health check: {type(error).__name__}"
        member.health.probed(not wrong, self._clock(), wrong)

    async def _run(self) -> None:
        while True:
            await self.check_all()
            await asyncio.sleep(self._interval_s * random.uniform(0.9, 1.1))
