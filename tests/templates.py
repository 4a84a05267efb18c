"""New stores without the wait: their tables are made once in a process, and copied from there."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from spanhouse_server.store.columnar import open_columnar
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from spanhouse_server.store.records import open_records


def new_records(path: Path) -> RecordsStore:
    """Return an empty records store with its tables, in the SQLite file ``path``; the caller closes it."""
    shutil.copyfile(_records(), path)
    return open_records(f"sqlite:///{path}")


def new_columnar(folder: Path) -> ColumnarStore:
    """Return an empty embedded store with its tables, in ``folder``; the caller closes it."""
    shutil.copytree(_columnar(), folder, symlinks=True, dirs_exist_ok=True)
    return _opened(folder)


@cache
def _records() -> Path:
    path = _folder() / "records.db"
    made = open_records(f"sqlite:///{path}")
    made.migrate()
    made.close()
    return path


@cache
def _columnar() -> Path:
    folder = _folder() / "columnar"
    made = _opened(folder)
    made.migrate()
    made.close()
    return folder


def _opened(folder: Path) -> ColumnarStore:
    return open_columnar(f"chdb://{folder}", memory_mb=1024, query_timeout_s=20)


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="spanhouse-templates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
