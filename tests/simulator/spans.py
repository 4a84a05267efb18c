"""A replay as real spans: every request of it, with the figures it was made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests import otlp
from tests.simulator.world import BUCKET_M, START_S, World

#: Spans of one request body.
BATCH = 1000
MODEL = "gpt-4o-mini"


def bodies(world: World, shift_s: int, seed: int) -> Iterator[bytes]:
    """Give OTLP bodies of all requests, ``shift_s`` seconds after the time of the replay.

    Each minute has as many requests, errors, refusals and tokens as the replay counted, so sums agree exactly.
    Durations scatter about the median that the replay measured in their five minutes.
    """
    rng = np.random.default_rng(seed)
    for service, measured in world.telemetry.items():
        sums = {name: values.astype(int).tolist() for name, values in measured.sums.items() if name != "cost_usd"}
        medians = measured.percentiles["request_duration_ms.p50"].tolist()
        waiting = []
        for minute, count in enumerate(sums["requests"]):
            starts = np.sort(rng.random(count)) * 59 if count else ()
            scatter = np.exp(rng.normal(0, 0.6, count))
            errors, refusals = sums["request_errors"][minute], sums["refusals"][minute]
            served = count - errors
            for index in range(count):
                failed = index < errors
                place = index - errors
                values: dict[str, object] = {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": MODEL,
                }
                if failed:
                    values["error.type"] = "TimeoutError"
                else:
                    values |= {
                        "gen_ai.response.finish_reasons": ["content_filter" if place < refusals else "stop"],
                        "gen_ai.usage.input_tokens": _share(sums["input_tokens"][minute], served, place),
                        "gen_ai.usage.output_tokens": _share(sums["output_tokens"][minute], served, place),
                    }
                start_s = START_S + shift_s + minute * 60 + float(starts[index])
                waiting.append(
                    otlp.span(
                        name=f"chat {MODEL}",
                        start_ns=int(start_s * 1e9),
                        duration_ns=int(medians[minute // BUCKET_M] * float(scatter[index]) * 1e6),
                        status=2 if failed else 0,
                        attributes=values,
                    )
                )
            if len(waiting) >= BATCH or minute == world.minutes - 1:
                yield otlp.request(*waiting, resource={"service.name": service})
                waiting = []


def _share(total: int, parts: int, place: int) -> int:
    """Return one of ``parts`` whole shares that add up to ``total``."""
    return total * (place + 1) // parts - total * place // parts
