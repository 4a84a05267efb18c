"""The life of alerts, as pure functions: pending, firing, resolved.

The engine and the back-test both go through ``advance``; nothing here reads a clock or a store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.alerts.rules import fingerprint_of
from spanhouse_server.model.alerts import Alert, Rule, Severity, Step, Transition

#: An alert whose group was not measured for so long is over, whatever the rule says about missing data.
STALE_S = 24 * 3600

Verdict = Literal["ok", "holds", "warning", "breach", "skip"]


@dataclass(slots=True)
class Advance:
    """What one evaluation changed: alerts to write (the new state), and their transitions in order."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)

    def note(self, alert: Alert, to: Step, at_s: int, reason: str = "") -> None:
        """Add a transition."""
        self.transitions.append(Transition(alert.id, to, at_s, alert.value, reason))


def advance(
    rule: Rule,
    active: Iterable[Alert],
    observations: Sequence[Observation],
    at_s: int,
    new_id: Callable[[], str],
    *,
    interrupted: bool = False,
) -> Advance:
    """Return what an evaluation at ``at_s`` makes of the active alerts of a rule.

    ``interrupted`` says that evaluations before were left out: what is pending then waits anew, since nobody
    knows whether it was in breach all the time.
    """
    done = Advance()
    known = {alert.fingerprint: alert for alert in active}
    seen = set()
    for observation in observations:
        labels = {**rule.labels, **observation.labels}
        fingerprint = fingerprint_of(rule.id, labels)
        if fingerprint in seen:
            continue
        seen.add(fingerprint)
        alert = known.get(fingerprint)
        if alert is None:
            _begin(done, rule, labels, fingerprint, observation, at_s, new_id)
        else:
            _go_on(done, rule, alert, observation, at_s, interrupted)
    for fingerprint, alert in known.items():
        if fingerprint not in seen:
            gone = Observation(alert.labels, "unknown", None, {"reason": "the group is no longer there"})
            _go_on(done, rule, alert, gone, at_s, interrupted)
    return done


def close_all(active: Iterable[Alert], at_s: int, reason: str) -> Advance:
    """Return the end of all alerts of a rule that is gone, off or another now."""
    done = Advance()
    for alert in active:
        _end(done, alert, max(at_s, alert.seen_s), reason)
    return done


def _begin(
    done: Advance,
    rule: Rule,
    labels: Mapping[str, str],
    fingerprint: str,
    seen: Observation,
    at_s: int,
    new_id: Callable[[], str],
) -> None:
    state = "breach" if seen.state == "unknown" and rule.no_data == "alert" else seen.state
    if state not in ("warning", "breach"):
        return
    alert = Alert(
        id=new_id(),
        project_id=rule.project_id,
        rule_id=rule.id,
        rule_name=rule.name,
        rule_type=rule.type,
        rule_version=rule.changed_ns,
        metric=rule.metric,
        fingerprint=fingerprint,
        labels=labels,
        state="pending",
        severity=_severity(rule, state),
        active_s=at_s,
        bad_s=at_s,
        seen_s=at_s,
        value=seen.value,
        evidence=seen.evidence,
        reason=_reason(seen.evidence),
    )
    done.note(alert, "pending", at_s)
    done.alerts[alert.id] = _fired(done, rule, alert, at_s)


def _go_on(done: Advance, rule: Rule, alert: Alert, seen: Observation, at_s: int, interrupted: bool) -> None:
    verdict = _verdict(rule, alert, seen)
    # After a clock was set back, moments that have not come yet count as now.
    alert = replace(alert, active_s=min(alert.active_s, at_s), bad_s=min(alert.bad_s, at_s))
    if alert.state == "pending" and interrupted:
        alert = replace(alert, active_s=at_s)
    if seen.state != "unknown":
        alert = replace(alert, seen_s=at_s, value=seen.value)
    elif at_s - alert.seen_s >= STALE_S and rule.no_data != "alert":
        _end(done, alert, at_s, "nothing was measured for a day")
        return
    else:
        alert = replace(alert, seen_s=min(alert.seen_s, at_s))
    if verdict == "skip":
        done.alerts[alert.id] = alert
    elif verdict in ("warning", "breach"):
        alert = replace(alert, bad_s=at_s)
        # The sentence tells of the same measurement as the value; the evidence stays that of the last transition.
        alert = replace(alert, reason=_reason(seen.evidence))
        if alert.state == "pending":
            alert = replace(alert, evidence=seen.evidence)
        alert = _escalated(done, rule, alert, seen, verdict, at_s)
        done.alerts[alert.id] = _fired(done, rule, alert, at_s)
    elif alert.state == "pending":
        _end(done, alert, at_s, "")
    elif verdict == "holds":
        done.alerts[alert.id] = replace(alert, bad_s=at_s)
    elif at_s - alert.bad_s >= rule.keep_firing_s:
        _end(done, alert, at_s, _reason(seen.evidence) if seen.state == "unknown" else "")
    else:
        done.alerts[alert.id] = alert


def _verdict(rule: Rule, alert: Alert, seen: Observation) -> Verdict:
    if seen.state == "ok":
        return "holds" if seen.holds and alert.state == "firing" else "ok"
    if seen.state != "unknown":
        return seen.state
    if rule.no_data == "ok":
        return "ok"
    if rule.no_data == "alert":
        return "breach"
    if rule.no_data == "ignore":
        return "skip"
    # Kept as it was judged last; that is no worse than the alert is already.
    return "warning" if alert.state == "pending" or alert.bad_s >= alert.seen_s else "ok"


def _escalated(done: Advance, rule: Rule, alert: Alert, seen: Observation, verdict: Verdict, at_s: int) -> Alert:
    severity = _severity(rule, verdict)
    if severity == alert.severity or alert.severity == "critical":
        return alert
    alert = replace(alert, severity=severity, evidence=seen.evidence, reason=_reason(seen.evidence))
    if alert.state == "firing":
        done.note(alert, "escalated", at_s)
    return alert


def _fired(done: Advance, rule: Rule, alert: Alert, at_s: int) -> Alert:
    if alert.state != "pending" or at_s - alert.active_s < rule.for_s:
        return alert
    alert = replace(alert, state="firing", fired_s=at_s)
    done.note(alert, "firing", at_s, alert.reason)
    return alert


def _end(done: Advance, alert: Alert, at_s: int, reason: str) -> None:
    ended = replace(alert, state="resolved", resolved_s=at_s, reason=reason)
    done.note(ended, "resolved" if alert.state == "firing" else "cleared", at_s, reason)
    done.alerts[alert.id] = ended


def _severity(rule: Rule, verdict: str) -> Severity:
    return rule.severity if verdict == "breach" else "warning"


def _reason(evidence: Mapping[str, Any]) -> str:
    return str(evidence.get("reason", ""))[:500]
