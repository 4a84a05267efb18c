"""ClickHouse is down: spans wait in the spool, senders notice nothing, reading says 503."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests import otlp
from tests.contract.clickhouse_http import ClickHouseHttp
from tests.server import running

PROTOBUF = {"content-type": "application/x-protobuf"}


def test_server_starts_and_receives_while_the_store_is_down(tmp_path: Path) -> None:
    trace_ids = [os.urandom(16).hex() for _ in range(3)]
    clickhouse = ClickHouseHttp(tmp_path / "clickhouse")
    clickhouse.start()
    dsn = clickhouse.dsn
    clickhouse.stop()
    try:
        with running(tmp_path / "house", "--store-dsn", dsn) as server:

            def send(trace_id: str) -> None:
                status, _ = server.request("/v1/traces", otlp.request(otlp.span(trace_id)), PROTOBUF)
                assert status == 200

            send(trace_ids[0])
            status, answer = server.request("/api/v1/traces")
            assert status == 503
            assert answer["error"]["code"] == "store_unavailable"
            assert server.call("/api/v1/ingest")["spool"]["requests"] == 1

            clickhouse.start()
            server.wait_stored(60)
            assert server.call(f"/api/v1/traces/{trace_ids[0]}")["span_count"] == 1

            clickhouse.stop()
            send(trace_ids[1])
            time.sleep(1)
            assert server.call("/api/v1/ingest")["spool"]["requests"] == 1

            clickhouse.start()
            send(trace_ids[2])
            server.wait_stored(60)
            listed = {item["trace_id"] for item in server.call("/api/v1/traces")["items"]}
            assert listed == set(trace_ids)
    finally:
        clickhouse.stop()
