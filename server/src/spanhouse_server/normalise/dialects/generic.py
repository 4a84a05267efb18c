"""Spans of no known dialect: a name, a time, and whatever looks like input and output."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output
from spanhouse_server.normalise.view import View

#: Bare names are common; they are believed only as text or JSON, and only here.
INPUT_KEYS = (
    *("input.value", "spanhouse.input", "traceloop.entity.input", "langfuse.trace.input"),
    *("input", "inputs", "prompt", "request_data"),
)
OUTPUT_KEYS = (
    *("output.value", "spanhouse.output", "traceloop.entity.output", "langfuse.trace.output"),
    *("output", "outputs", "completion", "response_data"),
)


def matches(view: View) -> bool:
    """Match any span: this is the last of the chain."""
    return True


def read(view: View, span: Span) -> None:
    """Read generic input and output; the category stays ``other``."""
    fill_input_output(span, _first(view, INPUT_KEYS), _first(view, OUTPUT_KEYS))


def _first(view: View, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = view.get(key)
        if isinstance(value, (str, dict, list)) and value:
            return view.opened(value)
    return None


DIALECT = Dialect("generic", matches, read)
