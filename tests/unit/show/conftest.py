"""The real API over real stores, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from spanhouse_server.clock import MonotonicStamps
from spanhouse_server.config import MIB, Settings
from spanhouse_server.derive.budgets.guard import BudgetGuard
from spanhouse_server.derive.runner import Runner
from spanhouse_server.remake import Remakes
from spanhouse_server.show.api import PREFIX, router
from spanhouse_server.show.context import ShowContext
from spanhouse_server.show.faults import install_faults
from spanhouse_server.show.static import install_static
from spanhouse_server.spool.sqlite import SqliteSpool
from spanhouse_server.store.access import Access
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.own_prices import PriceBooks
from tests.stored import Keeper, chat_trace, columnar
from tests.templates import new_records

ADMIN = "admin-key-for-the-tests"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        keeper = Keeper(opened)
        keeper.put(*chat_trace("a", session="s/1", user="ann", text="refund please"))
        keeper.put(*chat_trace("b", start_s=5, session="s/1", user="ann", error=True))
        keeper.log("a", "llm", "said")
        keeper.put(*chat_trace("secret", session="s/1", user="ann", text="refund secret"), project="other")
        yield opened


class House:
    """The API with what it stands on."""

    def __init__(self, store: ColumnarStore, folder: Path, **settings: Any) -> None:
        self.settings = Settings.load({"data_dir": folder, **settings}, env={})
        self.records = new_records(folder / "records.db")
        self.records.create_project("other")
        self.spool = SqliteSpool(folder / "spool.db", max_bytes=64 * MIB, max_age_s=3600, min_free_bytes=0, fsync="off")
        access = Access(self.settings, self.records)
        prices = PriceBooks(self.records)
        stamps = MonotonicStamps()
        self.remakes = Remakes(store, self.records, prices.current, lambda: nullcontext(stamps.next_ns()))
        runner = Runner(store, self.records)
        guard = BudgetGuard(store, self.records)
        self.context = ShowContext(
            store, self.records, access, self.settings, self.spool, prices, self.remakes, runner, guard
        )
        self.app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        install_faults(self.app)
        self.app.include_router(router(self.context), prefix=PREFIX)
        install_static(self.app, folder / "web")
        self.client = TestClient(self.app, base_url="http://127.0.0.1:4318", raise_server_exceptions=False)

    def close(self) -> None:
        self.remakes.stop()
        self.spool.close()
        self.records.close()


@pytest.fixture
def house(store: ColumnarStore, tmp_path: Path) -> Iterator[House]:
    """On loopback, without keys."""
    opened = House(store, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def locked(store: ColumnarStore, tmp_path: Path) -> Iterator[House]:
    """On all addresses, with keys."""
    opened = House(store, tmp_path, host="0.0.0.0", admin_key=ADMIN)
    yield opened
    opened.close()
