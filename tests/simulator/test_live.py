"""A stretch of the replay as real spans through a real server: the same counts, and the same alarms."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from spanhouse_server.clock import NS_PER_S, rfc3339
from spanhouse_server.derive.alerts.rule_files import DEFAULT_RULES, read_rules
from tests.server import Server, running
from tests.simulator.incidents import DAY_M, HOUR_M, KINDS, Incident
from tests.simulator.spans import bodies
from tests.simulator.world import START_S, Service, World, make_world

DAYS = 3
SERVICE = Service("chat", 1.5, 0.3, 14, 0.8, 1800, 350, 2400, 420, 0.01, 0.006)
BY_NAME = {kind.name: kind for kind in KINDS}


def made(end_s: int) -> tuple[World, int]:
    """Three days up to ``end_s``: an error burst the day before, refusals for the last hours. And the shift in time."""
    minutes = DAYS * DAY_M
    burst_m = minutes - 30 * HOUR_M
    incidents = [
        Incident(BY_NAME["error burst"], "chat", burst_m, burst_m + 2 * HOUR_M, 0.4),
        Incident(BY_NAME["refusals burst"], "chat", minutes - 4 * HOUR_M, minutes, 0.5),
    ]
    world = make_world(7, DAYS / 7, services=(SERVICE,), incidents=incidents)
    return world, end_s - START_S - 60 * minutes


def by_buckets(server: Server, metric: str, from_s: int, to_s: int) -> list[float]:
    window = f"from={rfc3339(from_s * NS_PER_S)}&to={rfc3339(to_s * NS_PER_S)}"
    reply = server.call(f"/api/v1/metrics?metric={metric}&interval=300&{window}")
    return [value for _, value in reply["series"][0]["points"]]


def default_rule(name: str) -> dict[str, Any]:
    return next(dict(each.fields) for each in read_rules(DEFAULT_RULES) if each.fields["name"] == name)


def test_real_spans_are_counted_as_simulated_and_raise_the_same_alarms(tmp_path: Path) -> None:
    # The running hour is in it whole: the last bucket is never empty however long this takes, and hours stay hours.
    end_s = int(time.time()) // 3600 * 3600 + 3600
    world, shift_s = made(end_s)
    from_s = START_S + shift_s
    with running(tmp_path) as server:
        for body in bodies(world, shift_s, seed=1):
            server.call("/v1/traces", body, {"content-type": "application/x-protobuf"})
        stored = server.wait_stored()
        measured = world.telemetry["chat"].sums
        assert stored["stored_spans"] == measured["requests"].sum()
        for metric in ("requests", "request_errors", "refusals", "input_tokens", "output_tokens"):
            expected = measured[metric].reshape(-1, 5).sum(axis=1).tolist()
            assert by_buckets(server, metric, from_s, end_s) == expected, metric

        burst, refused = world.incidents
        tested = server.call(
            "/api/v1/alerts/rules/backtest",
            {
                "rule": default_rule("Requests fail"),
                "from": rfc3339((from_s + 86_400) * NS_PER_S),
                "to": rfc3339(end_s * NS_PER_S),
            },
        )
        start_s = from_s + burst.start_m * 60
        (fired,) = [alert["fired_at"] for alert in tested["alerts"]]
        # At a request a minute twenty are judged together, and more than once before it fires.
        assert rfc3339(start_s * NS_PER_S) < fired <= rfc3339((start_s + 3600) * NS_PER_S)

        server.call("/api/v1/alerts/rules", default_rule("Requests are slow"))
        server.call("/api/v1/alerts/rules", default_rule("Requests are refused") | {"for_s": 0, "window_s": 3600})
        alerts = wait_for_alerts(server)
        assert [(alert["rule"]["name"], alert["labels"]["service"]) for alert in alerts] == [
            ("Requests are refused", "chat")
        ]
        evidence = server.call(f"/api/v1/alerts/{alerts[0]['id']}")["evidence"]
        assert evidence["baseline"][-1][0] >= from_s + refused.start_m * 60
        assert evidence["traces"]


def wait_for_alerts(server: Server) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 40
    while True:
        found = server.call("/api/v1/alerts?state=firing")["items"]
        rules = server.call("/api/v1/alerts/rules")["items"]
        if found and all(rule["evaluated_at"] for rule in rules):
            return found
        assert time.monotonic() < deadline, "\n".join([*map(str, rules), *server.output[-20:]])
        time.sleep(0.5)
