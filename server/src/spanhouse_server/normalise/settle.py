"""A whole trace from the facts of its spans: what only all of them together can tell.

``settle`` is pure and does not depend on the order of the facts, so that a trace whose spans come in
any order, in any number of batches and more than once ends up the same. It runs for every batch that
touches a trace, in linear time and without recursion.

The rules: ``settle_tree`` says which spans are roots, ``settle_usage`` which of them count,
``settle_context`` what they lend each other. The trace takes its name and status from its top span
(the earliest true root, else the earliest span whose parent is missing); its previews from there,
else from its first and last model call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Context as DecimalContext
from decimal import Decimal
from operator import attrgetter

from spanhouse_server.model.facts import IndexRow, SettledTrace, SpanFacts, TraceRow
from spanhouse_server.model.span import MODEL_CATEGORIES, ROLL_UP_CATEGORIES
from spanhouse_server.normalise.context import TRACE_NAME
from spanhouse_server.normalise.settle_context import Context, prompts, span_tags, trace_context, unique
from spanhouse_server.normalise.settle_ids import ids_of_others
from spanhouse_server.normalise.settle_streams import stream_keys
from spanhouse_server.normalise.settle_tree import Tree, build_tree, stands_alone
from spanhouse_server.normalise.settle_usage import NOWHERE_ELSE, Counting, count_usage

#: What the columns hold. A sum beyond is a broken emitter's; it is left out rather than cut.
MAX_TOKENS = 2**64 - 1
LIMIT_USD = Decimal(1_000_000)

_EXACT = DecimalContext(prec=60)
_FACTS = attrgetter(*(each.name for each in fields(SpanFacts)))


def settle(
    project_id: str, facts: list[SpanFacts], version: int, elsewhere: Mapping[str, str] = NOWHERE_ELSE
) -> SettledTrace:
    """Return the rows of one trace; ``version`` (nanoseconds) stamps them.

    ``facts`` holds at least one span of one trace; of several versions of a span the newest holds.
    ``elsewhere`` has the spans whose call another trace counts (``settle_usage``).
    """
    if not facts:
        raise ValueError("a trace has at least one span")
    tree = build_tree(facts)
    top = tree.top
    counting = count_usage(tree, elsewhere)
    context = trace_context(tree, top)
    rows = _index_rows(tree, counting, context, project_id, version)
    return SettledTrace(_trace_row(tree, top, counting, context, project_id, version), rows)


def _index_rows(tree: Tree, counting: Counting, context: Context, project_id: str, version: int) -> list[IndexRow]:
    rows = []
    metadata = context.metadata
    serving = prompts(tree)
    keys = ids_of_others(tree, counting.found, counting.doubles) | stream_keys(tree)
    for index, span in enumerate(tree.spans):
        row = IndexRow(*_FACTS(span))
        row.project_id = project_id
        row.version = version
        row.is_root = tree.parents[index] < 0
        row.counted = counting.counted[index]
        row.counted_reason = counting.reasons[index]
        if (span.response_id or index in keys) and (
            span.category in MODEL_CATEGORIES or _served(span, counting, index)
        ):
            row.stream_key = keys.get(index, "")
            row.call_scope = span.scope_name
            row.lone_call = stands_alone(tree, index)
        if span.category in ROLL_UP_CATEGORIES and not row.counted and row.cost_status != "reported":
            # What this would cost is paid elsewhere: no list and no filter by money is to find it twice.
            row.cost_usd = row.cost_input_usd = row.cost_output_usd = None
            row.cost_status = ""
        row.duration_ns = span.end_ns - span.start_ns if span.end_ns > span.start_ns > 0 else 0
        row.model = span.response_model or span.request_model
        row.session_id = span.session_id or context.session_id
        row.user_id = span.user_id or context.user_id
        row.environment = span.environment or context.environment
        row.release = span.release or context.release
        row.prompt_name, row.prompt_version = serving[index]
        row.tags = span_tags(span, context)
        row.metadata = {**metadata, **span.metadata} if span.metadata else metadata
        rows.append(row)
    return rows


def _served(span: SpanFacts, counting: Counting, index: int) -> bool:
    """Tell whether an engine's span stands for the call it served: no client's is above it."""
    return span.category == "server" and counting.found[index]


def _trace_row(tree: Tree, top: int, counting: Counting, context: Context, project_id: str, version: int) -> TraceRow:
    spans = tree.spans
    first = spans[top]
    counted = [span for span, yes in zip(spans, counting.counted, strict=True) if yes]
    models = [span for span in spans if span.category in MODEL_CATEGORIES]
    # Sorted by start, unknown starts last: the first is the earliest one known.
    start_ns = max(spans[0].start_ns, 0)
    end_ns = max(start_ns, max(span.end_ns for span in spans), max(span.start_ns for span in spans))
    retentions = {span.retention_days for span in spans}
    input_preview, output_preview = _previews(spans, first)
    cost_usd, all_fit = _money(span.cost_usd for span in counted)
    return TraceRow(
        project_id=project_id,
        start_ns=start_ns,
        trace_id=first.trace_id,
        version=version,
        received_at=max(span.received_at for span in spans),
        retention_days=0 if 0 in retentions else max(retentions),
        end_ns=end_ns,
        duration_ns=end_ns - start_ns,
        name=context.metadata.get(TRACE_NAME) or first.name,
        root_span_id="" if first.parent_span_id else first.span_id,
        status_code=first.status_code,
        span_count=len(spans),
        error_count=sum(span.status_code == "error" for span in spans),
        llm_count=counting.llm_calls,
        input_tokens=_tokens(span.input_tokens for span in counted),
        output_tokens=_tokens(span.output_tokens for span in counted),
        cache_read_tokens=_tokens(span.cache_read_tokens for span in counted),
        cache_write_tokens=_tokens(span.cache_write_tokens for span in counted),
        reasoning_tokens=_tokens(span.reasoning_tokens for span in counted),
        cost_usd=cost_usd,
        cost_input_usd=_money(span.cost_input_usd for span in counted)[0],
        cost_output_usd=_money(span.cost_output_usd for span in counted)[0],
        cost_status=_cost_status(counted, counting.unknown or not all_fit, bool(models) and not counting.gave_way),
        ttft_ns=next((span.ttft_ns for span in models if span.ttft_ns is not None), None),
        models=unique({span.response_model or span.request_model for span in models}),
        providers=unique({span.provider for span in spans}),
        categories=unique({span.category for span in spans}),
        operations=unique({span.operation for span in spans}),
        services=unique({span.service_name for span in spans}),
        tool_names=unique({span.tool_name for span in spans}),
        agent_names=unique({span.agent_name for span in spans}),
        error_types=unique({span.error_type for span in spans}),
        session_id=context.session_id,
        user_id=context.user_id,
        tags=context.tags,
        metadata=context.metadata,
        environment=context.environment,
        release=context.release,
        prompt_names=unique({span.prompt_name for span in spans}),
        dialects=unique({span.dialect for span in spans}),
        input_preview=input_preview,
        output_preview=output_preview,
    )


def _previews(spans: Sequence[SpanFacts], top: SpanFacts) -> tuple[str, str]:
    """Return what went in and what came out: of the top span, else of the first and last llm span, else of any."""
    given, gave = top.input_preview, top.output_preview
    if not given:
        asked = [span for span in spans if span.input_preview]
        given = next((span.input_preview for span in asked if span.category == "llm"), "")
        given = given or (asked[0].input_preview if asked else "")
    if not gave:
        answered = [span for span in spans if span.output_preview]
        answered = [span for span in answered if span.category == "llm"] or answered
        gave = max(answered, key=attrgetter("end_ns", "span_id")).output_preview if answered else ""
    return given, gave


def _cost_status(counted: Sequence[SpanFacts], unknown: bool, has_models: bool) -> str:
    """Return how far the sum of money can be trusted; empty for a trace without model calls of its own or usage."""
    statuses = {span.cost_status or "unpriced" for span in counted}
    if unknown:
        statuses.add("unpriced")
    if not statuses:
        return "unpriced" if has_models else ""
    if len(statuses) == 1:
        return statuses.pop()
    return "reported" if statuses == {"priced", "reported"} else "partial"


def _tokens(counts: Iterable[int | None]) -> int | None:
    said = [count for count in counts if count is not None]
    total = sum(said)
    return total if said and total <= MAX_TOKENS else None


def _money(amounts: Iterable[Decimal | None]) -> tuple[Decimal | None, bool]:
    """Return the exact sum, nothing where nobody said, and whether it fits."""
    total: Decimal | None = None
    for amount in amounts:
        if amount is not None:
            total = amount if total is None else _EXACT.add(total, amount)
    if total is None or total < LIMIT_USD:
        return total, True
    return None, False
