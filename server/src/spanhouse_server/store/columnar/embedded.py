"""The embedded engine (chDB): importing it lightly, bounding its memory, naming its faults."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spanhouse_server.errors import ConfigError

MIB = 1024 * 1024
#: Server settings that are no options: the codecs of parts by their size.
CONFIG_FILE = Path(__file__).with_name("embedded.xml")

#: How the engine's allocator is told what follows; it is read once, when the library is loaded.
ALLOCATOR_VARIABLE = "JE_MALLOC_CONF"
#: Every thread keeps freed memory for itself, and the engine keeps the hundred that large inserts and merges start: so less
#: each, and none of the larger pieces. Nor is the engine's own memory profiled.
ALLOCATOR = "tcache_max:4096,lg_tcache_nslots_mul:-1,prof:false"

_import_lock = threading.Lock()


def import_engine() -> None:
    """Import chdb with an allocator that holds on to less, and without the data-frame libraries it reaches for.

    chdb imports pyarrow (which imports pandas) when they are installed, only for result formats
    that are never asked for here; they cost about 75 MB of memory and half a second of start-up.
    A ``None`` in ``sys.modules`` makes such an import fail as if the package were missing, which
    chdb handles; the masks come off again at once for whoever else needs them.
    """
    with _import_lock:
        if "chdb" in sys.modules:
            return
        told = os.environ.get(ALLOCATOR_VARIABLE)
        os.environ[ALLOCATOR_VARIABLE] = ALLOCATOR if told is None else told
        masked = [name for name in ("pyarrow", "pandas") if name not in sys.modules]
        for name in masked:
            sys.modules[name] = None  # type: ignore[assignment]
        try:
            import chdb  # noqa: F401
        finally:
            for name in masked:
                sys.modules.pop(name, None)
            if told is None:
                del os.environ[ALLOCATOR_VARIABLE]


def engine_options(memory_mb: int) -> dict[str, Any]:
    """Return server settings that fit ClickHouse into a laptop; its defaults are for big servers.

    Caches count against the memory limit, so each gets a share of it and none the 5 GiB it has
    by default.
    """
    memory = memory_mb * MIB
    return {
        "config-file": str(CONFIG_FILE),
        "max_server_memory_usage": memory,
        "mark_cache_size": min(memory // 16, 128 * MIB),
        "index_mark_cache_size": min(memory // 32, 64 * MIB),
        "primary_index_cache_size": min(memory // 16, 128 * MIB),
        "text_index_tokens_cache_size": min(memory // 32, 64 * MIB),
        "text_index_header_cache_size": min(memory // 32, 64 * MIB),
        "text_index_postings_cache_size": min(memory // 32, 64 * MIB),
        "query_condition_cache_size": 16 * MIB,
        "compiled_expression_cache_size": 16 * MIB,
        "mmap_cache_size": 64,
        # Merging must leave a core to what people wait for; one thread merges more than a small machine takes in.
        "background_pool_size": min(2, max(1, (os.cpu_count() or 1) // 2)),
        "merges_mutations_memory_usage_soft_limit": memory // 3,
    }


@contextmanager
def folder_faults(path: str) -> Iterator[None]:
    """Say which folder it is when the engine cannot open it; its own message names none."""
    Path(path).mkdir(parents=True, exist_ok=True)
    try:
        yield
    except Exception as error:
        text = str(error)
        if "already initialized with path" in text:
            raise ConfigError(
                f"this process already has another embedded store open, so {path} cannot be opened",
                "close the other one first: one process can hold one embedded store",
            ) from error
        if "Unable to open the chdb engine" in text:
            if _is_locked(Path(path)):
                raise ConfigError(
                    f"another process has the embedded store in {path} open",
                    "stop the other Spanhouse, or give this one its own SPANHOUSE_DATA_DIR",
                ) from error
            raise ConfigError(
                f"the embedded store in {path} cannot be opened", "is the folder writable, and its disk not full?"
            ) from error
        raise


def _is_locked(path: Path) -> bool:
    """Tell whether a running engine holds the lock that ClickHouse keeps on its status file."""
    with suppress(OSError), (path / "status").open("rb") as status:
        try:
            fcntl.flock(status, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
