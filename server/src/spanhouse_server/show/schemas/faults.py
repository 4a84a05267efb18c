"""What is wrong with a body, in the words of the house instead of the library's that reads it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_WORDS = (
    (re.compile(r"^Value error, "), ""),
    (re.compile(r"^Extra inputs are not permitted$"), "there is no such field"),
    (re.compile(r"^Field required$"), "is missing"),
    (re.compile(r"^Input should be "), "must be "),
    (re.compile(r"^(?:String|List|Dictionary|Value|Data) should (?:have|match) "), "must have "),
)
#: Words of the library about types, and what people call them.
_TYPES = {
    "a valid integer, unable to parse string as an integer": "a whole number",
    "a valid integer, got a number with a fractional part": "a whole number",
    "a valid integer": "a whole number",
    "a valid number, unable to parse string as a number": "a number",
    "a valid number": "a number",
    "a valid string": "a text",
    "a valid boolean, unable to interpret input": "true or false",
    "a valid boolean": "true or false",
    "a valid list": "a list",
    "a valid dictionary": "a mapping",
}
#: What the library says of each kind that a body is not of.
_NOT_OF_KIND = ("list_type", "model_type", "model_attributes_type")


def said(problem: Mapping[str, Any], fields: Iterable[str] = ()) -> str:
    """Return one problem found by pydantic as ``field: what is wrong``; ``fields`` are those there are.

    An unknown field is told with the nearest one that is known, or with all of them.
    """
    where, message = place(problem), words(problem)
    known = sorted(fields)
    if problem.get("type") == "extra_forbidden" and known:
        near = difflib.get_close_matches(where, known, n=1)
        message += f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
    return f"{where}: {message}" if where else message


def place(problem: Mapping[str, Any]) -> str:
    """Return the field at fault, with dots between the levels."""
    return ".".join(str(part) for part in problem.get("loc", ()) if not _names_a_kind(part))


def of_the_kind_given(problems: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the problems without those of the kinds that a body could have been of, and is not."""
    fitting = [
        each for each in problems if each.get("type") not in _NOT_OF_KIND or not any(map(_names_a_kind, each["loc"]))
    ]
    return fitting or list(problems)


def _names_a_kind(part: Any) -> bool:
    """Tell whether a part of a place is the library's name for one of several kinds, ``list[ScoreInput]``."""
    return isinstance(part, str) and "[" in part


def words(problem: Mapping[str, Any]) -> str:
    """Return what is wrong with it."""
    message = str(problem.get("msg", "invalid"))
    for pattern, ours in _WORDS:
        message = pattern.sub(ours, message)
    for theirs, ours in _TYPES.items():
        message = message.replace(f"must be {theirs}", f"must be {ours}")
    return message
