"""A records store of its own, in memory of the disk's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spanhouse_server.config import Settings
from spanhouse_server.outward import Guard
from spanhouse_server.store.alert_records import AlertRecords
from tests.templates import new_records


@pytest.fixture
def records(tmp_path: Path) -> Iterator[AlertRecords]:
    """Give the alerts of a new records store."""
    opened = new_records(tmp_path / "records.db")
    yield opened.alerts
    opened.close()


@pytest.fixture
def outward(tmp_path: Path) -> Guard:
    """Give a guard that lets through to receivers on this machine."""
    return Guard(Settings.load({"data_dir": tmp_path, "alert_private_hosts": "127.0.0.1,localhost,*.lan"}, env={}))
