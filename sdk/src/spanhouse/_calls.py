"""What a decorated call puts on its span: arguments before it, result after it, by kind."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spanhouse import _attributes as a
from spanhouse import _core
from spanhouse._documents import to_documents
from spanhouse._log import warn_rarely
from spanhouse._responses import request_attributes, response_attributes
from spanhouse._serialize import arguments_to_json, named_arguments, to_json, to_text
from spanhouse._state import STATE

_QUERY_NAMES = ("query", "question", "q", "text", "search", "query_text", "prompt", "input")


class Call:
    """One decorated function: its description and how its arguments are called. Made once."""

    def __init__(
        self,
        function: Callable[..., Any],
        kind: str,
        name: str | None,
        attributes: Mapping[str, Any] | None,
        capture_input: bool,
        capture_output: bool,
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", None) or type(function).__name__
        self.described = _core.describe(kind, self.name, attributes)
        self.kind = self.described.kind
        self.capture_input = capture_input
        self.capture_output = capture_output
        names, self.skip = _positional_names(function)
        self.quoted_names = [json.dumps(argument, ensure_ascii=False) + ":" for argument in names]
        #: Kinds whose input needs to be understood rather than only shown.
        self.special = self.kind in ("llm", "retriever")

    def input(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the attributes of the arguments; never raises."""
        capture = STATE.capture and self.capture_input
        if not capture and self.kind != "llm":
            return None
        try:
            shown = args[self.skip :] if self.skip else args
            if self.special:
                return self._special_input(shown, kwargs, capture)
            return {self.described.input_key: arguments_to_json(self.quoted_names, shown, kwargs)}
        except Exception as error:
            warn_rarely("input", "arguments of %s could not be recorded: %s", self.name, type(error).__name__)
            return None

    def _special_input(self, args: Sequence[Any], kwargs: Mapping[str, Any], capture: bool) -> dict[str, Any]:
        named = named_arguments(self.quoted_names, args, kwargs)
        if self.kind == "llm":
            found = request_attributes(named, capture)
            if capture and a.INPUT_MESSAGES not in found:
                found[a.INPUT] = to_json(named)
            return found
        found = {a.INPUT: to_json(named)}
        query = next((named[name] for name in _QUERY_NAMES if isinstance(named.get(name), str)), None)
        if query is None:
            query = next((value for value in named.values() if isinstance(value, str)), None)
        if query is not None:
            found[a.QUERY_TEXT] = to_text(query)
        return found

    def output(self, result: Any) -> dict[str, Any] | None:
        """Return the attributes of the result; never raises."""
        capture = STATE.capture and self.capture_output
        if result is None or (not capture and self.kind != "llm"):
            return None
        try:
            if self.kind == "llm":
                return llm_output(result, capture)
            if self.kind == "retriever":
                documents = to_documents(result)
                if documents is not None:
                    return {a.DOCUMENTS: to_json(documents)}
            return {self.described.output_key: to_text(result)}
        except Exception as error:
            warn_rarely("output", "the result of %s could not be recorded: %s", self.name, type(error).__name__)
            return None


def llm_output(result: Any, capture: bool) -> dict[str, Any]:
    """Return the attributes of a model's answer, or its plain JSON where its shape is unknown."""
    found = response_attributes(result, capture)
    if capture and a.OUTPUT_MESSAGES not in found:
        found[a.OUTPUT] = to_text(result)
    return found


def _positional_names(function: Callable[..., Any]) -> tuple[list[str], int]:
    """Return the names of positional parameters and how many leading ones (``self``) are not shown."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [], 0
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    qualified = getattr(function, "__qualname__", "")
    in_class = "." in qualified and not qualified.rpartition(".")[0].endswith("<locals>")
    skip = 1 if in_class and names and names[0] in ("self", "cls", "mcs") else 0
    return names[skip:], skip
