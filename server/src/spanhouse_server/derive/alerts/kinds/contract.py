"""What a kind of rule is: how its parameters are checked and how it judges a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from spanhouse_server.derive.series import SeriesSource
from spanhouse_server.model.alerts import Rule

State = Literal["ok", "warning", "breach", "unknown"]
"""``unknown``: there is nothing to judge (no data, or still learning)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a kind saw of one group at one moment.

    ``labels`` are the group's. ``evidence`` is JSON: ``points`` ([[unix s, value]]), ``threshold`` or ``baseline``
    ([[unix s, expected, low, high]]), ``reason`` (a sentence). ``holds`` marks an ``ok`` that is not well enough to
    end an alert: one that fires goes on (hysteresis). ``normal`` is what is normal there, for kinds that know: unix s
    of the measurement, expected, low, high.
    """

    labels: Mapping[str, str]
    state: State
    value: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    holds: bool = False
    normal: tuple[int, float | None, float | None, float | None] | None = None


class Kind(Protocol):
    """A type of rule. ``name`` is the rule's ``type``.

    A kind may say in ``metric_use`` what the rule's metric is to it: ``needed``, ``any`` (also one that does not exist
    yet) or ``optional``, which holds where it does not say. With ``told_once = True`` its alerts are told when they
    fire, grow worse and end, and are never repeated in between; with ``starts_slowly = True`` a rule's first evaluation
    is left until others are done.
    """

    name: str

    def check(self, params: Mapping[str, Any]) -> Any:
        """Return typed parameters; raise ``BadRequest`` naming the parameter that cannot be meant."""

    def observe(self, rule: Rule, source: SeriesSource, at_s: int) -> list[Observation]:
        """Judge every group at ``at_s`` (unix s), from what lies before it."""

    def observe_over(
        self, rule: Rule, source: SeriesSource, from_s: int, to_s: int, step_s: int
    ) -> Iterator[tuple[int, list[Observation]]]:
        """Give (``at_s``, the verdicts of ``observe``) at ``from_s``, ``from_s + step_s`` … up to ``to_s`` inclusive."""


def observe_each(
    kind: Kind, rule: Rule, source: SeriesSource, from_s: int, to_s: int, step_s: int
) -> Iterator[tuple[int, list[Observation]]]:
    """Judge step by step: ``observe_over`` for kinds that have no faster way."""
    for at_s in range(from_s, to_s + 1, step_s):
        yield at_s, kind.observe(rule, source, at_s)
