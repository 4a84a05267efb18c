import threading

import pytest

from spanhouse_server.errors import ConfigError, StoreUnavailable
from spanhouse_server.store import gate
from spanhouse_server.store.gate import StoreGate


class Opened:
    """The least a store does for the gate."""

    def __init__(self) -> None:
        self.closed = False

    def migrate(self) -> list[str]:
        return []

    def damaged(self) -> dict[str, int]:
        return {}

    def select(self, sql: str, parameters: object = None) -> list[dict[str, int]]:
        return [{"one": 1}]

    def close(self) -> None:
        self.closed = True


def test_calls_go_through_once_open() -> None:
    opened = Opened()
    store = StoreGate(lambda: opened)
    with pytest.raises(StoreUnavailable):
        store.select("SELECT 1")
    store.open()
    assert store.select("SELECT 1") == [{"one": 1}]
    store.close()
    assert opened.closed


def test_opens_later_when_the_store_comes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "RETRY_S", 0.01)
    tries = []
    ready = threading.Event()

    def opener() -> Opened:
        tries.append(1)
        if len(tries) < 3:
            raise StoreUnavailable("refused")
        ready.set()
        return Opened()

    store = StoreGate(opener)
    store.open()
    assert not store.is_open
    assert ready.wait(60)
    for _ in range(6000):
        if store.is_open:
            break
        threading.Event().wait(0.01)
    assert store.select("SELECT 1") == [{"one": 1}]
    store.close()


def test_what_waiting_cannot_mend_is_raised() -> None:
    def opener() -> Opened:
        raise ConfigError("no such scheme")

    with pytest.raises(ConfigError):
        StoreGate(opener).open()
