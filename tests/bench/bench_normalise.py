"""How fast raw spans become canonical ones, on one core: ``python -m tests.bench.bench_normalise``.

The mix is every recorded golden case, each span as often as every other, with its log events. Garbage is
collected at the pace of the process that does this work in the server (``drain.workshop``).
"""

from __future__ import annotations

import gc
import statistics
import time

from spanhouse_server.drain.workshop import GC_THRESHOLD
from spanhouse_server.model.raw import Attributes, RawLog, RawSpan
from spanhouse_server.normalise import is_genai_log, normalise
from tests.golden.case import all_cases, records

SECONDS_PER_ROUND = 1.0
ROUNDS = 5
MINIMUM_SPANS_PER_S = 20_000


def mixed_set() -> list[tuple[RawSpan, list[RawLog]]]:
    """Return the spans of all golden cases with their log events; equal resources are one, as in a body."""
    mixed: list[tuple[RawSpan, list[RawLog]]] = []
    resources: dict[str, Attributes] = {}
    for case in all_cases():
        spans, logs = records(case)
        for record in [*spans, *logs]:
            record.resource = resources.setdefault(repr(record.resource), record.resource)
        mixed += [(raw, [log for log in logs if log.span_id == raw.span_id and is_genai_log(log)]) for raw in spans]
    return mixed


def spans_per_s(mixed: list[tuple[RawSpan, list[RawLog]]], seconds: float) -> float:
    """Return how many spans are normalised in a second."""
    count, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        for raw, logs in mixed:
            normalise(raw, logs)
        count += len(mixed)
    return count / (time.process_time() - started)


def main() -> None:
    """Print the median of a few rounds."""
    mixed = mixed_set()
    text_bytes = sum(len(str(raw.attributes)) for raw, _ in mixed) / len(mixed)
    keys = statistics.mean(len(raw.attributes) for raw, _ in mixed)
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    spans_per_s(mixed, 0.5)
    rounds = sorted(spans_per_s(mixed, SECONDS_PER_ROUND) for _ in range(ROUNDS))
    print(f"mixed golden set: {len(mixed)} spans, {keys:.0f} attributes and {text_bytes:.0f} characters each")
    print(f"normalise: {rounds[ROUNDS // 2]:,.0f} spans/s (best {rounds[-1]:,.0f}, wanted {MINIMUM_SPANS_PER_S:,})")


if __name__ == "__main__":
    main()
