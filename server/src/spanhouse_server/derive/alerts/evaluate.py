"""The tick that evaluates rules: at aligned moments, what was missed too, one failing rule beside the others."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.alerts.evidence import bounded, with_evidence
from spanhouse_server.derive.alerts.kinds import starts_slowly
from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.alerts.machine import Advance, advance, close_all
from spanhouse_server.derive.alerts.rules import kind_of, prepared
from spanhouse_server.derive.contract import Lease
from spanhouse_server.derive.series import SeriesSource, StoreSeries
from spanhouse_server.errors import SpanhouseError, Unavailable
from spanhouse_server.model.alerts import Alert, Rule, RuleProgress
from spanhouse_server.store.alert_records import AlertRecords
from spanhouse_server.store.contract import ColumnarStore

log = logging.getLogger("spanhouse.alerts")

#: Missed moments are judged later, as far back as this.
CATCH_UP_S = 3600
#: A rule rests for this many times as long as its evaluation took, so that a slow one takes a tenth of the time.
REST_FACTOR = 10
#: What takes no longer needs no rest; what fails rests at least so long.
QUICK_S = 0.5
FAILED_REST_S = 60.0
#: Slow rules get this long in a tick; the others come first in each.
SLOW_LANE_S = 5.0
#: Alerts of one evaluation that get a line and traces of their own.
MAX_ILLUSTRATED = 10


def nothing_behind() -> float:
    """Return 0: nothing received waits to be stored."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Slots:
    """The moments (unix s) to judge now. ``interrupted``: moments before them are left out for good."""

    moments: range
    interrupted: bool


def due_slots(rule: Rule, evaluated_s: int | None, settled_s: int, now_s: int) -> Slots:
    """Return what a rule has to judge, given how far it was evaluated and up to when data has settled.

    Moments are multiples of ``every_s``. What was evaluated beyond ``now_s`` was so before the clock was set back:
    judging begins anew instead of waiting for that time to come again.
    """
    last_s = settled_s // rule.every_s * rule.every_s
    if evaluated_s is None:
        return Slots(range(last_s, last_s + 1), False)
    if evaluated_s > last_s:
        set_back = evaluated_s > now_s
        return Slots(range(last_s, last_s + (1 if set_back else 0)), set_back)
    first_s = (evaluated_s // rule.every_s + 1) * rule.every_s
    earliest_s = max(first_s, last_s - CATCH_UP_S // rule.every_s * rule.every_s)
    return Slots(range(earliest_s, last_s + 1, rule.every_s), earliest_s > first_s)


class AlertEvaluation:
    """Evaluates the rules of all projects. A ``Tick``.

    ``settle_s`` is how long spans may take to arrive and settle; ``behind_s`` tells how long received ones have
    been waiting to be stored, which is added, so that an outage of the store is not mistaken for silence.
    """

    name = "alerts.evaluate"
    every_s = 15.0

    def __init__(
        self,
        store: ColumnarStore,
        records: AlertRecords,
        *,
        settle_s: int = 30,
        public_url: str = "",
        behind_s: Callable[[], float] = nothing_behind,
        source: SeriesSource | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._records = records
        self._settle_s = settle_s
        self._public_url = public_url
        self._behind_s = behind_s
        self._source = source or StoreSeries(store)
        self._monotonic_s = monotonic_s
        self._resting: dict[str, tuple[int, float]] = {}
        self._took_s: dict[str, float] = {}

    def run(self, now_ns: int, lease: Lease) -> None:
        """Judge what is due. Raises ``Unavailable`` when a store is away: the next tick goes on from there.

        Quick rules come first. Slow ones follow, the longest due first, for ``SLOW_LANE_S``; the rest of them has its
        turn in the next ticks, after the quick ones again.
        """
        rules = self._records.rules()
        progress = self._records.progress()
        active = self._records.active_alerts()
        self._close_strays(rules, active, now_ns)
        self._resting = {each.id: self._resting[each.id] for each in rules if each.id in self._resting}
        self._took_s = {each.id: self._took_s[each.id] for each in rules if each.id in self._took_s}
        settled_s = now_ns // NS_PER_S - self._settle_s - int(min(self._behind_s(), CATCH_UP_S))
        slow_since_s: float | None = None
        ordered = sorted(rules, key=lambda each: progress.get(each.id, RuleProgress()).evaluated_s or 0)
        for rule in sorted(ordered, key=self._is_slow):
            if not lease.still_held():
                return
            if rule.enabled and not self._is_resting(rule):
                if self._is_slow(rule):
                    now_s = self._monotonic_s()
                    slow_since_s = now_s if slow_since_s is None else slow_since_s
                    if now_s - slow_since_s > SLOW_LANE_S:
                        return
                own = _still_about(rule, active.get(rule.id, ()))
                self._evaluate(rule, progress.get(rule.id, RuleProgress()), own, settled_s, now_ns)

    def _evaluate(self, rule: Rule, before: RuleProgress, active: Sequence[Alert], settled_s: int, now_ns: int) -> None:
        slots = due_slots(rule, before.evaluated_s, settled_s, now_ns // NS_PER_S)
        if not slots.moments:
            return
        started_s = self._monotonic_s()
        failed = True
        try:
            self._judge(prepared(rule), before, active, slots, now_ns)
            failed = False
        except Unavailable as error:
            self._records.failed(rule, error.said, now_ns)
            # A rule that asks for more than the store has memory for meets the same error: it rests, like any that
            # fails. If it is the store that is away, this raises.
            self._store.select("SELECT 1 AS alive")
        except SpanhouseError as error:
            self._records.failed(rule, error.said, now_ns)
        except Exception:
            log.exception("the rule %s of project %s cannot be evaluated", rule.id, rule.project_id)
            self._records.failed(rule, "something failed inside Spanhouse; its log says what", now_ns)
        took_s = self._took_s[rule.id] = self._monotonic_s() - started_s
        rest_s = max(FAILED_REST_S if failed else 0.0, took_s * REST_FACTOR if took_s > QUICK_S else 0.0)
        if rest_s:
            self._resting[rule.id] = (rule.updated_ns, self._monotonic_s() + rest_s)

    def _judge(self, rule: Rule, before: RuleProgress, active: Sequence[Alert], slots: Slots, now_ns: int) -> None:
        kind = kind_of(rule)
        evaluated_s, interrupted = before.evaluated_s, slots.interrupted
        alerts = list(active)
        first_s, last_s = slots.moments[0], slots.moments[-1]
        started_s = self._monotonic_s()
        judged = (
            kind.observe_over(rule, self._source, first_s, last_s, rule.every_s)
            if len(slots.moments) > 1
            else iter([(first_s, kind.observe(rule, self._source, first_s))])
        )
        for at_s, observations in judged:
            changed = advance(rule, alerts, observations, at_s, _new_id, interrupted=interrupted)
            self._illustrate(rule, changed, at_s)
            took_ms = round((self._monotonic_s() - started_s) * 1000, 1)
            progress = _progress(observations, at_s, took_ms)
            written = self._records.commit(
                rule, evaluated_s, progress, list(changed.alerts.values()), changed.transitions, now_ns
            )
            if not written:
                return
            known = {each.id: each for each in alerts} | changed.alerts
            alerts = [each for each in known.values() if each.state != "resolved"]
            evaluated_s, interrupted, started_s = at_s, False, self._monotonic_s()

    def _illustrate(self, rule: Rule, changed: Advance, at_s: int) -> None:
        """Put the line and the traces into alerts that people will hear of now; bound the evidence of all."""
        told = [step.alert_id for step in changed.transitions if step.to in ("firing", "escalated")][:MAX_ILLUSTRATED]
        for alert_id, alert in changed.alerts.items():
            evidence = (
                with_evidence(alert, rule, self._store, self._source, at_s, self._public_url)
                if alert_id in told
                else bounded(alert.evidence)
            )
            changed.alerts[alert_id] = replace(alert, evidence=evidence)

    def _close_strays(self, rules: Sequence[Rule], active: Mapping[str, list[Alert]], now_ns: int) -> None:
        """End alerts whose rule is gone, off or about something else now."""
        known = {rule.id: rule for rule in rules}
        for rule_id, alerts in active.items():
            rule = known.get(rule_id)
            if rule is None:
                # Not so if it was made after the rules were read, and another server has judged it since.
                strays, why = list(alerts), "the rule was deleted"
                if any(each.id == rule_id for each in self._records.rules(alerts[0].project_id)):
                    continue
            elif not rule.enabled:
                strays, why = list(alerts), "the rule was switched off"
            else:
                about = {alert.id for alert in _still_about(rule, alerts)}
                strays, why = [alert for alert in alerts if alert.id not in about], "the rule was changed"
            if strays:
                ended = close_all(strays, now_ns // NS_PER_S, why)
                self._records.close_alerts(list(ended.alerts.values()), ended.transitions, now_ns)

    def _is_slow(self, rule: Rule) -> bool:
        """Tell whether a rule is expected to take long, by its last time or, at first, by its kind."""
        took_s = self._took_s.get(rule.id)
        return starts_slowly(rule.type) if took_s is None else took_s > QUICK_S

    def _is_resting(self, rule: Rule) -> bool:
        version, until_s = self._resting.get(rule.id, (0, 0.0))
        return version == rule.updated_ns and self._monotonic_s() < until_s


def _still_about(rule: Rule, alerts: Sequence[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.rule_version == rule.changed_ns]


def _progress(observations: Sequence[Observation], at_s: int, took_ms: float) -> RuleProgress:
    reasons = [str(each.evidence.get("reason", "")) for each in observations if each.state == "unknown"]
    return RuleProgress(
        evaluated_s=at_s,
        observed=Counter(each.state for each in observations),
        reason=next((reason for reason in reasons if reason), "")[:500],
        took_ms=took_ms,
    )


def _new_id() -> str:
    return secrets.token_hex(12)
