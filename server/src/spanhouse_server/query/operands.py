"""Values of the filter language: texts with wildcards, numbers with units."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from spanhouse_server.errors import BadQuery
from spanhouse_server.query.fields import FLAGS, Field

_NUMBER = re.compile(
    r"^([+-]?)(\$?)(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE]([+-]?\d{1,2}))?\s*([a-zA-Zµ]*)$", re.ASCII
)
_NS = {"ns": 1, "us": 1e3, "ms": 1e6, "": 1e6, "s": 1e9, "sec": 1e9, "m": 60e9, "min": 60e9, "h": 3600e9, "d": 86_400e9}
_THOUSANDS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
_DOLLARS = {"": 1.0, "usd": 1.0, "c": 0.01, "ct": 0.01}
_MAX_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Token:
    """A value as written, with its place in the query text."""

    text: str
    quoted: bool
    position: int
    length: int


@dataclass(frozen=True, slots=True)
class Exact:
    """A text that must be equal, or be contained where the operator is ``~``."""

    text: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A LIKE pattern."""

    like: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number in the unit of its column (durations in ns, money in dollars)."""

    value: float


Operand = Exact | Pattern | Number


def read_operand(field: Field, operator: str, token: Token) -> Operand:
    """Return the operand for a value of ``field``; raise ``BadQuery`` marking the value."""
    if field.type in ("number", "duration", "money"):
        return Number(_number(field, token))
    if field.type in ("any", "score"):
        number = plain_number(token.text) if not token.quoted else None
        if operator in (">", ">=", "<", "<="):
            if number is None:
                raise BadQuery(
                    f"{token.text[:60]!r} is not a number", "compare with a number", token.position, token.length
                )
            return Number(number)
        if number is not None and field.type == "score":
            return Number(number)
        return _textual(token, operator)
    if field.type == "flag":
        return Exact(_one_of(tuple(FLAGS), "has", token))
    if field.values and operator == ":":
        if "*" in token.text and not token.quoted:
            return _textual(Token(token.text.lower(), False, token.position, token.length), operator)
        return Exact(_one_of(field.values, field.name, token))
    if field.name in ("trace", "span", "parent"):
        return _textual(Token(token.text.lower(), token.quoted, token.position, token.length), operator)
    return _textual(token, operator)


def plain_number(text: str) -> float | None:
    """Return the number that ``text`` is, or nothing."""
    found = _NUMBER.match(text)
    if not found or found.group(2) or found.group(5):
        return None
    return float(text)


def like_escaped(text: str) -> str:
    """Return ``text`` with the special characters of LIKE escaped."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _textual(token: Token, operator: str) -> Operand:
    if token.quoted or "*" not in token.text or operator == "~":
        return Exact(token.text)
    return Pattern("%".join(like_escaped(part) for part in token.text.split("*")))


def _one_of(values: tuple[str, ...], name: str, token: Token) -> str:
    value = token.text.lower()
    if value in values:
        return value
    near = difflib.get_close_matches(value, values, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(values)}"
    raise BadQuery(f"{name} cannot be {token.text[:60]!r}", hint, token.position, token.length)


def _number(field: Field, token: Token) -> float:
    units, example = {
        "duration": (_NS, "2s, 300ms or 1.5m"),
        "money": (_DOLLARS, "0.01 or $0.01"),
        "number": (_THOUSANDS, "500 or 10k"),
    }[field.type]
    found = _NUMBER.match(token.text)
    fault = BadQuery(
        f"{field.name} cannot be {token.text[:60]!r}", f"write a number such as {example}", token.position, token.length
    )
    if not found:
        raise fault
    sign, dollar, digits, exponent, unit = found.groups()
    factor = units.get(unit.lower().replace("µ", "u"))
    if factor is None or (dollar and field.type != "money"):
        raise fault
    value = float(f"{sign}{digits}e{exponent or 0}") * factor
    if field.type == "duration":
        return float(min(max(value, -_MAX_NS), _MAX_NS))
    return value
