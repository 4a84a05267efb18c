"""What rollups cost to keep, and what they save on reads.

    python tests/bench/bench_derive.py [--rate 500] [--looks 20] [--day-spans 2000000] [--weeks-spans 2000000]

First streams spans at a rate, in steps of the worker's own pace, and prints the processor time of keeping the
rollups current. Then fills a day and eight weeks and reads the same metrics from rollups and from spans.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path[:0] = [str(Path(__file__).parents[2])]

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S  # noqa: E402
from spanhouse_server.derive.contract import Lease, TimeWindow  # noqa: E402
from spanhouse_server.derive.rollup import Rollup  # noqa: E402
from spanhouse_server.derive.runner import Runner  # noqa: E402
from spanhouse_server.query import metrics, pieces, rollups  # noqa: E402
from spanhouse_server.query.metrics import MAX_BUCKETS, MetricQuery, metric_series  # noqa: E402
from spanhouse_server.query.times import Window  # noqa: E402
from spanhouse_server.store.columnar import open_columnar  # noqa: E402
from spanhouse_server.store.contract import ColumnarStore  # noqa: E402
from spanhouse_server.store.records import open_records  # noqa: E402

DAY_S = 86_400
#: A whole hour, near the time of the run: what is much older could be taken for expired.
T0_S = int(time.time()) // DAY_S * DAY_S - 60 * DAY_S

#: Spans of an application with 5 models, 4 services and 2 releases; every second one is a model call.
FILL = """
INSERT INTO span_index (project_id, start_ns, trace_id, span_id, version, received_at, end_ns, duration_ns, name,
    status_code, error_type, category, operation, provider, model, finish_reasons, input_tokens, output_tokens,
    counted, cost_usd, cost_status, ttft_ns, environment, release, service_name, metadata)
SELECT {project:String}, {from:Int64} + toInt64(number) * intDiv({length:Int64}, {count:Int64}) AS start,
    lower(hex(cityHash64(number, {salt:UInt64}, 1))), lower(hex(cityHash64(number, {salt:UInt64}))), {version:UInt64},
    toDateTime(intDiv({version:UInt64}, 1000000000)), start + duration, toInt64(exp(randNormal(20.5, 1, number))) AS duration,
    'chat', if(h % 50 = 0, 'error', 'unset'), if(h % 50 = 0, 'TimeoutError', ''), if(llm, 'llm', 'tool'),
    if(llm, 'chat', 'execute_tool'), if(llm, 'openai', ''), if(llm, concat('model-', toString(h % 5)), ''),
    if(llm, [['stop', 'tool_calls', 'length'][1 + h % 3]], []), if(llm, 500 + h % 3000, NULL), if(llm, 10 + h % 500, NULL),
    llm, if(llm, toDecimal64(h % 1000 / 100000, 12), NULL), if(llm, 'priced', ''), if(llm, intDiv(duration, 5), NULL),
    'production', concat('v', toString(h % 2)), concat('service-', toString(intDiv(h, 7) % 4)),
    map('user_tier', ['free', 'gold'][1 + intDiv(h, 11) % 2])
FROM (SELECT number, cityHash64(number, {salt:UInt64}, 2) AS h, h % 2 = 0 AS llm FROM numbers({count:UInt64}))
"""


class Clock:
    """A wall clock for the worker and the reads."""

    ns = T0_S * NS_PER_S

    def __call__(self) -> int:
        return self.ns


def fill(store: ColumnarStore, project: str, from_s: int, length_s: float, count: int, stamp_ns: int) -> None:
    with store._inserts.client() as client:  # type: ignore[attr-defined]
        client.command(
            FILL,
            parameters={
                "project": project, "from": from_s * NS_PER_S, "length": int(length_s * NS_PER_S), "count": count,
                "salt": stamp_ns, "version": stamp_ns,
            },
        )  # fmt: skip


def keep_current(store: ColumnarStore, folder: Path, clock: Clock, rate: int, looks: int) -> None:
    """Print what each look costs while spans stream in."""
    records = open_records(f"sqlite:///{folder}/records.db")
    records.migrate()
    worker = Rollup(store, 400, "user_tier", clock)
    runner = Runner(store, records, workers=[worker], clock_ns=clock)
    while runner.once("rollup"):
        pass
    spent, took = [], []
    step_s = int(worker.every_s)
    for _ in range(looks):
        # Spans started within the last seconds, a few of them minutes ago.
        fill(store, "live", clock.ns // NS_PER_S, step_s, rate * step_s, clock.ns + NS_PER_S)
        fill(store, "live", clock.ns // NS_PER_S - 240, step_s, rate * step_s // 100, clock.ns + 2 * NS_PER_S)
        clock.ns += step_s * NS_PER_S
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        runner.once("rollup")
        spent.append(time.process_time() - cpu_s)
        took.append(time.perf_counter() - wall_s)
    share = sum(spent) / (looks * step_s)
    print(f"keeping current at {rate} spans/s, a look every {step_s} s: {share:.2%} of one core", end="; ")
    print(f"a look takes {median(took) * 1000:.0f} ms, longest {max(took) * 1000:.0f} ms")
    records.close()


def roll_up(store: ColumnarStore, clock: Clock, project: str, from_s: int, days: int, fence: int) -> None:
    """Make the rollups of some days, a quarter of a day at a time."""
    worker = Rollup(store, 400, "user_tier", clock)
    begun_s = time.perf_counter()
    for quarter in range(days * 4):
        start_ns = (from_s + quarter * DAY_S // 4) * NS_PER_S
        window = TimeWindow(project, start_ns, start_ns + DAY_S // 4 * NS_PER_S)
        worker.derive(window, Lease("rollup", fence + quarter))
    worker.mark(clock.ns, 0, Lease("rollup", fence + days * 4))
    [size] = store.select(
        "SELECT sum(rows) AS n, sum(data_compressed_bytes) AS bytes FROM system.parts WHERE active AND table = 'rollups'"
    )
    print(
        f"  rolled up in {time.perf_counter() - begun_s:.1f} s; {size['n']} rows, {size['bytes'] / 2**20:.1f} MiB in all"
    )


def read(store: ColumnarStore, project: str, metric: str, by: str, interval_s: int, from_s: int, to_s: int) -> float:
    """Return the milliseconds of reading a series, in parts where it has more buckets than one read may give."""
    begun_s = time.perf_counter()
    part_s = interval_s * MAX_BUCKETS
    for start_s in range(from_s, to_s, part_s):
        window = Window(start_s * NS_PER_S, min(start_s + part_s, to_s) * NS_PER_S)
        metric_series(store, project, MetricQuery(metric, by, interval_s, window))
    return (time.perf_counter() - begun_s) * 1000


def compare(store: ColumnarStore, project: str, interval_s: int, from_s: int, to_s: int) -> None:
    """Print the time of some metrics from rollups and from spans."""
    answers: Callable[..., set[str] | None] = rollups.rolled_keys
    for metric, by in (("requests", ""), ("cost_usd", "model"), ("duration_ms.p95", ""), ("ttft_ms.p95", "model")):
        times = {}
        for kind in ("rollups", "spans"):
            pieces.rolled_keys = answers if kind == "rollups" else lambda *_: None
            times[kind] = median(read(store, project, metric, by, interval_s, from_s, to_s) for _ in range(3))
        shown = f"{metric} by {by}" if by else metric
        print(f"  {shown:24} every {interval_s:5} s: {times['rollups']:7.0f} ms, from spans {times['spans']:7.0f} ms")
    pieces.rolled_keys = answers


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rate", type=int, default=500)
    options.add_argument("--looks", type=int, default=20)
    options.add_argument("--day-spans", type=int, default=2_000_000)
    options.add_argument("--weeks-spans", type=int, default=2_000_000)
    chosen = options.parse_args()
    clock = Clock()
    rollups.now_ns = metrics.now_ns = clock
    with tempfile.TemporaryDirectory() as name:
        store = open_columnar(f"chdb://{name}/columnar", memory_mb=2048, query_timeout_s=120)
        store.migrate()
        keep_current(store, Path(name), clock, chosen.rate, chosen.looks)
        for project, days, count, intervals in (
            ("day", 1, chosen.day_spans, (60, 900)),
            ("weeks", 56, chosen.weeks_spans, (300, 3600)),
        ):
            print(f"{days} days, {count} spans")
            for day in range(days):
                fill(store, project, T0_S + day * DAY_S, DAY_S, count // days, T0_S * NS_PER_S + day)
            clock.ns = (T0_S + 57 * DAY_S) * NS_PER_S
            roll_up(store, clock, project, T0_S, days, MAX_TIME_NS // 2 + days * 1000)
            for interval_s in intervals:
                compare(store, project, interval_s, T0_S, T0_S + days * DAY_S)
        store.close()


if __name__ == "__main__":
    main()
