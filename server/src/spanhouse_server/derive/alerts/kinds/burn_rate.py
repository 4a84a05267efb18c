"""Rules about service levels: one alert for each pair of windows in which an error budget burns too fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from math import gcd
from typing import Any

from spanhouse_server.derive.alerts.kinds.chosen import chosen, names_in
from spanhouse_server.derive.alerts.kinds.contract import Observation, State
from spanhouse_server.derive.alerts.kinds.parameters import Parameters
from spanhouse_server.derive.series import SeriesSource
from spanhouse_server.derive.slo.burn import Burn, burn_line, burn_rates
from spanhouse_server.derive.slo.held import FINE_S, HeldEvents
from spanhouse_server.derive.slo.rules import checked
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import Rule
from spanhouse_server.model.budgets import INDICATORS, LATENCIES_OF, SLO_UNITS, Slo

#: Gives the service levels of a project.
SlosOf = Callable[[str], Sequence[Slo]]


@dataclass(frozen=True, slots=True)
class BurnParams:
    """Which service levels, by name or id (none: all that are enabled), or one given in the rule itself."""

    slos: tuple[str, ...]
    own: Slo | None


class BurnRateKind:
    """Fires when an error budget burns at 14.4 times (1 h and 5 min), 6 times (6 h, 30 min) or once (3 d, 6 h).

    The first two are breaches, the last a warning. Parameters: ``slos``, names or ids with commas between (default
    all of the project). Or a level of the rule's own over its ``q``: ``objective`` (0.99), with ``indicator``,
    ``unit``, ``latency_of``, ``threshold_ms``, ``min_events`` and ``min_bad_events`` as in ``/slos``.
    """

    name = "burn_rate"
    metric_use = "optional"

    def __init__(self, slos_of: SlosOf | None = None) -> None:
        self._slos_of = slos_of

    def bind(self, slos_of: SlosOf) -> None:
        """Say where service levels are found; a server does when it opens."""
        self._slos_of = slos_of

    def check(self, params: Mapping[str, Any]) -> BurnParams:
        """Return the parameters; raise ``BadRequest``."""
        given = Parameters(params)
        names = names_in(given.text("slos"))
        objective = given.number("objective", None)
        like = Slo("", "", "", Decimal(0))
        own = replace(
            like,
            name="own",
            objective=Decimal(repr(objective or 0.0)),
            indicator=given.choice("indicator", like.indicator, INDICATORS),  # type: ignore[arg-type]
            unit=given.choice("unit", like.unit, SLO_UNITS),  # type: ignore[arg-type]
            latency_of=given.choice("latency_of", like.latency_of, LATENCIES_OF),  # type: ignore[arg-type]
            threshold_ms=given.number("threshold_ms", 0.0) or 0.0,
            min_events=given.whole("min_events", like.min_events, lowest=1, highest=1_000_000),
            min_bad_events=given.whole("min_bad_events", like.min_bad_events, lowest=1, highest=1_000_000),
        )
        given.finish()
        if objective is None:
            return BurnParams(names, None)
        if names:
            raise BadRequest("params.slos and params.objective exclude each other", "give one of them")
        try:
            return BurnParams((), checked(own))
        except BadRequest as error:
            raise BadRequest(f"params.{error.message}", error.hint) from None

    def observe(self, rule: Rule, source: SeriesSource, at_s: int) -> list[Observation]:
        """Judge every pair of windows of the chosen service levels."""
        return [
            each
            for slo in self._chosen(rule)
            for each in _observed(slo, partial(HeldEvents, slo, source, at_s, at_s), at_s)
        ]

    def observe_over(
        self, rule: Rule, source: SeriesSource, from_s: int, to_s: int, step_s: int
    ) -> Iterator[tuple[int, list[Observation]]]:
        """Judge at every step from one read of each level."""
        slos = self._chosen(rule)
        # The ends of the windows lie on multiples of the finest grain: steps that do too need no finer pieces.
        fine_s = gcd(from_s, step_s, 300)
        fine_s = fine_s if fine_s % FINE_S == 0 else FINE_S
        held: dict[str, HeldEvents] = {}

        def held_of(slo: Slo) -> HeldEvents:
            if slo.id not in held:
                held[slo.id] = HeldEvents(slo, source, from_s, to_s, fine_s)
            return held[slo.id]

        for at_s in range(from_s, to_s + 1, step_s):
            yield at_s, [each for slo in slos for each in _observed(slo, partial(held_of, slo), at_s)]

    def _chosen(self, rule: Rule) -> list[Slo]:
        params: BurnParams = rule.params
        if params.own is not None:
            return [replace(params.own, id=rule.id, project_id=rule.project_id, name=rule.name, q=rule.q)]
        if self._slos_of is None:
            raise BadRequest("rules of type burn_rate need the server's service levels", "give params.objective")
        return chosen(self._slos_of(rule.project_id), params.slos, "service level", "/api/v1/slos")


BURN_RATE = BurnRateKind()


def _observed(slo: Slo, held_of: Callable[[], SeriesSource], at_s: int) -> list[Observation]:
    """Judge one service level. One that can no longer be read is unknown, and holds up no other."""
    named = {"slo": slo.name, "slo_id": slo.id}
    found = []
    try:
        source = held_of()
        for burn in burn_rates(source, slo, at_s):
            labels = {**named, "window": burn.pair.name, "urgency": burn.pair.urgency}
            state = _state(burn)
            found.append(Observation(labels, state, burn.long_rate, _evidence(slo, source, burn, state)))
    except BadRequest as error:
        return [Observation(named, "unknown", None, {"reason": f"the service level cannot be read: {error.message}"})]
    return found


def _state(burn: Burn) -> State:
    if burn.long_rate is None:
        return "unknown"
    if burn.burning:
        return "breach" if burn.pair.urgency == "page" else "warning"
    # Too little happened to be bad; what little there was is no news of an incident.
    return "ok" if burn.enough or burn.long.bad == 0 else "unknown"


def _evidence(slo: Slo, source: SeriesSource, burn: Burn, state: State) -> dict[str, Any]:
    if state == "unknown":
        least = f"{slo.min_events} events and {slo.min_bad_events} bad ones"
        return {"reason": f"{burn.long.total:.0f} events, {burn.long.bad:.0f} bad: a judgement needs {least}"}
    allowed = float(1 - slo.objective)
    evidence: dict[str, Any] = {
        "reason": f"the error budget of {slo.name} burns at {burn.long_rate or 0.0:.1f} times the rate it lasts for"
        f" ({burn.long.bad:.0f} of {burn.long.total:.0f} events were bad, {burn.short.bad:.0f} of"
        f" {burn.short.total:.0f} in the short window)",
        "threshold": burn.pair.rate * allowed,
        "slo_id": slo.id,
        "objective": float(slo.objective),
    }
    if state != "ok":
        evidence["points"] = burn_line(source, slo, burn)
    return evidence
