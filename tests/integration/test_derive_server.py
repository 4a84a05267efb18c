"""Background work through the whole house: what the server shows, and ``spanhouse derive`` with and without it."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests import otlp
from tests.server import Server, running

PROTOBUF = {"content-type": "application/x-protobuf"}
ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 500,
}
PATH = "/api/v1/metrics?metric=cost_usd&group_by=model&interval=60&from=-1h"


def command(data_dir: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "spanhouse_server.cli", "derive", "--data-dir", str(data_dir), *arguments],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def send(server: Server, count: int) -> None:
    spans = [otlp.span(f"{n:032x}", f"{n:016x}", name="chat", attributes=ATTRIBUTES) for n in range(1, count + 1)]
    assert server.request("/v1/traces", otlp.request(*spans), PROTOBUF)[0] == 200
    server.wait_stored()


def rollup(server: Server) -> dict[str, Any]:
    [state] = [each for each in server.call("/api/v1/ingest")["workers"] if each["name"] == "rollup"]
    return state


def test_rollups_are_kept_shown_and_derived_again_on_demand(tmp_path):
    with running(tmp_path) as server:
        send(server, 3)
        deadline = time.monotonic() + 60
        while (state := rollup(server))["runs"] == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (state["kind"], state["state"], state["errors"]) == ("worker", "running", 0), state
        assert 0 <= state["lag_s"] < 3600
        with urllib.request.urlopen(server.url + "/metrics", timeout=20) as answer:
            assert b'spanhouse_worker_lag_seconds{worker="rollup"}' in answer.read()
        assert [each["total"] for each in server.call(PATH)["series"]] == [0.0225]

        code, said = command(tmp_path, "--since", "-2h")
        assert code == 0, said
        assert "does the work" in said
        assert "rollup done: 1 windows, 1 rows" in said
        [backfill] = server.call("/api/v1/backfills")["items"]
        assert (backfill["state"], backfill["rows"]) == ("done", 1)
        assert server.call(f"/api/v1/backfills/{backfill['id']}") == backfill
        status, refused = server.request("/api/v1/backfills", {"worker": "nobody", "since": "-1h"})
        assert (status, refused["error"]["hint"]) == (404, "there is: rollup")
        assert server.request("/api/v1/backfills/none")[0] == 404
        assert server.request("/api/v1/backfills", {"worker": "rollup", "since": "0", "until": "0"})[0] == 400
        assert [each["total"] for each in server.call(PATH)["series"]] == [0.0225]
        assert server.stop() == 0

    code, said = command(tmp_path, "--since", "-2h", "--project", "default")
    assert (code, "rollup done: 1 windows, 1 rows" in said) == (0, True), said
    assert "0 windows" in command(tmp_path, "--since", "2200-01-01", "--until", "2200-01-02")[1]
    code, said = command(tmp_path, "--since", "-2h", "--worker", "nobody")
    assert (code, "no worker 'nobody'" in said) == (1, True)
    code, said = command(tmp_path, "--since", "soon")
    assert (code, "cannot read the time" in said) == (1, True)
