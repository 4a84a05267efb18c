"""The tick that tells people, on a real records store and to real receivers."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from spanhouse_server.derive.alerts import deliver
from spanhouse_server.derive.alerts.channels import http
from spanhouse_server.derive.alerts.deliver import AlertDelivery, bound_to
from spanhouse_server.derive.contract import Lease
from spanhouse_server.model.alerts import Alert, Channel, Matcher, Rule, RuleProgress, Silence, Transition
from spanhouse_server.outward import Guard
from spanhouse_server.store.alert_records import AlertRecords
from tests.unit.alerts.make import NS, T0, alert, channel, rule
from tests.unit.alerts.receivers import HttpReceiver, http_receiver

LEASE = Lease("alerts.deliver", 1)


class Desk:
    """A rule with channels, alerts that can be set, and the tick with a clock of its own."""

    def __init__(self, records: AlertRecords, outward: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records, self.outward = records, outward
        self.now_s, self.steady_s = T0, 0.0
        self.rule: Rule | None = None
        self.before_s: int | None = None
        self.version = 0
        monkeypatch.setattr(deliver, "now_ns", lambda: self.now_s * NS)
        self.restart()

    def restart(self) -> None:
        self.tick = AlertDelivery(
            self.records, self.outward, public_url="http://house", monotonic_s=lambda: self.steady_s, jitter=lambda: 0.5
        )

    def listen(self, url: str, name: str = "ops", **more: Any) -> Channel:
        made = channel(id=name, name=name, target="x", **more)
        return self.records.create_channel(replace(made, sealed=self.outward.seal({"url": url}, bound_to(made))))

    def put(self, *alerts: Alert, step: str = "firing") -> None:
        if self.rule is None:
            names = tuple(each.name for each in self.records.channels())
            self.rule = self.records.create_rule(rule(channels=names))
        steps = [Transition(each.id, step, self.now_s) for each in alerts]  # type: ignore[arg-type]
        self.version += 1
        written = self.records.commit(
            self.rule, self.before_s, RuleProgress(self.version), alerts, steps, self.now_s * NS
        )
        assert written
        self.before_s = self.version

    def run(self, after_s: int = 0, lease: Lease = LEASE) -> None:
        self.now_s += after_s
        self.steady_s += max(after_s, 0)
        for _ in range(2):
            self.tick.run(self.now_s * NS, lease)
            self.tick.finish(20)


@pytest.fixture
def desk(records: AlertRecords, outward: Guard, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Desk(records, outward, monkeypatch)
    made.run()
    yield made
    made.tick.close()


def ids(receiver: HttpReceiver) -> list[list[tuple[str, str]]]:
    return [[(each["id"], each["status"]) for each in body["alerts"]] for body in receiver.bodies]


def test_grouped_told_repeated_and_ended(desk: Desk) -> None:
    with http_receiver() as receiver:
        desk.listen(receiver.url)
        desk.put(alert())
        desk.run(29)
        assert receiver.got == []
        desk.put(alert(id="a2"))
        desk.run(1)
        assert ids(receiver) == [[("a1", "firing"), ("a2", "firing")]]
        desk.put(alert(id="a3"))
        desk.run(299)
        assert len(receiver.got) == 1
        desk.run(1)
        assert len(receiver.got) == 2
        desk.run(14_399)
        assert len(receiver.got) == 2
        desk.run(1)
        assert receiver.bodies[2]["repeat"] is True
        over = [alert(id=each, state="resolved", resolved_s=desk.now_s) for each in ("a1", "a2", "a3")]
        desk.put(*over, step="resolved")
        desk.run(300)
        assert receiver.bodies[3]["status"] == "resolved"
        desk.run(100_000)
        assert len(receiver.got) == 4
    assert len({each.headers["webhook-id"] for each in receiver.got}) == 4
    assert desk.records.groups_due(["ops", "c1"], 0, 9, everything=True) == []
    assert desk.records.deliveries("default")["ops"].delivered == 4


def test_failures_are_tried_again_with_growing_pauses_and_the_same_id(desk: Desk) -> None:
    answers = [500, 429, 200]
    with http_receiver(
        answer=lambda _: (answers.pop(0), {"retry-after": "40"} if answers[0:1] == [200] else {}, b"")
    ) as receiver:
        desk.listen(receiver.url)
        desk.put(alert())
        desk.run(30)
        assert len(receiver.got) == 1
        desk.run(4)
        assert len(receiver.got) == 1
        desk.run(1)
        assert len(receiver.got) == 2
        desk.run(39)
        assert len(receiver.got) == 2
        desk.run(1)
        desk.run(1000)
    assert len(receiver.got) == 3
    assert len({each.headers["webhook-id"] for each in receiver.got}) == 1
    (note,) = desk.records.notifications("default", "ops", 5)
    assert (note.state, note.attempts, note.error) == ("delivered", 3, "")


def test_what_is_refused_for_good_is_given_up(desk: Desk) -> None:
    with http_receiver(answer=lambda _: (400, {}, b"bad key")) as receiver:
        desk.listen(receiver.url)
        desk.put(alert())
        desk.run(30)
        desk.run(1000)
        assert len(receiver.got) == 1
    counts = desk.records.deliveries("default")["ops"]
    assert (counts.failed, counts.waiting) == (1, 0)
    assert "answered 400: bad key" in counts.last_error


def test_a_dead_receiver_is_given_up_after_a_while(desk: Desk) -> None:
    desk.listen("http://127.0.0.1:1/")
    desk.put(alert())
    attempts = 0
    for _ in range(40):
        desk.run(300)
        (note,) = desk.records.notifications("default", "ops", 1)
        attempts = note.attempts
        if note.state == "failed":
            break
    assert (note.state, attempts) == ("failed", deliver.MAX_ATTEMPTS)


def test_a_dead_channel_delays_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_TIMEOUT_S", 120)
    monkeypatch.setattr(http, "DEADLINE_S", 120)
    served = threading.Event()

    def stuck(_: Any) -> tuple[int, dict[str, str], bytes]:
        served.wait(60)
        return 500, {}, b""

    def answer(_: Any) -> tuple[int, dict[str, str], bytes]:
        served.set()
        return 200, {}, b""

    with http_receiver(answer=stuck) as dead, http_receiver(answer=answer) as well:
        desk.listen(dead.url, "dead")
        desk.listen(well.url, "well")
        desk.put(alert())
        desk.now_s += 30
        for _ in range(2):
            desk.tick.run(desk.now_s * NS, LEASE)
        # The dead one is let go by the other's message alone: were it waited for, nothing would come in time.
        assert served.wait(30)
        assert len(well.got) == 1
        desk.tick.finish(60)


def test_a_message_that_cannot_pass_holds_up_only_its_group(desk: Desk) -> None:
    def picky(got: Any) -> tuple[int, dict[str, str], bytes]:
        return (500 if "bad" in str(got.json["group"]) else 200), {}, b""

    with http_receiver(answer=picky) as receiver:
        desk.listen(receiver.url, group_by=("model",))
        desk.put(alert(labels={"model": "bad"}), alert(id="a2", labels={"model": "good"}))
        for _ in range(4):
            desk.run(30)
        good = [body for body in receiver.bodies if body["group"]["labels"] == {"model": "good"}]
    assert len(good) == 1


def test_silenced_alerts_wait_and_are_told_when_the_silence_ends(desk: Desk) -> None:
    with http_receiver() as receiver:
        desk.listen(receiver.url)
        desk.records.create_silence(
            Silence("", "default", (Matcher("alertname", "=", "Busy"),), T0 * NS, (T0 + 1000) * NS)
        )
        desk.put(alert())
        for _ in range(3):
            desk.run(300)
        assert receiver.got == []
        desk.run(330)
        assert ids(receiver) == [[("a1", "firing")]]


def test_a_critical_alert_holds_back_the_warning(desk: Desk) -> None:
    with http_receiver() as receiver:
        desk.listen(receiver.url, group_by=("severity",))
        desk.put(alert(), alert(id="w", severity="warning"))
        desk.run(30)
        assert ids(receiver) == [[("a1", "firing")]]
        desk.put(alert(state="resolved", resolved_s=desk.now_s), step="resolved")
        desk.run(300)
        desk.run(300)
        assert [("w", "firing")] in ids(receiver)


def test_a_channel_that_is_off_hears_later_or_never(desk: Desk) -> None:
    with http_receiver() as receiver:
        made = desk.listen(receiver.url)
        desk.put(alert())
        desk.records.update_channel(replace(made, enabled=False))
        desk.run(3600)
        assert receiver.got == []
        desk.records.update_channel(made)
        desk.run(1)
        assert len(receiver.got) == 1


def test_old_news_is_given_up(desk: Desk) -> None:
    with http_receiver(answer=lambda _: (500, {}, b"")) as receiver:
        made = desk.listen(receiver.url, repeat_interval_s=7 * 86_400)
        desk.put(alert())
        desk.run(30)
        desk.records.update_channel(replace(made, enabled=False))
        desk.run(90_000)
        (note,) = desk.records.notifications("default", "ops", 5)
        assert note.state == "failed"
        assert len(receiver.got) == 1


def test_a_clock_set_back_loses_nothing(desk: Desk) -> None:
    with http_receiver() as receiver:
        desk.listen(receiver.url)
        desk.run(86_400)
        desk.put(alert())
        desk.run(-86_400)
        assert len(receiver.got) == 1
        desk.put(alert(state="resolved", resolved_s=desk.now_s), step="resolved")
        desk.run(300)
        assert [body["status"] for body in receiver.bodies] == ["firing", "resolved"]


def test_after_a_restart_what_waited_is_sent(desk: Desk) -> None:
    with http_receiver() as receiver:
        desk.listen(receiver.url)
        desk.put(alert())
        desk.run(30, Lease("alerts.deliver", 1, lambda: False))
        assert receiver.got == []
        desk.restart()
        desk.run(0)
        assert len(receiver.got) == 1


def test_sealed_for_another_target_is_not_sent(desk: Desk) -> None:
    with http_receiver() as receiver:
        made = desk.listen(receiver.url)
        desk.records.update_channel(replace(made, target="https://elsewhere"))
        desk.put(alert())
        desk.run(30)
        assert receiver.got == []
    assert "cannot be decrypted" in desk.records.deliveries("default")["ops"].last_error


def test_pruning_keeps_what_is_recent(desk: Desk) -> None:
    with http_receiver() as receiver:
        desk.listen(receiver.url)
        desk.put(alert())
        desk.put(alert(state="resolved", resolved_s=desk.now_s), step="resolved")
        desk.run(30)
        desk.run(7200)
        assert desk.records.counts() == {"resolved": 1, "waiting": 0}
        desk.run(31 * 86_400)
        assert desk.records.counts() == {"waiting": 0}
        assert len(receiver.got) == 1


def test_a_crowd_that_waits_for_one_channel_delays_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "MESSAGES_AT_ONCE", 2)
    monkeypatch.setattr(deliver, "GROUPS_AT_ONCE", 3)
    with http_receiver(answer=lambda _: (500, {}, b"")) as dead, http_receiver() as well:
        off = desk.listen(dead.url, "a-off", group_by=("model",))
        desk.listen(dead.url, "b-dead", group_by=("model",))
        desk.listen(well.url, "c-well")
        desk.put(*(alert(id=f"a{n}", labels={"model": str(n)}) for n in range(20)))
        desk.records.update_channel(replace(off, enabled=False))
        for _ in range(8):
            desk.run(30)
    assert len(well.got) == 1
    assert len(well.bodies[0]["alerts"]) == 20
