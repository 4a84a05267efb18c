"""Rows of ``span_index`` as settling writes them: random, late, moved and settled again."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore
from tests.contract.samples import NS, T0, index_row, make_span

#: The rows are stored this long after their start, and looked at a little later.
NOW = T0 + 86_400 * NS


class Clock:
    """A wall clock for runner and reader."""

    def __init__(self) -> None:
        self.ns = NOW

    def __call__(self) -> int:
        return self.ns


class Traffic:
    """Random rows of ``span_index`` as settling writes them; the newest of each span is remembered."""

    def __init__(self, store: ColumnarStore, clock: Clock, seed: int, project: str = "p") -> None:
        self.store, self.clock, self.random, self.project = store, clock, random.Random(seed), project
        self.kept: dict[str, Any] = {}
        self.stamp = 0

    def rows(self, count: int, minutes: tuple[int, int], spans: list[str] | None = None) -> None:
        """Settle spans, new ones or some again, now with other values and start times."""
        made = []
        for at in range(count):
            span_id = spans[at] if spans else f"{len(self.kept):016x}"
            row = self.row(span_id, T0 + self.random.randrange(minutes[0] * 60 * NS, minutes[1] * 60 * NS))
            if span_id in self.kept and self.kept[span_id].start_ns != row.start_ns:
                made.append(replace(self.kept[span_id], is_deleted=1, version=row.version))
            self.kept[span_id] = row
            made.append(row)
        self.store.insert("span_index", rows.lines(made))

    def row(self, span_id: str, start_ns: int) -> Any:
        pick = self.random.choice
        # Some settled a while before they are stored.
        self.stamp = max(self.stamp, self.clock.ns - 20 * NS) + self.random.randrange(1, NS // 50)
        category = pick(["llm", "llm", "llm", "tool", "embedding", "agent"])
        usage = category in ("llm", "embedding") and self.random.random() < 0.9
        cost = Decimal(self.random.randrange(10**9)).scaleb(-12) if usage and self.random.random() < 0.9 else None
        tokens = (lambda: self.random.randrange(5000)) if usage else (lambda: None)
        facts = rows.facts_of(self.stamp, 0, make_span(f"{int(span_id, 16) % 97:032x}", span_id))
        duration_ns = self.random.choice([0, 1, self.random.randrange(10**6, 10**11)])
        return index_row(
            self.project, facts, self.stamp, start_ns=start_ns, end_ns=start_ns + duration_ns, duration_ns=duration_ns,
            received_at=self.stamp // NS, retention_days=0, category=category, model=pick(["m1", "m2", "", "ü'x"]),
            provider=pick(["openai", "anthropic"]), operation=pick(["chat", "embed"]), service_name=pick(["a", "b"]),
            environment=pick(["prod", "dev", ""]), release=pick(["v1", "v2"]), status_code=pick(["ok", "unset", "error"]),
            error_type=pick(["", "Timeout"]), cost_status="priced" if cost is not None else pick(["", "unpriced"]),
            finish_reasons=pick([[], ["stop"], ["length"], ["stop", "length"]]),
            metadata=pick([{}, {"plan": "gold"}, {"plan": "free", "x": "y"}]),
            counted=bool(usage and self.random.random() < 0.8), input_tokens=tokens(), output_tokens=tokens(),
            cache_read_tokens=tokens(), cache_write_tokens=tokens(), reasoning_tokens=tokens(),
            audio_input_tokens=None, audio_output_tokens=None, cost_usd=cost, cost_input_usd=cost, cost_output_usd=None,
            ttft_ns=self.random.randrange(1, 10**9) if self.random.random() < 0.5 else None,
        )  # fmt: skip

    def again(self, count: int, minutes: tuple[int, int]) -> None:
        self.rows(count, minutes, self.random.sample(sorted(self.kept), count))
