"""Model calls whose usage a later call of the same loop tells again.

Spring AI 1.x has the model call tools by itself: call, tool, call …, siblings under the chat client or advisor that
asked. From the second call on it reports the sum of all so far (``UsageCalculator.getCumulativeUsage``), so the last
one tells what all of them used. A model used without a chat client has no span that would show the loop.
"""

from __future__ import annotations

from collections.abc import Iterator

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.normalise.settle_tree import Tree

_DIALECT = "spring_ai"


def summed_later(tree: Tree, calls: list[int]) -> dict[int, int]:
    """Return which of these model calls, by index, are part of the sum that another one tells."""
    loops: dict[int, list[int]] = {}
    for index in calls:
        parent = tree.parents[index]
        if tree.spans[index].dialect == _DIALECT and parent >= 0 and _asks(tree.spans[parent]):
            loops.setdefault(parent, []).append(index)
    loops = {parent: members for parent, members in loops.items() if len(members) > 1}
    if not loops:
        return {}
    tools: dict[int, list[int]] = {}
    for index, span in enumerate(tree.spans):
        if span.category == "tool" and tree.parents[index] in loops:
            tools.setdefault(tree.parents[index], []).append(index)
    return {
        index: run[-1]
        for parent, members in loops.items()
        for run in _runs(tree, members, tools.get(parent, []))
        for index in run[:-1]
    }


def _asks(span: SpanFacts) -> bool:
    return span.dialect == _DIALECT and span.category == "workflow"


def _runs(tree: Tree, members: list[int], tools: list[int]) -> Iterator[list[int]]:
    """Yield the calls that make up one sum each; indices are in the order of time."""
    spans = tree.spans
    run = members[:1]
    waiting = iter(tools)
    tool = next(waiting, None)
    for index in members[1:]:
        while tool is not None and tool < run[-1]:
            tool = next(waiting, None)
        if tool is None or tool > index or not _goes_on(spans[run[-1]], spans[index]):
            yield run
            run = []
        run.append(index)
    yield run


def _goes_on(earlier: SpanFacts, later: SpanFacts) -> bool:
    """Tell whether a call may tell the sum of itself and an earlier one."""
    return (
        earlier.end_ns <= later.start_ns
        and earlier.request_model == later.request_model
        and (earlier.input_tokens or 0) < (later.input_tokens or 0)
        and (earlier.output_tokens or 0) <= (later.output_tokens or 0)
    )
