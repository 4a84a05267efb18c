"""Reports of one call that appear as several spans, and which of them counts.

Three ways to tell, within one trace:

- the same response id, if the spans overlap in time or report the same tokens (some servers give
  every response the same id, so the id alone does not do);
- without two ids to compare: spans of different instrumentations (scopes) that overlap in time, name
  the same model and report the same tokens; a record without length may also come just after the call
  whose end it tells. One scope never reports one call twice, so equal parallel calls of one
  instrumentation stay apart;
- a wrapper with exactly one call below it and the same tokens.

Of the reports of a call the best informed counts: one that could be priced before one that could
not, then the one that tells more details (a report without cached tokens makes a call look dearer);
if they know the same, the innermost, then the earliest. Reports in *another* trace: ``settle_across``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.names import same_model
from spanhouse_server.normalise.settle_tree import MAX_STEPS, Tree

#: A record without length, written when a stream ended, comes at most this long after the call.
NEAR_NS = NS_PER_S
#: Calls of equal tokens that may be open at once and still be told apart; bounds the work.
MAX_OPEN = 64
#: Comparisons spent on the calls without figures of one trace.
MAX_COMPARED = 20_000

_TRUST = {"priced": 3, "reported": 2, "partial": 1}


class Told(Protocol):
    """What is compared of two reports of a call: ``SpanFacts`` has it, and so has a report in another trace."""

    @property
    def start_ns(self) -> int:
        """Return when the call began."""

    @property
    def end_ns(self) -> int:
        """Return when the call ended."""

    @property
    def request_model(self) -> str:
        """Return the model asked for."""

    @property
    def response_model(self) -> str:
        """Return the model that served."""

    @property
    def cost_status(self) -> str:
        """Return how far the cost is known."""

    @property
    def cache_read_tokens(self) -> int | None:
        """Return the tokens read from a cache."""

    @property
    def cache_write_tokens(self) -> int | None:
        """Return the tokens written to a cache."""

    @property
    def reasoning_tokens(self) -> int | None:
        """Return the tokens spent on reasoning."""

    @property
    def audio_input_tokens(self) -> int | None:
        """Return the tokens of audio heard."""


@dataclass(slots=True)
class Doubles:
    """Which spans repeat a call, by index, and the one of its reports that counts."""

    of: dict[int, int] = field(default_factory=dict)
    by_response: set[int] = field(default_factory=set)
    #: Those that are no calls of their own: doubles, but for a call whose wrapper counts in its place.
    repeats: set[int] = field(default_factory=set)
    _by_best: dict[int, list[int]] = field(default_factory=dict)

    def join(self, spans: list[SpanFacts], reports: Sequence[int]) -> list[int]:
        """Let the best informed of these reports count, the first of equals; return the others."""
        best = max(reports, key=lambda index: _informed(spans[index]))
        others = [index for index in reports if index != best]
        mine = self._by_best.setdefault(best, [])
        for index in others:
            # Those that stood for others before hand them on.
            for double in (index, *self._by_best.pop(index, ())):
                self.of[double] = best
                mine.append(double)
        return others


def find_doubles(tree: Tree, calls: dict[int, int], wrappers: dict[int, int]) -> Doubles:
    """Return the doubles among ``calls`` and their ``wrappers`` (index to bit of the category)."""
    found = Doubles()
    if len(calls) > 1:
        _by_response(tree.spans, calls, found)
        if len({tree.spans[index].scope_name for index in calls}) > 1:
            _by_likeness(tree, calls, found)
    if wrappers:
        _by_wrapping(tree, calls, wrappers, found)
    return found


def known_figures(span: SpanFacts) -> bool:
    """Tell whether a span says anything about tokens or money, be it zero."""
    return span.input_tokens is not None or span.output_tokens is not None or span.cost_usd is not None


def is_priced(report: Told) -> bool:
    """Tell whether anything is known of what a call cost."""
    return report.cost_status in _TRUST


def details(report: Told) -> int:
    """Return how many of the finer counts a report tells."""
    finer = (report.cache_read_tokens, report.cache_write_tokens, report.reasoning_tokens, report.audio_input_tokens)
    return sum(each is not None for each in finer)


def _informed(span: SpanFacts) -> tuple[int, int]:
    return _TRUST.get(span.cost_status, 0), details(span)


def _by_response(spans: list[SpanFacts], calls: dict[int, int], found: Doubles) -> None:
    last: dict[tuple[str, int], tuple[int, int]] = {}  # to end of the last call with this id, and its first report
    told: dict[tuple[str, int, int | None, int | None], int] = {}
    reports: dict[int, list[int]] = {}
    for index, bit in calls.items():
        span = spans[index]
        if not span.response_id:
            continue
        key = (span.response_id, bit)
        tokens = (*key, span.input_tokens, span.output_tokens)
        end_ns, head = last.get(key, (0, -1))
        if head < 0 or span.start_ns >= end_ns:
            head = told.get(tokens, -1)
        if head >= 0:
            reports.setdefault(head, [head]).append(index)
            continue
        told[tokens] = index
        last[key] = (span.end_ns, index)
    for each in reports.values():
        found.by_response.update(found.join(spans, each))
    found.repeats |= found.by_response


def _by_likeness(tree: Tree, calls: dict[int, int], found: Doubles) -> None:
    spans = tree.spans
    alike: dict[tuple[int, int | None, int | None], list[int]] = {}
    for index, bit in calls.items():
        span = spans[index]
        if index not in found.of and (span.input_tokens or span.output_tokens):
            alike.setdefault((bit, span.input_tokens, span.output_tokens), []).append(index)
    for group in alike.values():
        if len(group) > 1 and len({spans[index].scope_name for index in group}) > 1:
            for reports in _same_calls(tree, group):
                found.repeats.update(found.join(spans, reports))


def _same_calls(tree: Tree, group: list[int]) -> list[list[int]]:
    """Return those of a group (by start) that belong together, each scope at most once in a call."""
    spans = tree.spans
    running: list[list[int]] = []
    together: list[list[int]] = []
    for index in group:
        span = spans[index]
        running = [call for call in running if spans[call[0]].end_ns + NEAR_NS >= span.start_ns][-MAX_OPEN:]
        for call in running:
            if all(_same_call(tree, other, index) for other in call):
                call.append(index)
                if len(call) == 2:
                    together.append(call)
                break
        else:
            running.append([index])
    return together


def _same_call(tree: Tree, earlier: int, later: int) -> bool:
    a, b = tree.spans[earlier], tree.spans[later]
    return (
        a.scope_name != b.scope_name
        and not (a.response_id and b.response_id)
        and at_one_time(a, b)
        and same_served_model(a, b)
        and not _is_above(tree, earlier, later)
    )


def overlap(a: Told, b: Told) -> bool:
    """Tell whether two reports were running at the same time."""
    if a.start_ns <= 0 or b.start_ns <= 0:
        return False
    late, early = max(a.start_ns, b.start_ns), min(a.end_ns, b.end_ns)
    # A record without length belongs to what it touches.
    return late < early or (late == early and (a.start_ns == a.end_ns or b.start_ns == b.end_ns))


def at_one_time(earlier: Told, later: Told) -> bool:
    """Tell whether two reports may be of one call: they overlap, or the later is the record of the other's end."""
    if overlap(earlier, later):
        return True
    ends = later.start_ns == later.end_ns and earlier.start_ns > 0
    return ends and earlier.start_ns <= later.start_ns <= earlier.end_ns + NEAR_NS


def same_served_model(a: Told, b: Told) -> bool:
    """Tell whether two spans name one model: both by what served, or by what was asked for, else across."""
    if a.response_model and b.response_model:
        return same_model(a.response_model, b.response_model)
    if a.request_model and b.request_model:
        return same_model(a.request_model, b.request_model)
    return same_model(a.response_model or a.request_model, b.response_model or b.request_model)


def _is_above(tree: Tree, above: int, below: int) -> bool:
    """Tell whether one span stands above another: a tool is between them, so they are two calls."""
    at = tree.parents[below]
    for _ in range(MAX_STEPS):
        if at < 0:
            return False
        if at == above:
            return True
        at = tree.parents[at]
    return False


def _by_wrapping(tree: Tree, calls: dict[int, int], wrappers: dict[int, int], found: Doubles) -> None:
    spans = tree.spans
    for bit in set(wrappers.values()):
        only = _only_call_below(tree, {index for index, its in calls.items() if its == bit and index not in found.of})
        reports: dict[int, list[int]] = {}
        for wrapper, its in wrappers.items():
            call = only[wrapper]
            if its == bit and call >= 0 and _same_tokens(spans[wrapper], spans[call]):
                reports.setdefault(call, [call]).append(wrapper)
        for call, each in reports.items():
            if max(each, key=lambda index: _informed(spans[index])) != call:
                found.join(spans, each)


def _only_call_below(tree: Tree, calls: set[int]) -> list[int]:
    """Return, by index, the one call below a span, -1 for none and -2 for several; tools end the search."""
    only = [-1] * len(tree.spans)
    for index in tree.upwards:
        parent = tree.parents[index]
        if parent < 0:
            continue
        below = index if index in calls else -1 if tree.spans[index].category == "tool" else only[index]
        if below != -1:
            only[parent] = below if only[parent] == -1 else -2
    return only


def _same_tokens(a: SpanFacts, b: SpanFacts) -> bool:
    if not (a.input_tokens or a.output_tokens) or (a.response_id and b.response_id and a.response_id != b.response_id):
        return False
    return a.input_tokens == b.input_tokens and a.output_tokens == b.output_tokens


class Shadows:
    """Finds the spans that have the figures which a call without any lacks.

    That is one with the same response id; one of another scope at the same time for the same model;
    or, beside it, the record without length that ends a stream (as Logfire writes it).
    """

    def __init__(self, tree: Tree, bits: list[int], reasons: list[str]) -> None:
        self._tree = tree
        self._bits = bits
        self._told = [index for index, reason in enumerate(reasons) if reason and bits[index]]
        self._responses = {tree.spans[index].response_id for index in self._told} - {""}
        self._compared = 0

    def has(self, index: int) -> bool:
        """Tell whether another span has the figures of this call."""
        spans = self._tree.spans
        span = spans[index]
        if span.response_id in self._responses:
            return True
        for other in self._told:
            self._compared += 1
            if self._compared > MAX_COMPARED:
                return False
            its = spans[other]
            if self._bits[other] != self._bits[index] or (span.response_id and its.response_id):
                continue
            closing = its.start_ns == its.end_ns and its.parent_span_id == span.parent_span_id
            if closing and not 0 < span.start_ns <= its.start_ns:
                continue
            if not closing and (its.scope_name == span.scope_name or not overlap(span, its)):
                continue
            if same_served_model(span, its):
                return True
        return False
