"""When a channel hears of which alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.derive.alerts.grouping import look
from spanhouse_server.model.alerts import Alert, Group, Member, due_when_touched
from tests.unit.alerts.make import NS, T0, alert, channel

OPS = channel(group_wait_s=30, group_interval_s=300, repeat_interval_s=3600)


def group(*members: Member, **more: object) -> Group:
    given = {"id": "g", "project_id": "default", "channel_id": "c1", "key": {}, "due_ns": T0 * NS} | more
    return Group(**given, members=members)  # type: ignore[arg-type]


def told(seen: Sequence[Alert]) -> list[str]:
    return [each.id for each in seen]


def nobody(_: Alert) -> bool:
    return False


def test_new_ones_are_told_and_then_repeated() -> None:
    first = look(group(Member(alert())), OPS, nobody, T0 * NS)
    assert (told(first.tell), first.repeat) == (["a1"], False)
    assert first.members == [Member(alert(), "firing", "critical")]
    assert first.due_ns == (T0 + 3600) * NS
    again = group(*first.members, notified_ns=first.notified_ns)
    early = look(again, OPS, nobody, (T0 + 3599) * NS)
    assert (early.tell, early.due_ns, early.notified_ns) == ([], first.due_ns, first.notified_ns)
    late = look(again, OPS, nobody, (T0 + 3600) * NS)
    assert (told(late.tell), late.repeat, late.notified_ns) == (["a1"], True, (T0 + 3600) * NS)


def test_a_change_tells_everything_that_fires() -> None:
    members = [Member(alert(), "firing", "critical"), Member(alert(id="a2"))]
    seen = look(group(*members, notified_ns=T0 * NS), OPS, nobody, (T0 + 300) * NS)
    assert told(seen.tell) == ["a2", "a1"]
    assert not seen.repeat


def test_what_is_told_once_is_neither_repeated_nor_listed_again() -> None:
    half, all_of_it = (alert(id=each, rule_type="budget") for each in ("half", "all"))
    first = look(group(Member(half)), OPS, nobody, T0 * NS)
    assert told(first.tell) == ["half"]
    kept = group(*first.members, notified_ns=first.notified_ns)
    for hours in (1, 4, 24 * 31):
        later = look(kept, OPS, nobody, (T0 + hours * 3600) * NS)
        assert (later.tell, later.notified_ns, len(later.members)) == ([], first.notified_ns, 1)
    seen = look(group(*first.members, Member(all_of_it), notified_ns=T0 * NS), OPS, nobody, (T0 + 7200) * NS)
    assert told(seen.tell) == ["all"]
    over = [replace(each, alert=replace(each.alert, state="resolved")) for each in first.members]
    assert told(look(group(*over, notified_ns=T0 * NS), OPS, nobody, (T0 + 9000) * NS).tell) == ["half"]
    # What else fires in the same group is repeated as ever, without it.
    mixed = [*first.members, Member(alert(id="slow"), "firing", "critical")]
    again = look(group(*mixed, notified_ns=T0 * NS), OPS, nobody, (T0 + 3600) * NS)
    assert (told(again.tell), again.repeat) == (["slow"], True)


def test_escalation_is_news() -> None:
    seen = look(group(Member(alert(), "firing", "warning"), notified_ns=T0 * NS), OPS, nobody, (T0 + 300) * NS)
    assert told(seen.tell) == ["a1"]
    assert seen.members[0].told_severity == "critical"


def test_the_end_is_told_once_and_the_group_is_over() -> None:
    over = alert(state="resolved", resolved_s=T0 + 60)
    seen = look(group(Member(over, "firing", "critical"), notified_ns=T0 * NS), OPS, nobody, (T0 + 300) * NS)
    assert (told(seen.tell), seen.members, seen.due_ns) == (["a1"], (), (T0 + 600) * NS)
    after = look(group(notified_ns=seen.notified_ns), OPS, nobody, (T0 + 600) * NS)
    assert (after.tell, after.due_ns) == ([], None)
    quiet = replace(OPS, send_resolved=False)
    seen = look(group(Member(over, "firing", "critical"), notified_ns=T0 * NS), quiet, nobody, (T0 + 300) * NS)
    assert (seen.tell, seen.due_ns) == ([], None)


def test_what_ended_before_it_was_told_is_told_all_the_same() -> None:
    over = alert(state="resolved", resolved_s=T0 + 10)
    for to in (OPS, replace(OPS, send_resolved=False)):
        assert told(look(group(Member(over)), to, nobody, (T0 + 30) * NS).tell) == ["a1"]


def test_muted_ones_wait_and_are_told_when_they_are_not_muted_any_more() -> None:
    muted = look(group(Member(alert())), OPS, lambda _: True, T0 * NS)
    assert (muted.tell, muted.members, muted.notified_ns) == ([], [Member(alert())], None)
    assert muted.due_ns == (T0 + 300) * NS
    assert told(look(group(*muted.members), OPS, nobody, (T0 + 300) * NS).tell) == ["a1"]


def test_muted_ends_are_told_only_to_those_who_heard_of_it() -> None:
    over = alert(state="resolved", resolved_s=T0 + 60)
    never = look(group(Member(over)), OPS, lambda _: True, T0 * NS)
    assert (never.tell, never.due_ns) == ([], None)
    heard = look(group(Member(over, "firing", "critical")), OPS, lambda _: True, T0 * NS)
    assert told(heard.tell) == ["a1"]


def test_a_clock_set_back_delays_nothing_for_long() -> None:
    ahead = group(Member(alert(), "firing", "critical"), notified_ns=(T0 + 86_400) * NS)
    seen = look(ahead, OPS, nobody, T0 * NS)
    assert seen.due_ns == (T0 + 3600) * NS


def test_a_touch_waits_for_the_interval() -> None:
    assert due_when_touched(50 * NS, None, 300, 10 * NS) == 50 * NS
    assert due_when_touched(9000 * NS, 100 * NS, 300, 110 * NS) == 400 * NS
    assert due_when_touched(9000 * NS, 100 * NS, 300, 900 * NS) == 900 * NS
    assert due_when_touched(9000 * NS, 99_999 * NS, 300, 900 * NS) == 1200 * NS


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["fire", "end", "look", "mute", "unmute"]), st.integers(1, 2000)), max_size=40)
)
def test_nothing_that_fired_stays_untold(events: list[tuple[str, int]]) -> None:
    """After the mute is off and time has passed, everything that fires was told, and every end of what was told."""
    now_s, number, muted = T0, 0, False
    current = group(due_ns=T0 * NS)
    heard: dict[str, str] = {}
    for what, after_s in [*events, ("unmute", 1), ("look", 700), ("look", 700)]:
        now_s += after_s
        if what == "fire":
            number += 1
            current = replace(current, members=[*current.members, Member(alert(id=f"a{number}"))])
        elif what == "end" and current.members:
            first = current.members[0]
            ended = replace(first, alert=replace(first.alert, state="resolved", resolved_s=now_s))
            current = replace(current, members=[ended, *current.members[1:]])
        elif what in ("mute", "unmute"):
            muted = what == "mute"
        elif current.members:
            seen = look(current, OPS, lambda _, muted=muted: muted, now_s * NS)
            for each in seen.tell:
                assert heard.get(each.id) != "resolved", "told again after its end"
                heard[each.id] = each.state
            known = {member.alert.id for member in seen.members}
            for member in current.members:
                if member.alert.id not in known and heard.get(member.alert.id) == "firing":
                    raise AssertionError("its end was not told")
            current = replace(current, members=seen.members, notified_ns=seen.notified_ns)
    for member in current.members:
        assert heard[member.alert.id] == "firing"
