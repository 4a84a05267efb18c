"""Alerts in the records store, on SQLite and on a real Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from spanhouse_server.errors import BadRequest, Conflict, NotFound
from spanhouse_server.model.alerts import (
    DEFAULT_INHIBITIONS,
    Alert,
    AlertQuery,
    Channel,
    Inhibition,
    Matcher,
    Member,
    Notification,
    Rule,
    RuleProgress,
    Silence,
    Transition,
    version_of,
)
from spanhouse_server.store.alert_records import AlertRecords
from spanhouse_server.store.contract import RecordsStore
from spanhouse_server.store.records import alert_config, alert_outbox, alert_state
from tests.contract.test_records import records, url
from tests.unit.alerts.make import NS, T0, alert, channel

__all__ = ["records", "url"]

RULE = Rule(
    id="", project_id="default", name="Busy", type="threshold", metric="requests", q='model:"a b"',
    group_by=("model", "service"), window_s=300, written={"above": 10.5}, channels=("ops",),
    labels={"team": "\u00e9"}, note="why", severity="warning", no_data="keep", managed_by="file",
)  # fmt: skip


@pytest.fixture
def alerts(records: RecordsStore) -> AlertRecords:
    return records.alerts


@pytest.fixture
def kept(alerts: AlertRecords) -> Rule:
    alerts.create_channel(channel())
    return alerts.create_rule(RULE)


def firing(rule: Rule, number: int = 1, **more: Any) -> tuple[Alert, list[Transition]]:
    made = alert(id=f"a{number}", rule_id=rule.id, labels={"model": str(number)}, **more)
    return made, [Transition(made.id, "pending", T0), Transition(made.id, "firing", T0, 11.0, "why")]


def commit(
    alerts: AlertRecords,
    rule: Rule,
    before_s: int | None,
    at_s: int,
    changed: Sequence[Alert],
    steps: Any,
    now_s: int = 0,
) -> bool:
    progress = RuleProgress(at_s, {"ok": 1}, "r", took_ms=1.5)
    return alerts.commit(rule, before_s, progress, changed, steps, (now_s or at_s) * NS)


def test_rules_come_back_as_they_were_given(alerts: AlertRecords, kept: Rule) -> None:
    assert kept == replace(RULE, id=kept.id, created_ns=kept.created_ns, updated_ns=kept.created_ns,
                           changed_ns=kept.created_ns)  # fmt: skip
    assert alerts.rules() == alerts.rules("default") == [kept]
    assert alerts.rule("default", kept.id) == kept
    assert alerts.rules("nope") == []
    assert alerts.progress() == {kept.id: RuleProgress()}
    later = alerts.update_rule(replace(kept, written={"above": 11}, enabled=False))
    assert (later.changed_ns, later.created_ns) == (kept.changed_ns, kept.created_ns)
    assert later.updated_ns > kept.updated_ns
    other = alerts.update_rule(replace(later, metric="errors", name="Other"))
    assert other.changed_ns == other.updated_ns > later.updated_ns
    assert alerts.rule("default", kept.id) == other
    assert alerts.delete_rule("default", kept.id) == other
    assert alerts.rules() == []


def test_names_are_taken_once_and_channels_must_exist(alerts: AlertRecords, kept: Rule) -> None:
    with pytest.raises(Conflict):
        alerts.create_rule(RULE)
    with pytest.raises(BadRequest, match="no channel 'pager'"):
        alerts.create_rule(replace(RULE, name="b", channels=("pager",)))
    second = alerts.create_rule(replace(RULE, name="b"))
    with pytest.raises(Conflict):
        alerts.update_rule(replace(second, name="Busy"))
    with pytest.raises(Conflict):
        alerts.create_channel(channel(id="c2"))
    with pytest.raises(Conflict, match="used by 2 rules"):
        alerts.delete_channel("default", "c1")
    with pytest.raises(Conflict):
        alerts.update_channel(channel(name="renamed"))
    with pytest.raises(NotFound):
        alerts.create_rule(replace(RULE, project_id="nope"))


def test_projects_do_not_see_each_others(records: RecordsStore, alerts: AlertRecords, kept: Rule) -> None:
    other = records.create_project("other").id
    commit(alerts, kept, None, T0, *([each] if i == 0 else each for i, each in enumerate(firing(kept))))
    silence = alerts.create_silence(Silence("", "default", (Matcher("a", "=", "b"),), 1, 2))
    calls = [
        lambda: alerts.rule(other, kept.id), lambda: alerts.delete_rule(other, kept.id),
        lambda: alerts.update_rule(replace(kept, project_id=other)), lambda: alerts.channel(other, "c1"),
        lambda: alerts.delete_channel(other, "c1"), lambda: alerts.update_channel(channel(project_id=other)),
        lambda: alerts.alert(other, "a1"), lambda: alerts.end_silence(other, silence.id, 5),
        *(lambda bad=bad: alerts.rule("default", bad) for bad in ("", "a\0b", "\ud800")),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert alerts.alerts(other, AlertQuery()) == alerts.silences(other) == alerts.channels(other) == []
    assert alerts.deliveries(other) == {}
    assert alerts.notifications(other, "c1", 10) == []
    assert len(alerts.alerts("default", AlertQuery())) == 1


def test_channels_come_back_with_their_secrets_sealed(alerts: AlertRecords) -> None:
    given = channel(options={"format": "api", "to": ["a", "b"]}, sealed=b"\0\xff", secrets_set=("url",),
                    target="https://x", group_by=(), send_resolved=False)  # fmt: skip
    made = alerts.create_channel(given)
    assert made == replace(given, created_ns=made.created_ns, updated_ns=made.updated_ns)
    assert alerts.channels("default") == [made]
    changed = alerts.update_channel(replace(made, name="new", enabled=False))
    assert alerts.channel("default", "c1") == changed
    assert alerts.delete_channel("default", "c1") == changed


def test_silences_end(alerts: AlertRecords) -> None:
    made = alerts.create_silence(Silence("", "default", (Matcher("a", "=~", "b*"),), 10, 100, "n\0", "ann"))
    assert alerts.silences("default", 50) == [replace(made, note="n\ufffd")]
    assert alerts.silences("default", 100) == []
    assert alerts.end_silence("default", made.id, 60).ends_ns == 60
    assert alerts.end_silence("default", made.id, 5).starts_ns == 5


def test_inhibitions_are_set_per_project(records: RecordsStore, alerts: AlertRecords) -> None:
    assert alerts.inhibitions("default") == DEFAULT_INHIBITIONS
    own = (Inhibition((Matcher("a", "=", "b"),), (Matcher("c", "!=", "d"),), ("e", "f")),)
    alerts.put_inhibitions("default", own)
    alerts.put_inhibitions(records.create_project("other").id, ())
    assert (alerts.inhibitions("default"), alerts.inhibitions("other")) == (own, ())


def test_inhibitions_are_not_overwritten_unseen(alerts: AlertRecords) -> None:
    one, two = (Inhibition((Matcher("a", "=", value),), (Matcher("c", "=", "d"),)) for value in "12")
    seen = version_of(alerts.inhibitions("default"))
    alerts.put_inhibitions("default", (one,), seen)
    with pytest.raises(Conflict):
        alerts.put_inhibitions("default", (two,), seen)
    assert alerts.inhibitions("default") == (one,)
    alerts.put_inhibitions("default", (one, two), version_of((one,)))
    assert alerts.inhibitions("default") == (one, two)


def test_an_evaluation_is_written_once(alerts: AlertRecords, kept: Rule) -> None:
    made, steps = firing(kept)
    assert commit(alerts, kept, None, T0, [made], steps)
    assert not commit(alerts, kept, None, T0, [replace(made, id="twin")], steps)
    assert not commit(alerts, kept, T0 - 60, T0 + 60, [], [])
    assert commit(alerts, kept, T0, T0 + 60, [replace(made, value=12.0)], [])
    assert alerts.active_alerts() == {kept.id: [replace(made, value=12.0)]}
    assert alerts.alert("default", "a1")[1] == steps
    assert alerts.progress("default")[kept.id] == RuleProgress(T0 + 60, {"ok": 1}, "r", took_ms=1.5)
    changed = alerts.update_rule(replace(kept, note="changed"))
    assert not commit(alerts, kept, T0 + 60, T0 + 120, [], [])
    alerts.failed(kept, "old news", 5)
    assert alerts.progress()[kept.id].error == ""
    alerts.failed(changed, "no such metric", 5)
    alerts.failed(changed, "still none", 9)
    assert alerts.progress()[kept.id].error_since_ns == 5
    assert alerts.progress()[kept.id].error == "still none"
    assert commit(alerts, changed, T0 + 60, T0 + 120, [], [])
    assert alerts.progress()[kept.id].error_since_ns is None
    alerts.delete_rule("default", kept.id)
    assert not commit(alerts, changed, T0 + 120, T0 + 180, [], [])


def test_what_ended_stays_as_it_was_and_what_was_cleared_is_forgotten(alerts: AlertRecords, kept: Rule) -> None:
    made, steps = firing(kept)
    waiting = alert(id="p", rule_id=kept.id, state="pending", fired_s=None)
    commit(alerts, kept, None, T0, [made, waiting], [*steps, Transition("p", "pending", T0)])
    over = replace(made, state="resolved", resolved_s=T0 + 60)
    cleared = replace(waiting, state="resolved", resolved_s=T0 + 60)
    ends = [Transition("a1", "resolved", T0 + 60), Transition("p", "cleared", T0 + 60)]
    commit(alerts, kept, T0, T0 + 60, [over, cleared], ends)
    alerts.close_alerts([replace(over, resolved_s=T0 + 99)], [Transition("a1", "resolved", T0 + 99)], T0 * NS)
    found, history = alerts.alert("default", "a1")
    assert found == over
    assert [step.to for step in history] == ["pending", "firing", "resolved"]
    with pytest.raises(NotFound):
        alerts.alert("default", "p")
    assert alerts.active_alerts() == {}
    assert alerts.counts() == {"resolved": 1, "waiting": 0}


def test_alerts_are_paged_and_chosen(alerts: AlertRecords, kept: Rule) -> None:
    made = [firing(kept, n, active_s=T0 + n // 2, severity="critical" if n % 2 else "warning") for n in range(6)]
    made[5] = (replace(made[5][0], state="pending", fired_s=None), made[5][1][:1])
    commit(alerts, kept, None, T0, [each for each, _ in made], [step for _, steps in made for step in steps])
    assert [each.id for each in alerts.alerts("default", AlertQuery())] == ["a5", "a4", "a3", "a2", "a1", "a0"]
    first = alerts.alerts("default", AlertQuery(limit=3))
    rest = alerts.alerts("default", AlertQuery(limit=9, after=(first[-1].active_s, first[-1].id)))
    assert [each.id for each in [*first, *rest]] == ["a5", "a4", "a3", "a2", "a1", "a0"]
    assert [each.id for each in alerts.alerts("default", AlertQuery(states=("pending",)))] == ["a5"]
    assert len(alerts.alerts("default", AlertQuery(severity="warning"))) == 3
    assert alerts.alerts("default", AlertQuery(rule_id="nope")) == []


def test_what_fired_in_a_range(records: RecordsStore, alerts: AlertRecords, kept: Rule) -> None:
    """Of an hour: what fired before and went on, what fired in it, and not what had ended or came later."""
    spans = {"before": (0, 90), "over": (0, 1000), "in": (200, 300), "open": (500, None), "later": (800, None)}
    for number, (fired_s, resolved_s) in enumerate(spans.values()):
        state = "firing" if resolved_s is None else "resolved"
        ended = None if resolved_s is None else T0 + resolved_s
        made, steps = firing(kept, number, state=state, fired_s=T0 + fired_s, resolved_s=ended, evidence={"a": 1})
        alerts.close_alerts([made], steps, T0 * NS)
    pending = alert(id="p", rule_id=kept.id, state="pending", fired_s=None)
    alerts.close_alerts([pending], [Transition("p", "pending", T0)], T0 * NS)
    grown, _ = firing(kept, 3, severity="critical", fired_s=T0 + 500)
    alerts.close_alerts([grown], [Transition(grown.id, "escalated", T0 + 600)], T0 * NS)
    found = alerts.fired_between("default", T0 + 100, T0 + 700, 10)
    assert [(each.alert.id, each.escalated_s) for each in found] == [("a3", T0 + 600), ("a2", None), ("a1", None)]
    assert (found[0].alert.labels, found[0].alert.evidence) == ({"model": "3"}, {})
    assert [each.alert.id for each in alerts.fired_between("default", T0 + 100, T0 + 700, 1)] == ["a3"]
    assert alerts.fired_between(records.create_project("other").id, T0, T0 + 10_000, 10) == []


def test_firing_joins_the_groups_of_the_rules_channels(alerts: AlertRecords, kept: Rule) -> None:
    alerts.create_channel(channel(id="c2", name="other"))
    first, second = firing(kept), firing(kept, 2)
    commit(alerts, kept, None, T0, [first[0]], first[1])
    assert alerts.groups_due(["c1", "c2"], (T0 + 29) * NS, 10) == []
    commit(alerts, kept, T0, T0 + 20, [second[0]], second[1])
    (group,) = alerts.groups_due(["c1", "c2"], (T0 + 30) * NS, 10)
    assert (group.channel_id, group.key) == ("c1", {"alertname": "Busy"})
    assert [member.alert.id for member in group.members] == ["a1", "a2"]
    assert alerts.groups_due(["c1", "c2"], 0, 10) == []
    assert alerts.groups_due(["c1", "c2"], 0, 10, everything=True) == [group]
    assert alerts.groups_due(["c2"], (T0 + 30) * NS, 10) == []


def test_a_look_at_what_changed_meanwhile_is_not_written(alerts: AlertRecords, kept: Rule) -> None:
    made, steps = firing(kept)
    commit(alerts, kept, None, T0, [made], steps)
    (group,) = alerts.groups_due(["c1", "c2"], (T0 + 30) * NS, 10)
    over = replace(made, state="resolved", resolved_s=T0 + 60)
    commit(alerts, kept, T0, T0 + 60, [over], [Transition("a1", "resolved", T0 + 60)])
    note = message(group.id)
    assert not alerts.settle_group(group, [Member(made, "firing", "critical")], (T0 + 9999) * NS, T0 * NS, note)
    assert alerts.notifications_due("c1", (T0 + 90) * NS, 10) == []
    (group,) = alerts.groups_due(["c1", "c2"], (T0 + 60) * NS, 10)
    assert group.members[0].alert == over
    assert alerts.settle_group(group, [], None, (T0 + 60) * NS, note)
    assert alerts.groups_due(["c1", "c2"], 0, 10, everything=True) == []
    assert alerts.notifications_due("c1", (T0 + 90) * NS, 10) == [note]


def test_a_group_that_spoke_waits_for_its_interval(alerts: AlertRecords, kept: Rule) -> None:
    first, second = firing(kept), firing(kept, 2)
    commit(alerts, kept, None, T0, [first[0]], first[1])
    (group,) = alerts.groups_due(["c1", "c2"], (T0 + 30) * NS, 10)
    told = Member(first[0], "firing", "critical")
    assert alerts.settle_group(group, [told], (T0 + 9999) * NS, (T0 + 30) * NS, message(group.id))
    commit(alerts, kept, T0, T0 + 60, [second[0]], second[1])
    assert alerts.groups_due(["c1", "c2"], (T0 + 329) * NS, 10) == []
    (group,) = alerts.groups_due(["c1", "c2"], (T0 + 330) * NS, 10)
    assert [(member.told, member.told_severity) for member in group.members] == [("firing", "critical"), ("", "")]


def message(group_id: str, number: int = 1, **more: Any) -> Notification:
    given = {"created_ns": (T0 + number) * NS, "next_try_ns": (T0 + number) * NS} | more
    return Notification(f"n{number}", "default", "c1", group_id, {"id": f"n{number}"}, **given)  # type: ignore[arg-type]


def put(alerts: AlertRecords, rule: Rule, *messages: Notification) -> None:
    """Put messages into the outbox by settling a group again and again."""
    made, steps = firing(rule)
    commit(alerts, rule, None, T0, [made], steps)
    for each in messages:
        (group,) = alerts.groups_due(["c1", "c2"], 0, 1, everything=True)
        assert alerts.settle_group(group, group.members, 1, 1, each)


def test_messages_of_a_group_go_one_after_the_other(alerts: AlertRecords, kept: Rule) -> None:
    first, second, other = message("g"), message("g", 2), message("h", 3)
    put(alerts, kept, first, second, other)
    now_ns = (T0 + 10) * NS
    assert alerts.channels_waiting(now_ns) == ["c1"]
    assert alerts.channels_waiting(T0 * NS) == []
    assert alerts.channels_waiting(T0 * NS, everything=True) == ["c1"]
    assert alerts.notifications_due("c2", now_ns, 10) == []
    assert alerts.notifications_due("c1", now_ns, 10) == [first, other]
    failed = replace(first, attempts=1, next_try_ns=now_ns + 1, error="busy")
    assert alerts.tried(failed)
    assert not alerts.tried(failed)
    assert alerts.notifications_due("c1", now_ns, 10) == [other]
    assert alerts.notifications_due("c1", now_ns, 10, everything=True) == [failed, other]
    done = replace(failed, attempts=2, state="delivered", ended_ns=now_ns, error="")
    assert alerts.tried(done)
    assert alerts.notifications_due("c1", now_ns, 10) == [second, other]
    assert not alerts.tried(replace(done, attempts=3))
    assert alerts.tried(replace(second, attempts=1, state="failed", ended_ns=now_ns, error="gone"))
    counts = alerts.deliveries("default")["c1"]
    assert (counts.waiting, counts.delivered, counts.failed, counts.last_error) == (1, 1, 1, "gone")
    assert (counts.last_delivered_ns, counts.last_error_ns) == (now_ns, now_ns)
    assert [each.id for each in alerts.notifications("default", "c1", 2)] == ["n3", "n2"]
    assert alerts.counts()["waiting"] == 1


def test_the_last_error_is_that_of_the_last_attempt(alerts: AlertRecords, kept: Rule) -> None:
    """Not of the newest message: an older one is tried again later."""
    older, newer = message("g"), message("h", 2)
    put(alerts, kept, older, newer)
    newer_ns, older_ns = (T0 + 10) * NS, (T0 + 15) * NS
    assert alerts.tried(replace(newer, attempts=1, tried_ns=newer_ns, error="newer"))
    assert alerts.tried(replace(older, attempts=1, tried_ns=older_ns, error="older"))
    counts = alerts.deliveries("default")["c1"]
    assert (counts.waiting, counts.last_error, counts.last_error_ns) == (2, "older", older_ns)
    assert [each.tried_ns for each in alerts.notifications("default", "c1", 2)] == [newer_ns, older_ns]


def test_bounds(alerts: AlertRecords, kept: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((alert_config, "MAX_RULES"), (alert_config, "MAX_CHANNELS"), (alert_config, "MAX_SILENCES")):
        monkeypatch.setattr(module, name, 1)
    monkeypatch.setattr(alert_outbox, "MAX_WAITING", 2)
    with pytest.raises(BadRequest, match="at most 1 rules"):
        alerts.create_rule(replace(RULE, name="b"))
    with pytest.raises(BadRequest, match="at most 1 channels"):
        alerts.create_channel(channel(id="c2", name="b"))
    once = Silence("", "default", (Matcher("a", "=", "b"),), 1, 2**62)
    alerts.create_silence(once)
    with pytest.raises(BadRequest, match="at most 1 silences"):
        alerts.create_silence(once)
    put(alerts, kept, *(message(f"g{n}", n) for n in range(1, 5)))
    states = {each.id: each.state for each in alerts.notifications("default", "c1", 9)}
    assert states == {"n1": "failed", "n2": "failed", "n3": "waiting", "n4": "waiting"}


def test_old_ones_are_forgotten_unless_they_must_still_be_told(
    alerts: AlertRecords, kept: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [firing(kept, n) for n in range(4)]
    commit(alerts, kept, None, T0, [each for each, _ in made], [step for _, steps in made for step in steps])
    ended = [replace(each, state="resolved", resolved_s=T0 + n) for n, (each, _) in enumerate(made)]
    alerts.close_alerts(ended, [Transition(each.id, "resolved", T0 + 60) for each in ended], T0 * NS)
    assert alerts.prune((T0 + 100) * NS) == 0
    (group,) = alerts.groups_due(["c1", "c2"], 0, 1, everything=True)
    told = replace(message(group.id), state="delivered", ended_ns=5)
    alerts.settle_group(group, [], None, 1, told)
    assert alerts.prune((T0 + 1) * NS) == 1
    assert alerts.notifications("default", "c1", 5) == []
    monkeypatch.setattr(alert_state, "MAX_KEPT", 1)
    assert alerts.prune(0) == 2
    assert [each.id for each in alerts.alerts("default", AlertQuery())] == ["a3"]


def test_a_deleted_channel_takes_its_groups_along(alerts: AlertRecords, kept: Rule) -> None:
    put(alerts, kept, message("g"))
    alerts.update_rule(replace(kept, channels=()))
    alerts.delete_channel("default", "c1")
    assert alerts.groups_due(["c1", "c2"], 0, 5, everything=True) == []
    assert alerts.notifications_due("c1", (T0 + 99) * NS, 5) == []
    assert len(alerts.active_alerts()[kept.id]) == 1


def test_many_channels(alerts: AlertRecords) -> None:
    made = [alerts.create_channel(Channel(f"c{n}", "default", f"n{n}", "webhook")) for n in range(3)]
    assert alerts.channels() == made
