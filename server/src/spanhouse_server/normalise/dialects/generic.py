"""Spans of no known dialect: a name, a time, and whatever looks like input and output."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output
from spanhouse_server.normalise.values import unquoted
from spanhouse_server.normalise.view import View

#: Bare names are common; they are believed only as text or JSON, and only here.
INPUT_KEYS = (
    *("input.value", "spanhouse.input", "traceloop.entity.input", "langfuse.trace.input", "lmnr.span.input"),
    *("input", "inputs", "prompt", "messages", "question", "request_data"),
)
OUTPUT_KEYS = (
    *("output.value", "spanhouse.output", "traceloop.entity.output", "langfuse.trace.output", "lmnr.span.output"),
    *("output", "outputs", "completion", "answer", "response", "response_data"),
)
#: The last segments of names that hold a whole input or output under a prefix of the emitter's own (``flue.input``).
INPUT_NAMES = frozenset({"input", "inputs", "prompt", "prompts", "messages", "input_messages", "question"})
OUTPUT_NAMES = frozenset({"output", "outputs", "completion", "response", "answer", "output_messages", "generation"})
#: Prefixes of conventions in which these words mean something else.
_ELSEWHERE = frozenset({"aws", "cloud", "db", "faas", "http", "messaging", "net", "network", "rpc", "url"})


def matches(view: View) -> bool:
    """Match any span: this is the last of the chain."""
    return True


def read(view: View, span: Span) -> None:
    """Read generic input and output; the category stays ``other``."""
    given, told = _places(view)
    if given or told:
        fill_input_output(span, _first(view, given), _first(view, told))


def _places(view: View) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the attributes that may hold input and output, the likelier first; known from the keys alone."""
    plans = view.shape.plans
    places: tuple[tuple[str, ...], tuple[str, ...]] | None = plans.get(_places)
    if places is None:
        places = plans[_places] = (
            _named(view, INPUT_KEYS, INPUT_NAMES),
            _named(view, OUTPUT_KEYS, OUTPUT_NAMES),
        )
    return places


def _named(view: View, known: tuple[str, ...], names: frozenset[str]) -> tuple[str, ...]:
    keys = view.shape.keys
    alike = [
        key
        for key in keys
        if key not in known and key.rpartition(".")[2] in names and key.partition(".")[0] not in _ELSEWHERE
    ]
    return (*(key for key in known if key in keys), *alike)


def _first(view: View, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = view.get(key)
        if isinstance(value, (str, dict, list)) and value:
            return view.opened_python(unquoted(value))
    return None


DIALECT = Dialect("generic", matches, read)
