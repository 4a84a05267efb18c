"""Which budgets a call falls under, told before it is made: what the proxy knows of a caller against a filter.

The same filter counts the spans afterwards (``spending``), in SQL; ``tests/unit/budgets`` holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanhouse_server.model.budgets import Budget
from spanhouse_server.query.facets import grouping_field
from spanhouse_server.query.filter import And, Condition, Node, Not, Or, parse_filter
from spanhouse_server.query.operands import Exact, Operand, Pattern

#: Fields of the filter language that are known before a call.
KNOWN = frozenset({"user", "tag", "session", "environment", "prompt", "prompt_version", "metadata"})


@dataclass(frozen=True, slots=True)
class Caller:
    """What the proxy knows of a call. ``metadata`` holds its properties and ``key_id``."""

    project_id: str
    user_id: str = ""
    session_id: str = ""
    environment: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def values(self, name: str, key: str = "") -> Sequence[str]:
        """Return the values of a field: several for tags, one (maybe empty) for the rest."""
        if name == "metadata":
            return (self.metadata.get(key, ""),)
        if name == "tag":
            return tuple(self.tags)
        return (
            {
                "user": self.user_id,
                "session": self.session_id,
                "environment": self.environment,
                "prompt": self.prompt_name,
                "prompt_version": self.prompt_version,
            }[name],
        )


def can_enforce(budget: Budget) -> bool:
    """Tell whether every field that a budget asks for is known before a call."""
    if budget.per and grouping_field(budget.per)[0].name not in KNOWN:
        return False
    node = parse_filter(budget.q)
    return node is None or _known(node)


def fits(node: Node | None, caller: Caller) -> bool:
    """Tell whether a call passes a filter of known fields (``can_enforce``)."""
    if node is None:
        return True
    if isinstance(node, Not):
        return not fits(node.node, caller)
    if isinstance(node, And):
        return all(fits(part, caller) for part in node.nodes)
    if isinstance(node, Or):
        return any(fits(part, caller) for part in node.nodes)
    assert isinstance(node, Condition), "a search cannot be enforced"
    values = caller.values(node.field.name, node.key)
    return any(_matches(values, operand, node.operator, node.field.span_many) for operand in node.operands)


def values_of(budget: Budget, caller: Caller) -> Sequence[str]:
    """Return the values of the budget's ``per`` that a call has; one empty text without ``per``."""
    if not budget.per:
        return ("",)
    known, key = grouping_field(budget.per)
    return caller.values(known.name, key) or ("",)


def condition_of(node: Node | None) -> dict[str, Any] | None:
    """Return a filter of known fields as JSON, for proxies that do not know the filter language; none: every call.

    ``{"all": [...]}``, ``{"any": [...]}`` and ``{"not": {...}}`` hold conditions. A leaf is ``{"field", "key", "test",
    "values"}``: ``is`` one of some texts (of a tag the empty one stands for no tags at all), ``contains`` one of them
    in upper or lower case, or ``like`` one of some lists of texts that occur in this order, the first at the start and
    the last at the end. A lone pair of empty texts there stands for any value but the empty one.
    """
    if node is None:
        return None
    if isinstance(node, Not):
        return {"not": condition_of(node.node)}
    if isinstance(node, And):
        return {"all": [condition_of(part) for part in node.nodes]}
    if isinstance(node, Or):
        return {"any": [condition_of(part) for part in node.nodes]}
    assert isinstance(node, Condition), "a search cannot be enforced"
    about = {"field": node.field.name, "key": node.key}
    texts = [each.text for each in node.operands if isinstance(each, Exact)]
    patterns = [
        _literals(each.like) if each.like.strip("%") else ["", ""]
        for each in node.operands
        if isinstance(each, Pattern)
    ]
    leaves: list[dict[str, Any]] = []
    if texts:
        leaves.append({**about, "test": "contains" if node.operator == "~" else "is", "values": texts})
    if patterns:
        leaves.append({**about, "test": "like", "values": patterns})
    return leaves[0] if len(leaves) == 1 else {"any": leaves}


def share_of(budget: Budget) -> dict[str, str] | None:
    """Return the field whose values have the limit each by itself, as JSON; none for a limit on all together."""
    if not budget.per:
        return None
    known, key = grouping_field(budget.per)
    return {"field": known.name, "key": key}


def _known(node: Node) -> bool:
    if isinstance(node, Not):
        return _known(node.node)
    if isinstance(node, And | Or):
        return all(_known(part) for part in node.nodes)
    if not isinstance(node, Condition):
        return False
    return node.field.name in KNOWN and node.operator in (":", "~")


def _matches(values: Sequence[str], operand: Operand, operator: str, many: bool) -> bool:
    if operator == "~":
        assert isinstance(operand, Exact), "~ takes texts"
        return any(operand.text.casefold() in value.casefold() for value in values)
    if isinstance(operand, Pattern):
        if not operand.like.strip("%"):
            return any(values)
        return any(_like(value, operand.like) for value in values)
    assert isinstance(operand, Exact), "fields known before a call are texts"
    if many and operand.text == "":
        return not values
    return operand.text in values


def _like(value: str, like: str) -> bool:
    """Tell whether a text is like an SQL pattern as ``operands`` writes them: ``%`` and escapes only."""
    parts = _literals(like)
    if len(parts) == 1:
        return value == parts[0]
    if not value.startswith(parts[0]):
        return False
    at = len(parts[0])
    for part in parts[1:-1]:
        found = value.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(value) - at >= len(parts[-1]) and value.endswith(parts[-1])


def _literals(like: str) -> list[str]:
    """Return the texts between the ``%`` of a pattern, the escapes undone."""
    parts: list[str] = []
    text = ""
    index = 0
    while index < len(like):
        char = like[index]
        if char == "\\" and index + 1 < len(like):
            text += like[index + 1]
            index += 2
            continue
        if char == "%":
            parts.append(text)
            text = ""
        else:
            text += char
        index += 1
    return [*parts, text]
