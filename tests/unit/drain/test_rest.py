"""Memory is given back once after the work and once more after a long rest, not between batches and not again and again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from spanhouse_server import pipeline
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from tests import otlp
from tests.stored import columnar, small_spool
from tests.waiting import until


def test_once_after_the_last_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[None] = []
    ended: list[str] = []
    monkeypatch.setattr(pipeline, "LINGER_S", 0.0)
    monkeypatch.setattr(pipeline, "QUIET_S", 0.0)
    monkeypatch.setattr(pipeline, "IDLE_S", 3600.0)
    monkeypatch.setattr(pipeline, "give_memory_back", lambda: given_back.append(None))
    monkeypatch.setattr(pipeline, "let_code_go", lambda: ended.append("code"))
    monkeypatch.setattr(Workshop, "close", lambda workshop: ended.append("process"))
    with columnar(tmp_path / "columnar") as store, small_spool(tmp_path) as spool:
        drain = Pipeline(spool, store, Workshop(0), dict, Metrics(), Health())

        def send() -> None:
            asyncio.run(spool.append("p", "traces", otlp.request(otlp.span()), records=1))
            until(lambda: spool.stats().requests == 0)

        drain.start()
        try:
            until(lambda: len(given_back) == 1)  # what the start took
            monkeypatch.setattr(pipeline, "QUIET_S", 3600.0)
            for _ in range(3):
                send()
            time.sleep(1.5)
            assert len(given_back) == 1, "more may come"
            monkeypatch.setattr(pipeline, "QUIET_S", 0.0)
            until(lambda: len(given_back) == 2)
            time.sleep(1.5)
            assert len(given_back) == 2
            send()
            until(lambda: len(given_back) == 3)
            monkeypatch.setattr(pipeline, "IDLE_S", 0.0)
            until(lambda: len(given_back) == 4)
            time.sleep(1.5)
            assert len(given_back) == 4
            assert sorted(ended) == ["code", "process"]
            send()
            until(lambda: len(given_back) == 6)
        finally:
            drain.stop()
