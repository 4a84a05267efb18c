"""Rules that fire when something that used to come stops coming."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.alerts.kinds.parameters import Parameters
from spanhouse_server.derive.series import MemorySeries, SeriesQuery, SeriesSource, adds_up, group_of, ratio_of
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import Rule
from spanhouse_server.query.metrics import Group

#: Groups that are watched, the largest; those beyond are not missed.
MAX_GROUPS = 500


@dataclass(frozen=True, slots=True)
class Silent:
    """A group counts as known, and so as missing, for ``lookback_s`` after it was last heard of."""

    lookback_s: int


class NoData:
    """Fires when the window holds nothing of a metric that counts, e.g. ``requests``.

    Parameter: ``lookback_s`` (default 24 h): groups that were there in it are missed when they are silent.
    """

    name = "no_data"
    metric_use = "needed"

    def check(self, params: Mapping[str, Any]) -> Silent:
        """Return the parameters; raise ``BadRequest``."""
        given = Parameters(params)
        lookback_s = given.whole("lookback_s", 86_400, lowest=60, highest=28 * 86_400)
        given.finish()
        return Silent(lookback_s)

    def observe(self, rule: Rule, source: SeriesSource, at_s: int) -> list[Observation]:
        """Judge every group that was heard of in the look-back."""
        _check(rule)
        silent: Silent = rule.params
        start_s = at_s - rule.window_s
        before = _counts(rule, source, start_s - silent.lookback_s, silent.lookback_s)
        # Asked for by name: who is not among the largest now is not silent for that.
        now = _counts(rule, source, start_s, rule.window_s, list(before))
        return [
            _judged(dict(zip(rule.group_by, group, strict=True)), now.get(group, 0.0), before.get(group, 0.0), rule)
            for group in now.keys() | before.keys()
        ]

    def observe_over(
        self, rule: Rule, source: SeriesSource, from_s: int, to_s: int, step_s: int
    ) -> Iterator[tuple[int, list[Observation]]]:
        """Judge at every step from one read."""
        _check(rule)
        silent: Silent = rule.params
        width_s = gcd(rule.window_s, silent.lookback_s, step_s, from_s)
        query = SeriesQuery(rule.metric, rule.group_by, rule.q, width_s, limit=MAX_GROUPS)
        first_s = from_s - rule.window_s - silent.lookback_s
        held = MemorySeries({rule.metric: source.read(rule.project_id, query, first_s, to_s)}, width_s)
        for at_s in range(from_s, to_s + 1, step_s):
            yield at_s, self.observe(rule, held, at_s)


def _check(rule: Rule) -> None:
    if ratio_of(rule.metric) or not adds_up(rule.metric):
        raise BadRequest(f"no_data needs a metric that counts, not {rule.metric[:60]}", "use requests or spans")


def _counts(
    rule: Rule, source: SeriesSource, start_s: int, width_s: int, known: Sequence[Group] = ()
) -> dict[Group, float]:
    query = SeriesQuery(
        rule.metric, rule.group_by, rule.q, width_s, MAX_GROUPS, start_s % width_s, known if rule.group_by else ()
    )
    found = source.read(rule.project_id, query, start_s, start_s + width_s)
    return {group_of(rule.group_by, series.labels): series.points[0][1] or 0.0 for series in found}


def _judged(labels: Mapping[str, str], now: float, before: float, rule: Rule) -> Observation:
    silent: Silent = rule.params
    evidence: dict[str, Any] = {"before": before, "lookback_s": silent.lookback_s}
    if now:
        return Observation(labels, "ok", now, evidence)
    if not before:
        reason = f"nothing was heard of in the {silent.lookback_s} s before either"
        return Observation(labels, "unknown", 0.0, evidence | {"reason": reason})
    reason = f"nothing for {rule.window_s} s, after {before:g} in the {silent.lookback_s} s before"
    return Observation(labels, "breach", 0.0, evidence | {"reason": reason})
