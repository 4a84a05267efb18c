"""What a server says about its enforced budgets, read: which are used up, and for which calls.

The reply of ``GET /api/v1/budgets/verdicts`` names the used-up budgets with a condition in JSON, since the language
of filters is the server's own. A budget that says what is not understood here is left out, and named: refusing calls
it does not mean would be worse than letting some pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from spanhouse_collector.parse.contract import CallContext
from spanhouse_collector.policy.budgets import UsedBudget

_MAX_DEPTH = 64
_KNOWN = frozenset({"user", "tag", "session", "environment", "prompt", "prompt_version", "metadata"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call; ``key_id`` stands for its credential."""

    context: CallContext
    key_id: str

    def values(self, field: str, key: str) -> Sequence[str]:
        """Return the values of a field: any number of tags, one (maybe empty) of the rest."""
        context = self.context
        if field == "tag":
            return context.tags
        if field == "metadata":
            return (self.key_id if key == "key_id" else context.properties.get(key, ""),)
        return (
            {
                "user": context.user_id,
                "session": context.session_id,
                "environment": context.environment,
                "prompt": context.prompt_name,
                "prompt_version": context.prompt_version,
            }[field],
        )


Test = Callable[[Caller], bool]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A budget that is used up, as a whole or for values of the field ``per``. ``until_s`` is unix time."""

    name: str
    limit_usd: Decimal
    until_s: int | None
    fits: Test
    per: tuple[str, str] | None
    used_usd: Mapping[str, Decimal]

    def on(self, caller: Caller, now_s: float) -> UsedBudget | None:
        """Return what a caller is told, nothing when the budget is not about the call or begins anew."""
        if (self.until_s is not None and now_s >= self.until_s) or not self.fits(caller):
            return None
        for value in (caller.values(*self.per) or ("",)) if self.per is not None else ("",):
            used_usd = self.used_usd.get(value)
            if used_usd is not None:
                return UsedBudget(self.name, value, self.limit_usd, used_usd, self.until_s)
        return None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All that a server said. ``strange`` names budgets that were not understood."""

    closed: tuple[Verdict, ...] = ()
    refresh_s: float = 3.0
    strange: tuple[str, ...] = ()


def read_verdicts(body: bytes) -> Verdicts:
    """Read a server's reply; raise ``ValueError`` for what is none."""
    found = orjson.loads(body)
    items = found.get("items") if isinstance(found, dict) else None
    if not isinstance(items, list) or "refresh_s" not in found:
        raise ValueError("no verdicts on budgets")
    closed: list[Verdict] = []
    strange: list[str] = []
    for item in items:
        try:
            closed.append(_verdict(item))
        except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation):
            name = item.get("name") if isinstance(item, dict) else None
            strange.append(str(name)[:100])
    refresh_s = found["refresh_s"]
    usable = isinstance(refresh_s, int | float) and 1 <= refresh_s <= 3600
    return Verdicts(tuple(closed), float(refresh_s) if usable else 3.0, tuple(strange))


def _verdict(item: Mapping[str, Any]) -> Verdict:
    until = item["resets_at"]
    per = item["per"]
    return Verdict(
        name=_text(item["name"]),
        limit_usd=Decimal(item["limit_usd"]),
        until_s=None if until is None else int(datetime.fromisoformat(until).timestamp()),
        fits=_test(item["condition"]),
        per=None if per is None else _field(per),
        used_usd={_text(each["value"]): Decimal(each["used_usd"]) for each in item["closed"]},
    )


def _test(condition: Any, depth: int = 0) -> Test:
    """Return what tells whether a condition holds for a caller."""
    if depth > _MAX_DEPTH:
        raise ValueError("a condition within too many others")
    if condition is None:
        return lambda caller: True
    if "all" in condition:
        parts = [_test(part, depth + 1) for part in condition["all"]]
        return lambda caller: all(part(caller) for part in parts)
    if "any" in condition:
        parts = [_test(part, depth + 1) for part in condition["any"]]
        return lambda caller: any(part(caller) for part in parts)
    if "not" in condition:
        part = _test(condition["not"], depth + 1)
        return lambda caller: not part(caller)
    return _leaf(condition)


def _leaf(condition: Mapping[str, Any]) -> Test:
    field, key = _field(condition)
    test, given = condition["test"], condition["values"]
    if test == "like":
        patterns = [[_text(part) for part in pattern] for pattern in given]
        if not all(patterns):
            raise ValueError("an empty pattern")
        return lambda caller: any(_like(value, each) for value in caller.values(field, key) for each in patterns)
    texts = [_text(value) for value in given]
    if test == "contains":
        folded = [text.casefold() for text in texts]
        return lambda caller: any(text in value.casefold() for value in caller.values(field, key) for text in folded)
    if test != "is":
        raise ValueError("an unknown test")

    def is_one(caller: Caller) -> bool:
        values = caller.values(field, key)
        return any(text in values or (text == "" and not values) for text in texts)

    return is_one


def _like(value: str, parts: Sequence[str]) -> bool:
    """Tell whether a text has the parts in this order, the first at its start and the last at its end."""
    if len(parts) == 1:
        return value == parts[0]
    if list(parts) == ["", ""]:
        return bool(value)
    if not value.startswith(parts[0]):
        return False
    at = len(parts[0])
    for part in parts[1:-1]:
        found = value.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(value) - at >= len(parts[-1]) and value.endswith(parts[-1])


def _field(given: Mapping[str, Any]) -> tuple[str, str]:
    name = given["field"]
    if name not in _KNOWN:
        raise ValueError("an unknown field")
    return name, _text(given["key"])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
