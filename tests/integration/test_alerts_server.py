"""Alerts through the whole house: spans, a rule from a file, the ticks of the server, a real receiver."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spanhouse_server.alerts_command import apply, back_test, show
from spanhouse_server.config import Settings
from tests import otlp
from tests.server import Server, running
from tests.unit.alerts.receivers import http_receiver

PROTOBUF = {"content-type": "application/x-protobuf"}
ENV = {
    "SPANHOUSE_ALERT_SETTLE_S": "0",
    "SPANHOUSE_ALERT_PRIVATE_HOSTS": "127.0.0.1",
    "SPANHOUSE_PUBLIC_URL": "http://house",
}
RULES = """\
rules:
  - name: Errors
    type: threshold
    metric: errors
    window_s: 86400
    every_s: 10
    group_by: [model]
    params: {above: 0}
    channels: [ops]
  - name: Quiet
    type: no_data
    metric: requests
    window_s: 3600
"""


def asked(server: Server, command: Callable[..., bool], *given: Any, **more: Any) -> list[str]:
    """Return what a command says that finds the folder open and asks the server."""
    said: list[str] = []
    settings = Settings.load({"data_dir": server.data_dir}, env={})
    assert command(settings, *given, "", say=said.append, **more)
    assert said.pop(0) == f"{server.url} has the data folder open and does the work"
    return said


def send(server: Server) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    start_ns = time.time_ns() - 20 * 10**9
    span = otlp.span("7" * 32, "8" * 16, name="chat", attributes=attributes, start_ns=start_ns, status=2)
    assert server.request("/v1/traces", otlp.request(span), PROTOBUF)[0] == 200
    server.wait_stored()


def test_from_a_file_to_a_receiver(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "rules.yaml"
    file.write_text(RULES)
    with http_receiver() as receiver:
        channel = {"name": "ops", "type": "webhook", "secrets": {"url": receiver.url}, "group_wait_s": 0}
        with running(folder, env=ENV) as server:
            send(server)
            server.call("/api/v1/alerts/channels", channel)
            files = [str(file)]
            dry = asked(server, apply, files, "", prune=False, dry_run=True)
            assert dry == ["would create Errors", "would create Quiet"]
            assert server.call("/api/v1/alerts/rules")["items"] == []
            tried = asked(server, back_test, files, "", "-10m", "now")
            assert tried[0].startswith("Errors: 1 alerts, 1 messages")
            assert server.stop() == 0

        # Without a server the command opens the stores itself.
        command = [sys.executable, "-m", "spanhouse_server.cli", "alerts", "apply", *files, "--data-dir", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout.splitlines()) == (0, ["create Errors", "create Quiet"]), done.stderr

        with running(folder, env=ENV) as server:
            until_s = time.monotonic() + 30
            while not receiver.got and time.monotonic() < until_s:
                time.sleep(0.05)
            (item,) = receiver.bodies[0]["alerts"]
            assert (item["labels"]["model"], item["severity"], item["value"]) == ("gpt-4o", "critical", 1)
            assert item["evidence"]["traces"][0]["trace_id"] == "7" * 32
            assert item["url"] == f"http://house/alerts?id={item['id']}&project=default"
            shown = server.call(f"/api/v1/alerts/{item['id']}")
            assert (shown["status"], shown["muted"]) == ("firing", None)
            assert "firing\tErrors\tthreshold errors\t1 firing" in asked(server, show, "")
            # What changed is updated; what is in no file any more goes, where that is asked for.
            file.write_text(RULES.partition("  - name: Quiet")[0].replace("above: 0", "above: 0, warning: -1"))
            assert asked(server, apply, files, "", prune=False, dry_run=False) == ["update Errors"]
            assert asked(server, apply, files, "", prune=True, dry_run=False) == ["unchanged Errors", "delete Quiet"]
            (rule,) = server.call("/api/v1/alerts/rules")["items"]
            assert (rule["name"], rule["params"]) == ("Errors", {"above": 0, "warning": -1})
