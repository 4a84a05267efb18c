"""What a policy answers instead of passing a call on: a branch of the collector's tree of errors.

Each becomes one response: ``http_status``, the house's error shape
``{"error": {"code", "message", "hint"}}`` and ``headers``.
"""

from __future__ import annotations

from collections.abc import Sequence

from spanhouse_collector.errors import ConfigError, Refused


class PolicyRefusal(Refused):
    """A call is answered by the proxy itself because of a policy; nothing went upstream."""

    code = "refused_by_policy"
    http_status = 403

    def __init__(self, message: str, hint: str = "", headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message, hint)
        self.headers = tuple(headers)


class MalformedPolicy(PolicyRefusal):
    """A policy header, or a line of the operator's policy file, cannot be read."""

    code = "malformed_policy"
    http_status = 400


class RateLimited(PolicyRefusal):
    """A limit or budget is used up; ``headers`` say when to come back."""

    code = "rate_limited"
    http_status = 429


class BudgetUsedUp(PolicyRefusal):
    """A budget that is enforced is used up for this caller; ``body`` is in the form of the API called."""

    code = "budget_exceeded"
    http_status = 429


class UnknownKey(PolicyRefusal):
    """A stored key was named that does not exist, was revoked or is another tenant's."""

    code = "unknown_key"
    http_status = 401


class KeyNotForHost(PolicyRefusal):
    """A stored key was to be sent to a host it is not bound to."""

    code = "key_not_for_host"
    http_status = 403


class NoUpstream(PolicyRefusal):
    """Every member of an upstream pool is draining or gone."""

    code = "no_upstream"
    http_status = 503


class PolicyFailed(PolicyRefusal):
    """A policy that guards money or keys has a fault; passing the call on without it would be wrong."""

    code = "policy_failed"
    http_status = 503


class PolicyStoreError(ConfigError):
    """A file of a policy (usage, cache, stored keys) cannot be opened or read; says what to do."""
