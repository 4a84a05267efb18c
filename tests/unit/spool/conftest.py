"""A real spool in a temporary folder."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server.spool import SqliteSpool

MIB = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def open_spool(path: Path) -> Iterator[Callable[..., SqliteSpool]]:
    """Open the spool, once or again; what is still open at the end is closed."""
    opened: list[SqliteSpool] = []

    def make(at: Path = path, **settings: Any) -> SqliteSpool:
        defaults: dict[str, Any] = {"max_bytes": 64 * MIB, "max_age_s": 3600, "min_free_bytes": 0, "fsync": "always"}
        spool = SqliteSpool(at, **(defaults | settings))
        opened.append(spool)
        return spool

    yield make
    for spool in opened:
        spool.close()


@pytest.fixture
def spool(open_spool: Callable[..., SqliteSpool]) -> SqliteSpool:
    return open_spool()


def append(spool: SqliteSpool, *bodies: bytes, project_id: str = "default", signal: str = "traces") -> list[int]:
    """Append bodies at the same time, from an event loop of its own."""

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*(spool.append(project_id, signal, body, records=1) for body in bodies))

    return asyncio.run(all_at_once())


def claim_all(spool: SqliteSpool) -> dict[int, bytes]:
    """Return every waiting body by sequence."""
    return {entry.sequence: entry.body for entry in spool.claim(1_000_000, 2**62)}
