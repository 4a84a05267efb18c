"""Budgets that somebody else keeps: the server tells whether one is used up, the proxy refuses the call.

The answer is in the form of the API that was called, so that the client's own library shows the sentence.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from spanhouse_collector.parse.contract import CallContext
from spanhouse_collector.parse.endpoints import find
from spanhouse_collector.policy.errors import BudgetUsedUp

#: When to ask again about a budget over the last hours.
ROLLING_WAIT_S = 60


@dataclass(frozen=True, slots=True)
class UsedBudget:
    """A budget that is used up. ``value`` is whose share of it, empty for all; ``until_s`` (unix s) its renewal.

    A budget over the last hours (``None``) has no renewal: spend falls out of it as it ages.
    """

    name: str
    value: str
    limit_usd: Decimal
    used_usd: Decimal
    until_s: int | None


class Budgets(Protocol):
    """Answers from memory: every call is asked about, on the event loop."""

    def watches(self, project: str) -> bool:
        """Tell whether any budget of a project is enforced at all."""

    def used_up(self, project: str, context: CallContext, key_id: str) -> UsedBudget | None:
        """Return a budget that is used up for a caller, nothing when none is."""


def refusal(budget: UsedBudget, method: str, path: str, query: str) -> BudgetUsedUp:
    """Return the error to answer a call with, in the form of the API that its path names."""
    now_s = time.time()
    wait_s = ROLLING_WAIT_S if budget.until_s is None else max(budget.until_s - int(now_s), 1)
    renewal = (
        "Spend falls out of it as it ages."
        if budget.until_s is None
        else f"It begins anew at {datetime.fromtimestamp(budget.until_s, UTC):%Y-%m-%d %H:%M} UTC."
    )
    whose = f" for {budget.value[:100]!r}" if budget.value else ""
    places = max(2, 1 - budget.limit_usd.adjusted())  # two digits of a limit below a dollar, too
    message = (
        f"The budget {budget.name!r}{whose} is used up: {budget.used_usd:.{places}f} of"
        f" {budget.limit_usd:f} USD are spent. {renewal}"
    )
    hint = "raise the budget in Spanhouse, or turn its enforcement off"
    # Clients of OpenAI and Anthropic retry a 429 unless they are told not to; no retry brings money back.
    headers = [("Retry-After", str(wait_s)), ("x-should-retry", "false")]
    api = find("", method, path, query).api
    if api.startswith("bedrock"):
        headers.append(("x-amzn-errortype", "ThrottlingException"))
    error = BudgetUsedUp(message, hint, headers)
    error.body = _body(api, message, hint)
    return error


def _body(api: str, message: str, hint: str) -> Mapping[str, Any]:
    code = BudgetUsedUp.code
    if api == "anthropic":
        return {"type": "error", "error": {"type": "rate_limit_error", "message": message, "code": code, "hint": hint}}
    if api.startswith("gemini"):
        return {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "hint": hint}}
    if api.startswith(("bedrock", "cohere")):
        return {"message": message, "code": code, "hint": hint}
    if api.startswith("ollama"):
        return {"error": message, "code": code, "hint": hint}
    # OpenAI's form, which most others took over.
    return {"error": {"message": message, "type": "insufficient_quota", "param": None, "code": code, "hint": hint}}
