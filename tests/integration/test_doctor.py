"""``spanhouse doctor`` beside a server, and on a damaged folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spanhouse_server import cli
from tests import otlp
from tests.server import running
from tests.waiting import until


def test_doctor_asks_the_server_of_its_data_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And no other that happens to listen on the usual port."""
    with running(tmp_path) as server:
        cli.main(["doctor", "--data-dir", str(tmp_path)])
        said = capsys.readouterr().out
        assert f"a server answers at {server.url}\n" in said
        assert "received, stored and read back" in said
        _, counters = server.request("/api/v1/ingest")
        assert counters["received_spans"] == 1


def test_rows_that_cannot_be_read_any_more_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace_id = os.urandom(16).hex()
    with running(tmp_path) as server:
        body = otlp.request(otlp.span(trace_id))
        assert server.request("/v1/traces", body, {"content-type": "application/x-protobuf"})[0] == 200
        until(lambda: server.request(f"/api/v1/traces/{trace_id}")[0] == 200)
        assert not [line for line in server.output if "set aside" in line]
    (part,) = (tmp_path / "columnar" / "data" / "default" / "spans").glob("2*")
    (part / "data.bin").unlink()
    with running(tmp_path) as server:
        assert any("1 part(s) of the table spans cannot be read" in line for line in server.output)
        assert server.request("/readyz")[0] == 200
    assert cli.main(["doctor", "--data-dir", str(tmp_path), "--http-port", "0", "--grpc-port", "0"]) == 1
    assert "1 of spans cannot" in capsys.readouterr().out
