"""Who is not told: silences and inhibitions, as pure functions over labels."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import Alert, Inhibition, Matcher, Rule, Silence, all_labels

MAX_MATCHERS = 20
MAX_INHIBITIONS = 50
MAX_SILENCE_NS = 366 * 86_400 * 10**9
OPERATORS = ("=", "!=", "=~", "!~")
#: Labels that say how bad it is and by which rule, not what it is about.
_ASIDE = frozenset({"alertname", "severity", "type"})


@dataclass(frozen=True, slots=True)
class Muted:
    """Why an alert is not told: the silence's id, or that of the alert that inhibits it."""

    by: str
    id: str


class Muting:
    """What is in force in one project at one moment."""

    def __init__(
        self,
        silences: Iterable[Silence],
        inhibitions: Sequence[Inhibition],
        firing: Iterable[Alert],
        at_ns: int,
        rules: Iterable[Rule] = (),
    ) -> None:
        """``rules`` are those of the project: alerts of rules with different filters are about different things."""
        self._q = {rule.id: " ".join(rule.q.split()) for rule in rules}
        self._silences = [each for each in silences if each.starts_ns <= at_ns < each.ends_ns]
        self._sources: list[tuple[Inhibition, dict[Hashable, list[str]]]] = [(rule, {}) for rule in inhibitions]
        for alert in firing:
            if alert.state == "firing":
                labels = all_labels(alert)
                for rule, by_key in self._sources:
                    if fits(rule.source, labels):
                        by_key.setdefault(self._key(rule, alert, labels), []).append(alert.id)

    def why(self, alert: Alert) -> Muted | None:
        """Return what mutes an alert, or nothing. An alert never inhibits itself."""
        labels = all_labels(alert)
        for silence in self._silences:
            if fits(silence.matchers, labels):
                return Muted("silence", silence.id)
        for rule, by_key in self._sources:
            if not fits(rule.target, labels) or fits(rule.source, labels):
                continue
            for other_id in by_key.get(self._key(rule, alert, labels), ()):
                if other_id != alert.id:
                    return Muted("inhibition", other_id)
        return None

    def _key(self, rule: Inhibition, alert: Alert, labels: Mapping[str, str]) -> Hashable:
        """Return what two alerts must have in common for one to inhibit the other."""
        if "*" in rule.equal:
            about = frozenset(item for item in labels.items() if item[0] not in _ASIDE)
            return about, self._q.get(alert.rule_id, "")
        return tuple(labels.get(name, "") for name in rule.equal)


def fits(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Tell whether labels meet all matchers."""
    return all(_fits(matcher, labels.get(matcher.label, "")) for matcher in matchers)


def _fits(matcher: Matcher, value: str) -> bool:
    if matcher.operator in ("=", "!="):
        return (value == matcher.value) == (matcher.operator == "=")
    # The standard library's patterns take time in proportion to the text, whatever the pattern.
    return fnmatchcase(value, matcher.value.replace("[", "[[]")) == (matcher.operator == "=~")


def checked_matchers(matchers: Sequence[Matcher], what: str) -> tuple[Matcher, ...]:
    """Return matchers that can be kept; raise ``BadRequest``."""
    if not 0 < len(matchers) <= MAX_MATCHERS:
        raise BadRequest(f"{what} needs 1 to {MAX_MATCHERS} matchers")
    for matcher in matchers:
        if matcher.operator not in OPERATORS:
            raise BadRequest(f"{what}: operator must be one of {', '.join(OPERATORS)}")
        if not 0 < len(matcher.label) <= 100 or len(matcher.value) > 500:
            raise BadRequest(f"{what}: a label has 1 to 100 characters, a value up to 500")
    return tuple(matchers)


def checked_silence(silence: Silence) -> Silence:
    """Return a silence that can be kept; raise ``BadRequest``."""
    checked_matchers(silence.matchers, "a silence")
    if not silence.starts_ns < silence.ends_ns:
        raise BadRequest("the silence ends before it begins", "give an end after the start")
    if silence.ends_ns - silence.starts_ns > MAX_SILENCE_NS:
        raise BadRequest("a silence lasts a year at most", "switch the rule off instead")
    if len(silence.note) > 2000 or len(silence.created_by) > 200:
        raise BadRequest("note takes up to 2000 characters, created_by up to 200")
    return silence
