"""The health of a pool's members: what ejects one, for how long, and how it comes back.

**Passive**: every call reports how its attempt went. ``consecutive_failures`` in a row, or a share of
``failure_share`` of at least ``min_calls`` in ``window_s``, eject a member. Failures are connections that
could not be made or broke before an answer, timeouts, and 5xx; a 429 or 4xx is the caller's affair.
**Active**: a probe (``checker``) asks each member; ``probe_failures`` in a row eject it, ``probe_successes``
bring it back.

An ejection lasts ``base_s`` x 2^(ejections - 1), ``longest_s`` at most; a member that then works for
as long as its last ejection starts afresh. When its time is over a member is on probation: it gets calls
again, few at first (slow start), and the first failure ejects it again at once. With active checks it also
has to answer a probe first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthRules:
    """When a member is ejected and how it comes back; times in seconds."""

    consecutive_failures: int = 5
    failure_share: float = 0.5
    min_calls: int = 20
    window_s: float = 60.0
    base_s: float = 10.0
    longest_s: float = 300.0
    slow_start_s: float = 30.0
    probe_failures: int = 3
    probe_successes: int = 2


#: The share of its calls a member gets when it has just come back.
_FIRST_SHARE = 0.1
#: Outcomes remembered per member.
_MAX_OUTCOMES = 512


class Health:
    """The health of one member. All times are monotonic seconds handed in."""

    def __init__(self, rules: HealthRules, *, probed: bool = False) -> None:
        self._rules = rules
        self._probed = probed
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=_MAX_OUTCOMES)
        self._in_a_row = 0
        self._ejections = 0
        self._ejected_until_s: float | None = None
        self._returned_s: float | None = None
        self._on_probation = False
        self._probe_failures = 0
        self._probe_successes = 0
        self._last_ejection_s = 0.0
        self.reason = ""

    def available(self, now_s: float) -> bool:
        """Tell whether the member may get calls; its return begins here when its time is over."""
        if self._ejected_until_s is None:
            return True
        if now_s < self._ejected_until_s or (self._probed and self._probe_successes < self._rules.probe_successes):
            return False
        self._ejected_until_s = None
        self._returned_s = now_s
        self._on_probation = True
        self._in_a_row = 0
        self._outcomes.clear()
        return True

    def share(self, now_s: float) -> float:
        """Return which share of its usual calls the member should get: 1, or less during slow start."""
        if self._returned_s is None or self._rules.slow_start_s <= 0:
            return 1.0
        passed = (now_s - self._returned_s) / self._rules.slow_start_s
        if passed >= 1:
            self._returned_s = None
            return 1.0
        return max(passed, _FIRST_SHARE)

    def succeeded(self, now_s: float) -> None:
        """Take in an attempt that got an answer."""
        self._in_a_row = 0
        self._on_probation = False
        self._outcomes.append((now_s, True))
        if self._ejections and self._ejected_until_s is None and now_s - self._last_ejection_s > 2 * self.ejection_s():
            self._ejections = 0

    def failed(self, now_s: float, reason: str) -> None:
        """Take in an attempt that failed; it may eject the member."""
        self._in_a_row += 1
        self._outcomes.append((now_s, False))
        if self._ejected_until_s is not None:
            return  # one that was in flight: the member is out already
        if self._on_probation or self._in_a_row >= self._rules.consecutive_failures or self._share_is_bad(now_s):
            self._eject(now_s, reason)

    def probed(self, ok: bool, now_s: float, reason: str = "") -> None:
        """Take in an active check."""
        if ok:
            self._probe_failures = 0
            self._probe_successes += 1
            return
        self._probe_successes = 0
        self._probe_failures += 1
        if self._probe_failures >= self._rules.probe_failures and self._ejected_until_s is None:
            self._eject(now_s, reason or "health check failed")

    def ejection_s(self) -> float:
        """Return how long the latest ejection lasts."""
        return min(self._rules.base_s * 2.0 ** max(self._ejections - 1, 0), self._rules.longest_s)

    def state(self, now_s: float) -> str:
        """Return ``ejected``, ``returning`` or ``healthy``."""
        if self._ejected_until_s is not None:
            return "ejected"
        return "returning" if self.share(now_s) < 1 else "healthy"

    def _eject(self, now_s: float, reason: str) -> None:
        self._ejections = min(self._ejections + 1, 32)
        self._ejected_until_s = now_s + self.ejection_s()
        self._last_ejection_s = now_s
        self._probe_successes = 0
        self.reason = reason

    def _share_is_bad(self, now_s: float) -> bool:
        while self._outcomes and now_s - self._outcomes[0][0] > self._rules.window_s:
            self._outcomes.popleft()
        calls = len(self._outcomes)
        failures = sum(not ok for _, ok in self._outcomes)
        return calls >= self._rules.min_calls and failures >= calls * self._rules.failure_share
