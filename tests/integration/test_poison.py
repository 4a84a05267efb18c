"""What cannot be stored is set aside with its reason; what breaks is made anew."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from spanhouse_server.config import Settings
from spanhouse_server.house import open_spool
from tests import otlp
from tests.server import running

PROTOBUF = {"content-type": "application/x-protobuf"}


def spanhouse(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "spanhouse_server.cli", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_unreadable_request_is_set_aside_and_its_batch_goes_on(tmp_path: Path) -> None:
    trace_ids = [os.urandom(16).hex() for _ in range(2)]
    bodies = [otlp.request(otlp.span(trace_ids[0])), b"\xff not protobuf", otlp.request(otlp.span(trace_ids[1]))]

    async def put() -> None:
        with open_spool(Settings.load({"data_dir": tmp_path}, env={})) as spool:
            for body in bodies:
                await spool.append("default", "traces", body, records=1)

    asyncio.run(put())
    with running(tmp_path) as server:
        server.wait_stored()
        for trace_id in trace_ids:
            assert server.call(f"/api/v1/traces/{trace_id}")["span_count"] == 1
        assert server.stop() == 0

    listed = spanhouse("replay", "--data-dir", str(tmp_path))
    assert "1 set aside" in listed
    assert "traces" in listed
    assert "put back 1 request" in spanhouse("replay", "--data-dir", str(tmp_path), "--all")
    with running(tmp_path) as server:
        server.wait_stored()
        assert len(server.call("/api/v1/traces")["items"]) == 2


def test_death_of_the_transform_process_loses_nothing(tmp_path: Path) -> None:
    acknowledged = []
    with running(tmp_path) as server:
        assert server.process is not None
        parent = psutil.Process(server.process.pid)
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                trace_id = os.urandom(16).hex()
                body = otlp.request(*(otlp.span(trace_id) for _ in range(50)))
                if server.request("/v1/traces", body, PROTOBUF)[0] == 200:
                    acknowledged.append(trace_id)

        sender = threading.Thread(target=send)
        sender.start()
        killed = 0
        for _ in range(3):
            stop.wait(1.5)
            for child in parent.children():
                with contextlib.suppress(psutil.NoSuchProcess):  # the one killed before, not yet waited for
                    if "resource_tracker" not in " ".join(child.cmdline()):
                        child.kill()
                        killed += 1
        stop.set()
        sender.join()
        assert killed >= 1
        ingest = server.wait_stored()
        assert ingest["stored_spans"] == 50 * len(acknowledged)
        assert server.call(f"/api/v1/traces/{acknowledged[-1]}")["span_count"] == 50
        assert server.call("/api/v1/metrics?metric=spans&from=-1d")["series"][0]["total"] == 50 * len(acknowledged)


def test_a_killed_server_leaves_no_process_behind(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.process is not None
        assert server.request("/v1/traces", otlp.request(otlp.span()), PROTOBUF)[0] == 200
        server.wait_stored()
        helpers = psutil.Process(server.process.pid).children(recursive=True)
        assert helpers
        server.process.kill()
        _, alive = psutil.wait_procs(helpers, timeout=20)
        assert [helper.cmdline() for helper in alive] == []
