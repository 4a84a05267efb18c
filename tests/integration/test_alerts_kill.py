"""Kill the alert engine at random points: no alert is lost, none is told twice to a receiver that tells repetitions."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from pathlib import Path
from typing import Any

from spanhouse_server.derive.alerts.backtest import back_test
from spanhouse_server.model.alerts import AlertQuery
from spanhouse_server.store.records import open_records
from tests.integration import alert_process
from tests.unit.alerts.make import T0
from tests.unit.alerts.receivers import http_receiver

DEATHS = 12


def test_no_alert_is_lost_or_told_twice(tmp_path: Path) -> None:
    chance = random.Random(20260115)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([alert_process.__name__])
    bad_days = random.Random(5)

    def answer(_: Any) -> tuple[int, dict[str, str], bytes]:
        return (500 if bad_days.random() < 0.15 else 200), {}, b""

    with http_receiver(answer=answer) as receiver:
        store = open_records(f"sqlite:///{tmp_path}/records.db")
        store.migrate()
        store.alerts.create_channel(alert_process.the_channel(tmp_path, receiver.url))
        kept = store.alerts.create_rule(alert_process.the_rule())
        deaths, code = 0, -9
        while code == -9:
            die_at = chance.randint(1, 25) if deaths < DEATHS else 0
            process = forks.Process(target=alert_process.run, args=(tmp_path, die_at))
            process.start()
            process.join(150)
            code = process.exitcode
            deaths += code == -9
        assert (code, deaths) == (0, DEATHS)
        found = store.alerts.alerts("default", AlertQuery(limit=1000))
        waiting = store.alerts.counts()["waiting"]
        store.close()

    # The uninterrupted run is the back-test of the same rule over the same series.
    expected = back_test(kept_typed(kept), [], alert_process.the_source(), T0, T0 + alert_process.LASTS_S - 20)
    lives = {(each.labels["model"], each.fired_s, each.resolved_s) for each in expected.alerts}
    assert len(lives) > 15
    assert {(each.labels["model"], each.fired_s, each.resolved_s) for each in found} == lives
    assert len(found) == len(lives)
    assert waiting == 0

    messages: dict[str, Any] = {}
    for got in receiver.got:
        before = messages.setdefault(got.headers["webhook-id"], got.json)
        assert before == got.json
    assert len(receiver.got) > len(messages), "no attempt was repeated: the test kills nothing that matters"
    told = Counter((item["id"], item["status"]) for each in messages.values() for item in each["alerts"])
    assert {alert_id for alert_id, status in told if status == "resolved"} == {each.id for each in found}
    assert set(told.values()) == {1}


def kept_typed(kept: Any) -> Any:
    from spanhouse_server.derive.alerts.rules import prepared

    return prepared(kept)
