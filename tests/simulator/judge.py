"""What was told, held against the truth: recall, delay, false pages, messages per incident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from spanhouse_server.model.alerts import Alert
from tests.simulator.incidents import Incident
from tests.simulator.replay import Outcome
from tests.simulator.world import START_S, WEEK_M, Gap, World

#: An alert that begins so long after an incident, or a gap, still belongs to it.
GRACE_M = 60
#: Rules that may speak up when nothing arrives.
SILENCE_METRICS = ("requests",)


@dataclass(frozen=True)
class Found:
    """An incident and the first message that told of it (``None``: missed), with all messages that did."""

    incident: Incident
    delay_s: float | None
    messages: int


@dataclass
class Judgement:
    """The figures of one replay over ``weeks`` weeks.

    ``false`` are messages with a firing alert that neither an incident nor a gap explains; ``of_gaps`` those that a
    gap does.
    """

    weeks: float
    found: list[Found] = field(default_factory=list)
    false: list[tuple[float, Alert]] = field(default_factory=list)
    of_gaps: int = 0

    @property
    def recall(self) -> float:
        """Return the share of incidents that were told of."""
        return sum(each.delay_s is not None for each in self.found) / max(len(self.found), 1)

    def median_delay_min(self, step: bool | None = None) -> float:
        """Return the median delay in minutes, of sudden incidents (``step``), of slow ones, or of all."""
        delays = [
            each.delay_s / 60
            for each in self.found
            if each.delay_s is not None and step in (None, each.incident.kind.step)
        ]
        return median(delays) if delays else float("nan")

    @property
    def false_per_week(self) -> float:
        """Return false pages per week."""
        return len(self.false) / self.weeks

    @property
    def messages_per_incident(self) -> float:
        """Return messages (firing, repeated, resolved) per incident that was found."""
        told = [each.messages for each in self.found if each.delay_s is not None]
        return sum(told) / max(len(told), 1)


def judged(world: World, outcome: Outcome, from_m: int) -> Judgement:
    """Return the figures of what was told from minute ``from_m`` on."""
    result = Judgement((world.minutes - from_m) / WEEK_M)
    told: dict[int, list[float]] = {index: [] for index in range(len(world.incidents))}
    #: Which incident a firing alert belongs to, so that its repetitions and its end do too.
    owner: dict[str, int] = {}
    for page in outcome.pages:
        if page.at_s < START_S + from_m * 60:
            continue
        about: set[int] = set()
        unexplained: list[Alert] = []
        gap = False
        for alert in page.new:
            index = _explained_by(world.incidents, alert)
            if index is not None:
                about.add(index)
                owner[alert.id] = index
            elif _silence(world.gaps, alert):
                gap = True
            else:
                unexplained.append(alert)
        if not page.new:
            # A repetition, or an end: it belongs to the last incident told of in this service.
            last = [i for i, times in told.items() if times and world.incidents[i].service == page.service]
            near = [i for i in last if page.at_s - told[i][-1] <= 8 * 3600]
            about |= set(near[-1:])
        for index in about:
            told[index].append(page.at_s)
        if unexplained:
            result.false.append((page.at_s, unexplained[0]))
        elif gap and not about:
            result.of_gaps += 1
    for index, incident in enumerate(world.incidents):
        times = told[index]
        delay = times[0] - (START_S + incident.start_m * 60) if times else None
        result.found.append(Found(incident, delay, len(times)))
    return result


def _explained_by(incidents: Sequence[Incident], alert: Alert) -> int | None:
    began = alert.fired_s if alert.fired_s is not None else alert.active_s
    for index, incident in enumerate(incidents):
        start_s, end_s = START_S + incident.start_m * 60, START_S + (incident.end_m + GRACE_M) * 60
        if (
            alert.labels.get("service") == incident.service
            and alert.metric in incident.kind.moves
            and start_s <= began <= end_s
        ):
            return index
    return None


def _silence(gaps: Sequence[Gap], alert: Alert) -> bool:
    began = alert.fired_s if alert.fired_s is not None else alert.active_s
    return alert.metric in SILENCE_METRICS and any(
        gap.service in ("", alert.labels.get("service"))
        and START_S + gap.start_m * 60 <= began <= START_S + (gap.end_m + GRACE_M) * 60
        for gap in gaps
    )
