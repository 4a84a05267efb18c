"""The stored keys as calls see them: in memory, and read anew beside the calls, since their file may be locked."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from spanhouse_collector.policy.database import fault_of
from spanhouse_collector.policy.errors import PolicyFailed, PolicyStoreError
from spanhouse_collector.policy.keys import Vault, master_key

log = logging.getLogger("spanhouse.proxy")


class KeyRing:
    """Follows the file of stored keys, which other processes change. Used on one event loop only."""

    def __init__(self, path: Path, master_path: Path, master: str) -> None:
        self._path = path
        self._master_path = master_path
        self._master = master
        # One of its own: what the server does in threads may be as slow as its store.
        self._thread = ThreadPoolExecutor(1, "proxy-keys")
        self._reading: asyncio.Future[None] | None = None
        self._vault: Vault | None = None

    def vault(self) -> Vault | None:
        """Return the keys as they were read last, ``None`` while there are none."""
        return self._vault

    async def refresh(self) -> None:
        """Read what was added and revoked; calls that come meanwhile wait for the same reading.

        Raises ``PolicyFailed`` when that cannot be done now: the call must not go on with its virtual key.
        """
        if self._reading is None:
            self._reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
            self._reading.add_done_callback(self._done)
        try:
            await asyncio.shield(self._reading)
        except (PolicyStoreError, sqlite3.Error) as error:
            log.error("a call with a stored key was refused: %s", error)
            said = f"the file of stored keys {fault_of(error)}, so the call was not passed on"
            raise PolicyFailed(said, "try again; the operator finds the whole reason in the log") from None

    def close(self) -> None:
        """Release the file; waits for a reading under way."""
        self._thread.shutdown(cancel_futures=True)
        if self._vault is not None:
            self._vault.close()
            self._vault = None

    def _read(self) -> None:
        if self._vault is None:
            if self._path.exists():
                self._vault = Vault(self._path, master_key(self._master_path, self._master))
        elif self._vault.changed():
            self._vault.reload()

    def _done(self, reading: asyncio.Future[None]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # whoever waits has it too; maybe nobody does any more
