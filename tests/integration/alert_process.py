"""An alert engine in a process of its own that kills itself at a chosen point; used by ``test_alerts_kill.py``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts import deliver
from spanhouse_server.derive.alerts.deliver import AlertDelivery, bound_to
from spanhouse_server.derive.alerts.evaluate import AlertEvaluation
from spanhouse_server.derive.contract import Lease
from spanhouse_server.derive.series import MemorySeries, Series
from spanhouse_server.model.alerts import Channel, Rule
from spanhouse_server.outward import Guard
from spanhouse_server.store.records import open_records
from tests.unit.alerts.make import NS, T0, rule

#: Simulated seconds in all, and those that pass with every round of the ticks.
LASTS_S = 1200
ROUND_S = 20
MODELS = 4


def the_rule() -> Rule:
    return rule(metric="requests", group_by=("model",), window_s=10, every_s=10, for_s=10, channels=("ops",))


def the_source() -> MemorySeries:
    """Every model is in breach for a while, again and again, each in its own rhythm."""
    series = []
    for model in range(MODELS):
        period, length = 130 + 40 * model, 30 + 10 * model
        values = [50.0 if (at + 35 * model) % period < length else 1.0 for at in range(0, LASTS_S - 200, 10)]
        values += [1.0] * 40
        series.append(Series({"model": f"m{model}"}, [(T0 + n * 10, value) for n, value in enumerate(values)]))
    return MemorySeries({"requests": series}, 10)


def guard(folder: Path) -> Guard:
    return Guard(Settings.load({"data_dir": folder, "alert_private_hosts": "127.0.0.1"}, env={}))


def the_channel(folder: Path, url: str) -> Channel:
    made = Channel("c1", "default", "ops", "webhook", target="x", group_by=("model",), group_wait_s=0,
                   group_interval_s=1, repeat_interval_s=7 * 86_400)  # fmt: skip
    return replace(made, sealed=guard(folder).seal({"url": url}, bound_to(made)))


class NoTraces:
    """A store without a trace."""

    def select(self, *_: Any) -> list[Any]:
        return []


def run(folder: Path, die_at: int) -> None:
    """Go on from where the last one died; die before or after the ``die_at``-th write or message."""
    clock = folder / "clock"
    now_s = int(clock.read_text()) if clock.is_file() else T0
    points = 0

    def point() -> None:
        nonlocal points
        points += 1
        if points == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            point()
            result = call(*given, **named)
            point()
            return result

        return wrapped

    records = open_records(f"sqlite:///{folder}/records.db").alerts
    for name in ("commit", "settle_group", "tried"):
        setattr(records, name, mortal(getattr(records, name)))
    deliver.send = mortal(deliver.send)
    deliver.now_ns = lambda: now_s * NS
    evaluation = AlertEvaluation(NoTraces(), records, settle_s=0, source=the_source())  # type: ignore[arg-type]
    delivery = AlertDelivery(records, guard(folder))
    lease = Lease("x", 1)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if now_s < T0 + LASTS_S:
            evaluation.run(now_s * NS, lease)
        delivery.run(now_s * NS, lease)
        delivery.finish(10)
        if (
            now_s >= T0 + LASTS_S
            and not records.groups_due(["c1"], 0, 1, everything=True)
            and not records.counts()["waiting"]
        ):
            os._exit(0)
        now_s += ROUND_S
        clock.with_suffix(".new").write_text(str(now_s))
        clock.with_suffix(".new").replace(clock)
    os._exit(1)
