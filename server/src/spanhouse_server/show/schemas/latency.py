"""Latency: percentiles by group, slowest calls, the engine's share."""

from __future__ import annotations

from pydantic import Field

from spanhouse_server.show.schemas.common import Reply


class Percentiles(Reply):
    """Percentiles in milliseconds (at most 1 % off); null where nothing was measured."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class LatencyFigures(Reply):
    """How long some calls took."""

    requests: int
    errors: int
    duration_ms: Percentiles
    ttft_ms: Percentiles = Field(description="Time to the first token; of streams only.")
    tpot_ms: Percentiles = Field(description="Time per output token after the first; of streams only.")
    output_tokens_per_s: float | None = Field(description="Median.")


class LatencyGroup(LatencyFigures):
    """How long the calls of one group took."""

    group: dict[str, str]


class SlowCall(Reply):
    """One of the slowest calls."""

    trace_id: str
    span_id: str
    name: str
    model: str
    service_name: str
    start_time: str
    status_code: str
    input_tokens: int | None
    output_tokens: int | None
    duration_ms: float | None
    ttft_ms: float | None
    tpot_ms: float | None


class EngineSplit(Reply):
    """Calls whose serving engine sent spans too: how their time divides."""

    requests: int
    engine_longer_requests: int = Field(description="Whose engine was still at it when the client had gone.")
    outside_share: float = Field(description="Part of the clients' time that was not spent in the engine.")
    client_ms: Percentiles
    engine_ms: Percentiles
    outside_engine_ms: Percentiles = Field(description="Network, gateways, client: duration less the engine's.")
    client_ttft_ms: Percentiles
    engine_ttft_ms: Percentiles
    queue_ms: Percentiles = Field(description="As the engine tells.")
    prefill_ms: Percentiles
    decode_ms: Percentiles
    inference_ms: Percentiles


class LatencyReply(Reply):
    """Latency in all and by group, the busiest first."""

    of: str
    from_time: str
    to_time: str
    total: LatencyFigures
    groups: list[LatencyGroup]
    more: bool = Field(description="There are further groups.")
    slowest: list[SlowCall]
    engine: EngineSplit | None = Field(description="null where no engine sent spans.")
