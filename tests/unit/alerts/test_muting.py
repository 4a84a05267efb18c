"""Silences and inhibitions."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.derive.alerts.muting import Muted, Muting, checked_matchers, checked_silence, fits
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import DEFAULT_INHIBITIONS, Inhibition, Matcher, Silence
from tests.unit.alerts.make import NS, T0, alert, rule


def silence(*matchers: Matcher, **more: Any) -> Silence:
    given = {"id": "s1", "project_id": "default", "starts_ns": T0 * NS, "ends_ns": (T0 + 60) * NS} | more
    return Silence(matchers=matchers, **given)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("=", "gpt-4o", True), ("=", "gpt", False), ("!=", "gpt", True), ("!=", "gpt-4o", False),
        ("=~", "gpt-*", True), ("=~", "gpt", False), ("=~", "gpt-?o", True), ("=~", "*", True),
        ("!~", "gpt-*", False), ("!~", "claude*", True), ("=~", "gpt-[4]o", False), ("=~", "GPT-4o", False),
    ],
)  # fmt: skip
def test_matchers(operator: Any, value: str, expected: bool) -> None:
    assert fits([Matcher("model", operator, value)], {"model": "gpt-4o"}) is expected


def test_a_missing_label_is_empty_and_all_must_fit() -> None:
    assert fits([Matcher("model", "=", "")], {})
    assert not fits([Matcher("a", "=", "1"), Matcher("b", "=", "2")], {"a": "1"})


@pytest.mark.timeout(60)
def test_hostile_patterns_take_no_time() -> None:
    # A matcher that goes back over every way to divide the text would never end.
    assert not fits([Matcher("a", "=~", "*a" * 200 + "b")], {"a": "a" * 500})


def test_silences_hold_while_they_last() -> None:
    held = silence(Matcher("alertname", "=", "Busy"), Matcher("severity", "=", "critical"))
    for at_s, muted in ((-1, False), (0, True), (59, True), (60, False)):
        why = Muting([held], (), [], (T0 + at_s) * NS).why(alert())
        assert why == (Muted("silence", "s1") if muted else None)
    assert Muting([held], (), [], T0 * NS).why(alert(severity="warning")) is None


def test_a_critical_alert_holds_back_warnings_about_the_same() -> None:
    critical = alert(id="c", labels={"model": "x"})
    muting = Muting([], DEFAULT_INHIBITIONS, [critical], T0 * NS)
    warning = alert(id="w", rule_name="Quite busy", rule_type="anomaly", severity="warning", labels={"model": "x"})
    assert muting.why(warning) == Muted("inhibition", "c")
    assert muting.why(alert(id="w", severity="warning", labels={"model": "y"})) is None
    assert muting.why(alert(id="w", severity="warning", labels={"model": "x"}, metric="cost_usd")) is None
    assert muting.why(critical) is None
    assert muting.why(alert(id="c2", labels={"model": "x"})) is None
    pending = alert(id="c", labels={"model": "x"}, state="pending")
    assert Muting([], DEFAULT_INHIBITIONS, [pending], T0 * NS).why(warning) is None
    assert Muting([], (), [critical], T0 * NS).why(warning) is None


def test_all_labels_hold_the_metric_and_the_filter() -> None:
    """Rules that measure other things, or of other calls, are not about the same thing whatever their labels."""
    critical = alert(id="c", rule_id="shop")
    for metric, q, muted in (
        ("requests", "service:shop", True),
        ("requests", " service:shop ", True),
        ("requests", "service:desk", False),
        ("requests", "", False),
        ("cost_usd", "service:shop", False),
        ("", "service:shop", False),
    ):
        rules = [rule(id="shop", q="service:shop"), rule(id="other", q=q)]
        muting = Muting([], DEFAULT_INHIBITIONS, [critical], T0 * NS, rules)
        warning = alert(id="w", rule_id="other", severity="warning", metric=metric)
        assert (muting.why(warning) is not None) is muted, (metric, q)
    # An inhibition that names its labels asks for no more than these.
    named = (Inhibition(DEFAULT_INHIBITIONS[0].source, DEFAULT_INHIBITIONS[0].target, ()),)
    muting = Muting([], named, [critical], T0 * NS, rules)
    assert muting.why(alert(id="w", rule_id="other", severity="warning", metric="cost_usd")) is not None


def test_inhibitions_can_name_the_labels_that_must_agree() -> None:
    rule = Inhibition((Matcher("alertname", "=", "Down"),), (Matcher("alertname", "=~", "Slow*"),), ("service",))
    down = alert(id="d", rule_name="Down", labels={"service": "shop", "model": "x"})
    muting = Muting([], (rule,), [down], T0 * NS)
    assert muting.why(alert(id="s", rule_name="Slow answers", labels={"service": "shop"})) == Muted("inhibition", "d")
    assert muting.why(alert(id="s", rule_name="Slow answers", labels={"service": "desk"})) is None


@pytest.mark.parametrize(
    "bad",
    [
        silence(), silence(Matcher("", "=", "x")), silence(Matcher("a", "~", "x")),  # type: ignore[arg-type]
        silence(*[Matcher("a", "=", "x")] * 21), silence(Matcher("a", "=", "x" * 501)),
        silence(Matcher("a", "=", "x"), ends_ns=T0 * NS), silence(Matcher("a", "=", "x"), ends_ns=T0 * NS * 2),
        silence(Matcher("a", "=", "x"), note="x" * 2001),
    ],
)  # fmt: skip
def test_silences_that_cannot_be_meant_are_refused(bad: Silence) -> None:
    with pytest.raises(BadRequest):
        checked_silence(bad)


def test_good_ones_pass() -> None:
    good = silence(Matcher("model", "=~", "gpt*"))
    assert checked_silence(good) is good
    assert checked_matchers(good.matchers, "x") == good.matchers
