"""What one span of a trace knows about its context serves the whole trace.

Session, user, environment, release and each metadata key are taken from the top span if it has
them, else from the earliest span that does. Tags are the union. A span keeps its own values and
gets the trace's where it has none; tags add up. A prompt serves the spans below the one it was set
on, not the whole trace: it belongs to the calls it was used for.

What spreads is bounded, because a trace may have fifty thousand spans, each with keys of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.normalise.settle_tree import Tree

#: How many metadata keys and tags a trace has, and lends to its spans; the first ones stay.
MAX_METADATA_KEYS = 64
MAX_TAGS = 64


@dataclass(slots=True)
class Context:
    """The context of the trace."""

    session_id: str
    user_id: str
    environment: str
    release: str
    tags: list[str]
    metadata: dict[str, str]


def trace_context(tree: Tree, top: int) -> Context:
    """Return the context of the trace whose top span has index ``top``."""
    spans = tree.spans
    found = Context("", "", "", "", [], {})
    tags: dict[str, None] = {}
    _lend(spans[top], found)
    for span in spans:
        _lend(span, found)
        for tag in span.tags:
            if len(tags) < MAX_TAGS:
                tags.setdefault(tag)
    found.tags = list(tags)
    return found


def _lend(span: SpanFacts, found: Context) -> None:
    found.session_id = found.session_id or span.session_id
    found.user_id = found.user_id or span.user_id
    found.environment = found.environment or span.environment
    found.release = found.release or span.release
    for key, value in span.metadata.items():
        if len(found.metadata) < MAX_METADATA_KEYS:
            found.metadata.setdefault(key, value)


def span_tags(span: SpanFacts, context: Context) -> list[str]:
    """Return the tags of the trace and of the span itself, should the bound have left those out."""
    if not span.tags or len(context.tags) < MAX_TAGS:
        return context.tags
    return list(dict.fromkeys([*context.tags, *span.tags]))


def prompts(tree: Tree) -> list[tuple[str, str]]:
    """Return, by index, the prompt's name and version of each span: its own, else the nearest above."""
    spans, parents = tree.spans, tree.parents
    serving = [(span.prompt_name, span.prompt_version) for span in spans]
    if not any(name for name, _ in serving):
        return serving
    for index in reversed(tree.upwards):
        parent = parents[index]
        if parent >= 0 and not serving[index][0]:
            serving[index] = serving[parent]
    return serving


def unique(values: set[str]) -> list[str]:
    """Return the values that are not empty, sorted."""
    values.discard("")
    return sorted(values)
