"""Alerts through the whole house: spans, a rule from a file, the ticks of the server, a real receiver."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
  - name: Quiet
    type: no_data
    metric: requests
    window_s: 3600
    channels: [quiet]
channels:
  - name: ops
    type: webhook
    secrets: {url: {env: TEST_OPS_URL}}
    group_wait_s: 0
  - name: quiet
    type: slack
    secrets: {url: {env: TEST_OPS_URL}}
    options: {channel: "#quiet"}
"""
DONE = ["channel ops", "channel quiet", "Errors", "Quiet"]


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


def test_from_a_file_to_a_receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / "data", tmp_path / "rules.yaml"
    file.write_text(RULES)
    with http_receiver() as receiver:
        monkeypatch.setenv("TEST_OPS_URL", f"{receiver.url}/hush-hush")
        with running(folder, env=ENV) as server:
            send(server)
            files = [str(file)]
            dry = asked(server, apply, files, "", prune=False, dry_run=True, channels=["ops"])
            assert dry == [f"would create {each}" for each in DONE]
            assert server.call("/api/v1/alerts/rules")["items"] == server.call("/api/v1/alerts/channels")["items"] == []
            with pytest.raises(AssertionError):
                asked(server, apply, files, "", prune=False, dry_run=False, channels=["typo"])
            assert server.call("/api/v1/alerts/channels")["items"] == [], "nothing is changed while there is a fault"
            file.write_text(RULES.partition("    channels: [quiet]")[0])
            tried = asked(server, back_test, files, "", "-10m", "now")
            assert tried[0].startswith("Errors: 1 alerts, ")
            assert server.stop() == 0
        file.write_text(RULES)

        # Without a server the command opens the stores itself.
        command = [sys.executable, "-m", "spanhouse_server.cli", "alerts", "apply", *files, "--data-dir", str(folder)]
        done = subprocess.run([*command, "--channel", "ops"], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout.splitlines()) == (0, [f"create {each}" for each in DONE]), done.stderr

        # Without a public URL links go to where it listens.
        with running(folder, env=ENV | {"SPANHOUSE_PUBLIC_URL": ""}) as server:
            until_s = time.monotonic() + 60
            while not receiver.got and time.monotonic() < until_s:
                time.sleep(0.05)
            (item,) = receiver.bodies[0]["alerts"]
            assert (item["labels"]["model"], item["severity"], item["value"]) == ("gpt-4o", "critical", 1)
            assert item["evidence"]["traces"][0]["trace_id"] == "7" * 32
            assert item["url"] == f"{server.url}/alerts?id={item['id']}&project=default"
            shown = server.call(f"/api/v1/alerts/{item['id']}")
            assert (shown["status"], shown["muted"]) == ("firing", None)
            assert "firing\tErrors\tthreshold errors\t1 firing" in asked(server, show, "")
            # What changed is updated; what is in no file any more goes, where that is asked for.
            rule, _, _ = RULES.partition("  - name: Quiet")
            channel = RULES[RULES.index("channels:\n") : RULES.index("  - name: quiet")]
            file.write_text(rule.replace("above: 0", "above: 0, warning: -1") + channel)
            told = {"prune": False, "dry_run": False, "channels": ["ops"]}
            same = "unchanged channel ops (its secrets are set again)"
            assert asked(server, apply, files, "", **told) == [same, "update Errors"]
            gone = ["delete Quiet", "delete channel quiet"]
            assert asked(server, apply, files, "", **told | {"prune": True}) == [same, "unchanged Errors", *gone]
            (kept,) = server.call("/api/v1/alerts/rules")["items"]
            assert (kept["name"], kept["params"], kept["channels"]) == ("Errors", {"above": 0, "warning": -1}, ["ops"])
            # The secret reached its channel, and nothing that can be read.
            (ops,) = server.call("/api/v1/alerts/channels")["items"]
            assert (ops["secrets"], ops["managed_by"]) == ({"url": "set"}, "file")
            assert receiver.got[0].path == "/hush-hush"
            assert server.call(f"/api/v1/alerts/channels/{ops['id']}/test", {})["delivered"]
            stored = b"".join(path.read_bytes() for path in folder.glob("records.db*"))
            assert b"hush-hush" not in stored + "".join(server.output).encode()
