"""Watches the policy file: a changed one is read and taken over, a broken one is told and left alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from spanhouse_collector.errors import ConfigError
from spanhouse_collector.policy.settings import PolicySettings, load_policy

log = logging.getLogger("spanhouse.proxy")

LOOK_S = 2.0


class Reloader:
    """Looks at the file every ``LOOK_S`` seconds."""

    def __init__(self, path: Path, apply: Callable[[PolicySettings], Awaitable[None]]) -> None:
        self._path = path
        self._apply = apply
        self._seen = _stamp(path)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin watching; needs a running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End watching."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> bool:
        """Take over a changed file; tell whether one was taken over."""
        stamp = await asyncio.to_thread(_stamp, self._path)
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            await self._apply(await asyncio.to_thread(load_policy, self._path))
        except ConfigError as error:
            log.error("the changed policy file is not used, the old one stays in force: %s", error.message)
            return False
        log.info("the changed policy file is in force")
        return True

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception:
                log.exception("the policy file could not be taken over")


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what changes with the file; zeros while it is away."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
