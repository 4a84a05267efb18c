"""Transactions on one engine: what every group of methods of the records store stands on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from spanhouse_server.store.records.engine import translated


class Transactions:
    """Gives sessions, each of them one transaction. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = sessionmaker(engine, expire_on_commit=False)
        self._writers = sessionmaker(engine.execution_options(writes=True), expire_on_commit=False)

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with translated(), self._readers.begin() as session:
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with translated(), self._writers.begin() as session:
            yield session
