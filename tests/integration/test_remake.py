"""Own prices, reprice and remap through the whole house: the server's process, the transform's, the command's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import otlp
from tests.server import Server, running

TRACE = "5" * 32
PROTOBUF = {"content-type": "application/x-protobuf"}
IN_HOUSE = {"model": "in-house-*", "rates": {"input_usd_per_mtok": "100", "output_usd_per_mtok": "200"}}
#: 1000 input and 500 output tokens at those rates.
COST = "0.2"


def send(server: Server, span_id: str, parent_id: str = "", scope: str = "one", **more: Any) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "in-house-7b",
        "gen_ai.usage.input_tokens": "1000",
        "gen_ai.usage.output_tokens": 500,
        **more,
    }
    span = otlp.span(TRACE, span_id, parent_id, name="chat", attributes=attributes)
    assert server.request("/v1/traces", otlp.request(span, scope=scope), PROTOBUF)[0] == 200
    server.wait_stored()


def command(data_dir: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "spanhouse_server.cli", *arguments, "--data-dir", str(data_dir)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def detail(server: Server, span_id: str) -> dict[str, Any]:
    return server.call(f"/api/v1/traces/{TRACE}/spans/{span_id}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("house")


def test_prices_and_remakes_with_and_without_the_server(folder: Path) -> None:
    with running(folder) as server:
        send(server, "1" * 16, **{"gen_ai.usage.cost": 0.15})
        before = detail(server, "1" * 16)["cost"]
        assert (before["status"], before["computed_usd"], before["reported_usd"]) == ("reported", None, "0.15")

        # The price reaches the transform process with the next batch …
        price = server.call("/api/v1/prices", IN_HOUSE)
        send(server, "2" * 16, "1" * 16, scope="two")
        assert detail(server, "2" * 16)["cost"]["total_usd"] == COST
        # … where the late inner span takes over from the outer one.
        outer, inner = detail(server, "1" * 16)["usage"], detail(server, "2" * 16)["usage"]
        assert (outer["counted"], outer["counted_reason"]) == (False, "wraps_call")
        assert (inner["counted"], inner["counted_reason"]) == (True, "model_call")

        # The command finds the folder open and has the server do it.
        code, said = command(folder, "reprice")
        assert code == 0, said
        assert "does the work" in said
        assert "reprice done: 1 traces, 2 spans, 1 changed" in said
        after = detail(server, "1" * 16)["cost"]
        assert after["source"] == f"own:{price['id']}"
        assert (after["computed_usd"], after["reported_usd"], after["difference_usd"]) == (COST, "0.15", "0.05")
        assert server.call(f"/api/v1/traces/{TRACE}")["cost_usd"] == COST
        assert server.stop() == 0
    assert not (folder / ".address").exists()

    # Without a server it opens the stores itself.
    assert "remap done: 1 traces, 2 spans, 0 changed" in command(folder, "remap")[1]
    assert "0 traces" in command(folder, "reprice", "--since", "2200-01-01")[1]
    code, said = command(folder, "reprice", "--project", "nope")
    assert (code, "no project 'nope'" in said) == (1, True)
    code, said = command(folder, "reprice", "--since", "soon")
    assert (code, "cannot read the time" in said) == (1, True)
    code, said = command(folder, "remap", "--endpoint", "http://127.0.0.1:9")
    assert (code, "does not answer" in said) == (1, True)
