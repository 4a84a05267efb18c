"""One span's way through: media apart, secrets out, a dialect chosen, its reading completed by what all share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spanhouse_server.model.blob import Blob
from spanhouse_server.model.raw import RawLog, RawSpan, Scope
from spanhouse_server.model.span import Span
from spanhouse_server.normalise.context import read_context
from spanhouse_server.normalise.dialects import dialect_of
from spanhouse_server.normalise.dialects.otel_content import LOG_EVENTS, log_event_name
from spanhouse_server.normalise.names import UNTOLD, provider_of_model
from spanhouse_server.normalise.outcome import read_outcome, read_ttft
from spanhouse_server.normalise.preview import fill_previews
from spanhouse_server.normalise.redact import redact_logs, redact_span
from spanhouse_server.normalise.shape import Shape, shape_of
from spanhouse_server.normalise.usage import COST_KEYS, reported_cost, settle_research
from spanhouse_server.normalise.view import View

#: Raised whenever a mapping changes, so that stored spans can be told apart and mapped again.
MAPPER_VERSION = 7
#: Where our proxy names what it cut of a call's content, if anything.
PROXY_CUT = "spanhouse.proxy.truncated"
#: Added to the flags of a span whose mapping failed; it is kept with name, time and raw record.
UNMAPPED = "unmapped"


def normalise(raw: RawSpan, logs: Sequence[RawLog] = ()) -> Span:
    """Return the canonical span for ``raw`` and the GenAI log events linked to it. Never raises."""
    blobs: list[Blob] = []
    try:
        shape = shape_of(raw.attributes)
        clean = redact_span(raw, blobs, shape)
    except Exception:  # noqa: BLE001  what cannot be searched for secrets is not kept
        clean = replace(
            raw, attributes={}, events=[], links=[], resource={}, scope=Scope(), flags=[*raw.flags, UNMAPPED]
        )
        return Span(raw=clean, dialect="generic", mapper_version=MAPPER_VERSION)
    try:
        span = _read(clean, redact_logs(logs, blobs) if logs else (), shape)
    except Exception:  # noqa: BLE001  a dialect's mistake must not cost a span, nor its batch
        flagged = replace(clean, flags=[*clean.flags, UNMAPPED])
        span = Span(raw=flagged, dialect="generic", mapper_version=MAPPER_VERSION)
    if blobs:
        span.blobs = blobs
    return span


def is_genai_log(log: RawLog) -> bool:
    """Tell whether a log record says something about its span that ``normalise`` reads."""
    return bool(log.span_id) and log_event_name(log) in LOG_EVENTS


def _forget_untold(span: Span) -> None:
    """Take out what stands for a name that nobody told: no model is called so, and many calls would share an id."""
    if span.request_model in UNTOLD:
        span.request_model = ""
    if span.response_model in UNTOLD:
        span.response_model = ""
    if span.response_id in UNTOLD:
        span.response_id = ""


def _read(raw: RawSpan, logs: Sequence[RawLog], shape: Shape) -> Span:
    span = Span(raw=raw, mapper_version=MAPPER_VERSION)
    view = View(raw, logs, shape)
    dialect = dialect_of(view)
    dialect.read(view, span)
    span.dialect = dialect.name
    _forget_untold(span)
    if not span.provider and span.request_model:
        span.provider = provider_of_model(span.request_model)
    if span.provider == "perplexity":
        settle_research(span.usage, span.model)
    if view.among(COST_KEYS) and span.cost.reported_usd is None:
        span.cost.reported_usd = reported_cost(view)
    read_context(view, span)
    read_outcome(view, span)
    read_ttft(view, span)
    fill_previews(span)
    span.truncated = span.truncated or view.truncated or bool(view.get(PROXY_CUT))
    return span
