"""Memory is given back once after the work, not between batches and not again and again while it is quiet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spanhouse_server import pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from tests import otlp
from tests.stored import columnar, small_spool


def until(so: Callable[[], bool]) -> bool:
    until_s = time.monotonic() + 30
    while not so() and time.monotonic() < until_s:
        time.sleep(0.02)
    return so()


def test_once_after_the_last_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[None] = []
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    monkeypatch.setattr(pipeline, "give_memory_back", lambda: given_back.append(None))
    with columnar(tmp_path / "columnar") as store, small_spool(tmp_path) as spool:
        drain = Pipeline(spool, store, Workshop(0), dict, Metrics(), Health())

        def send() -> None:
            asyncio.run(spool.append("p", "traces", otlp.request(otlp.span()), records=1))
            assert until(lambda: spool.stats().requests == 0)

        drain.start()
        try:
            monkeypatch.setattr(pipeline, "QUIET_S", 0.0)
            time.sleep(1.5)
            assert given_back == [], "nothing was taken yet"
            monkeypatch.setattr(pipeline, "QUIET_S", 3600.0)
            for _ in range(3):
                send()
            time.sleep(1.5)
            assert given_back == [], "more may come"
            monkeypatch.setattr(pipeline, "QUIET_S", 0.0)
            assert until(lambda: len(given_back) == 1)
            time.sleep(1.5)
            assert len(given_back) == 1
            send()
            assert until(lambda: len(given_back) == 2)
        finally:
            drain.stop()
