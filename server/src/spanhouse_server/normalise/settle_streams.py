"""What ties a streamed call to the record of its end, where the two stand in different traces and share no id.

Logfire writes a stream as two records: the request, which ends when the stream opens and knows nothing, and a
record without length when it has ended, with answer and usage but without the response's id. Where nothing was
running around the call, that last record is alone in a trace of its own. What another instrumentation tells of the
call stands below the request, with figures of its own. Both then get one key: who wrote the records, for which
model, and the figures. Whether they are one call is for ``settle_across`` to tell.
"""

from __future__ import annotations

from collections import Counter

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.span import MODEL_CATEGORIES
from spanhouse_server.normalise.settle_tree import MAX_STEPS, Tree

_DIALECT = "logfire"


def stream_keys(tree: Tree) -> dict[int, str]:
    """Return, by index, the keys of the spans that tell of a stream; mostly there are none.

    A call whose end is told within the trace has none: a record elsewhere is of another.
    """
    spans = tree.spans
    records = [index for index, span in enumerate(spans) if span.dialect == _DIALECT and not span.response_id]
    if not records:
        return {}
    keys: dict[int, str] = {}
    ended: Counter[str] = Counter()
    openers: dict[int, SpanFacts] = {}
    for index in records:
        span = spans[index]
        if span.category not in MODEL_CATEGORIES:
            if span.operation and span.request_model:
                openers[index] = span
        elif span.start_ns == span.end_ns and _has_figures(span):
            if span.parent_span_id:
                ended[_key(span, span)] += 1
            else:
                keys[index] = _key(span, span)
    if openers:
        for index, span in enumerate(spans):
            if span.category in MODEL_CATEGORIES and _has_figures(span):
                opener = _opener_above(tree, index, openers)
                if opener is not None and opener.scope_name != span.scope_name:
                    key = _key(opener, span)
                    if ended[key]:
                        ended[key] -= 1
                    else:
                        keys[index] = key
    return keys


def _has_figures(span: SpanFacts) -> bool:
    return bool(span.input_tokens or span.output_tokens)


def _key(record: SpanFacts, told: SpanFacts) -> str:
    return f"{record.scope_name} {record.request_model} {told.input_tokens} {told.output_tokens}"


def _opener_above(tree: Tree, index: int, openers: dict[int, SpanFacts]) -> SpanFacts | None:
    for _ in range(MAX_STEPS):
        index = tree.parents[index]
        if index < 0:
            return None
        if index in openers:
            return openers[index]
    return None
