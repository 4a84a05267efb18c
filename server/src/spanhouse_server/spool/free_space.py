"""How much room the disk under the spool has left."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

_REFRESH_S = 0.5


class FreeSpace:
    """The free bytes of a disk, asked for at most twice a second.

    In between, ``spend`` keeps count of what was written, so that a burst cannot slip below the
    reserve between two looks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free_bytes = 0
        self._looked_at_s = float("-inf")

    def bytes(self) -> int:
        """Return the free bytes."""
        now_s = time.monotonic()
        if now_s - self._looked_at_s > _REFRESH_S:
            self._free_bytes = shutil.disk_usage(self._folder).free
            self._looked_at_s = now_s
        return self._free_bytes

    def spend(self, size_bytes: int) -> None:
        """Take note of bytes about to be written."""
        self._free_bytes -= size_bytes
