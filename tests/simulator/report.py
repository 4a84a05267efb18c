"""The table of docs/anomalies.md: ``python -m tests.simulator.report [--seeds 301-310]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.simulator.incidents import KINDS
from tests.simulator.judge import Found, Judgement, judged
from tests.simulator.replay import default_rules, replay
from tests.simulator.source import ReplaySource
from tests.simulator.static import TUNINGS, static_rules
from tests.simulator.world import START_S, WEEK_M, World, make_world

#: Weeks without incidents that the thresholds are tuned on; everything is judged from their end.
TUNING_WEEKS = 2
SEEDS = "301-310"


@dataclass
class Way:
    """One way to detect, over all seeds."""

    name: str
    judgements: list[Judgement] = field(default_factory=list)

    @property
    def found(self) -> list[Found]:
        """Return all incidents of all seeds."""
        return [each for one in self.judgements for each in one.found]

    def row(self) -> str:
        """Return the row of the table of totals."""
        found = self.found
        weeks = sum(one.weeks for one in self.judgements)
        told = [each for each in found if each.delay_s is not None]
        return (
            f"| {self.name} | {len(told) / len(found):.3f} | {_median(told, True)} | {_median(told, False)} |"
            f" {sum(len(one.false) for one in self.judgements) / weeks:.2f} |"
            f" {max(one.false_per_week for one in self.judgements):.2f} |"
            f" {sum(one.of_gaps for one in self.judgements) / weeks:.2f} |"
            f" {sum(each.messages for each in told) / max(len(told), 1):.1f} |"
        )


def run(world: World, ways: dict[str, Way], *, static: bool = True) -> None:
    """Run one replay every way and note the judgements."""
    source = ReplaySource(world)
    from_s, to_s = START_S + 300, START_S + 60 * world.minutes
    tuned_s = START_S + TUNING_WEEKS * WEEK_M * 60
    rules = default_rules()
    trials = [("anomaly rules", rules, from_s)]
    if static:
        trials += [
            (f"thresholds, {tuning.name}", static_rules(rules, source, START_S, tuned_s, tuning), tuned_s)
            for tuning in TUNINGS
        ]
    for name, tried, start_s in trials:
        outcome = replay(tried, source, start_s, to_s)
        ways.setdefault(name, Way(name)).judgements.append(judged(world, outcome, TUNING_WEEKS * WEEK_M))


def table(ways: Sequence[Way]) -> str:
    """Return the totals as Markdown."""
    lines = [
        "| | recall | median delay, sudden (min) | median delay, slow (min) | false pages a week | worst seed |"
        " pages of gaps a week | messages per incident |",
        "|---|---|---|---|---|---|---|---|",
        *(way.row() for way in ways),
    ]
    return "\n".join(lines)


def kinds_table(ways: Sequence[Way]) -> str:
    """Return found incidents and median delay by kind as Markdown."""
    lines = ["| incident |" + "".join(f" {way.name} |" for way in ways), "|---|" + "---|" * len(ways)]
    for kind in KINDS:
        cells = []
        for way in ways:
            mine = [each for each in way.found if each.incident.kind is kind]
            told = [each for each in mine if each.delay_s is not None]
            cells.append(f" {len(told)} of {len(mine)}, {_median(told, None)} min |")
        lines.append(f"| {kind.name} |" + "".join(cells))
    return "\n".join(lines)


def _median(told: Sequence[Found], step: bool | None) -> str:
    delays = [
        each.delay_s / 60 for each in told if each.delay_s is not None and step in (None, each.incident.kind.step)
    ]
    return f"{median(delays):.0f}" if delays else "–"


def seeds_of(text: str) -> list[int]:
    """Return the numbers of ``101-103,7``."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default=SEEDS, help="none of them was used for tuning (1 to 14, 101 and 102 were)")
    parser.add_argument("--only-rules", action="store_true", help="leave the thresholds out")
    given = parser.parse_args(arguments)
    ways: dict[str, Way] = {}
    for seed in seeds_of(given.seeds):
        begun = time.monotonic()
        run(make_world(seed), ways, static=not given.only_rules)
        own = ways["anomaly rules"].judgements[-1]
        print(
            f"seed {seed}: recall {own.recall:.3f}, {own.false_per_week:.2f} false pages a week,"
            f" {own.median_delay_min(True):.0f} min, took {time.monotonic() - begun:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        for missed in (each.incident for each in own.found if each.delay_s is None):
            print(f"  missed: {missed.kind.name} in {missed.service}", file=sys.stderr)
    print(table(list(ways.values())), kinds_table(list(ways.values())), sep="\n\n")


if __name__ == "__main__":
    main()
