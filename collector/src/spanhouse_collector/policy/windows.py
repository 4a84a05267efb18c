"""Sliding windows: how much was used in the last seconds, in bounded memory.

A window of ``w`` seconds is kept as ``SLOTS`` sums of ``w / SLOTS`` seconds each. A sum counts until
its youngest use is older than the window, so within *any* ``w`` seconds never more is admitted than
the quota; a use is given back at most ``w / SLOTS`` late.
"""

from __future__ import annotations

from collections import deque

#: Sums per window: a use is given back at most 1/60 of the window late.
SLOTS = 60


class Window:
    """The uses of one limit by one segment. Amounts are whole numbers of the limit's smallest unit."""

    __slots__ = ("_slot_ns", "_slots", "used", "window_ns")

    def __init__(self, window_ns: int) -> None:
        self.window_ns = window_ns
        self._slot_ns = max(window_ns // SLOTS, 1)
        self._slots: deque[list[int]] = deque()  # [slot number, amount], ascending
        self.used = 0

    def add(self, amount: int, now_ns: int) -> int:
        """Count a use and return the number of its slot."""
        self.forget(now_ns)
        # A clock that was set back must not reorder the slots: the use then counts for the youngest.
        number = max(now_ns // self._slot_ns, self._slots[-1][0] if self._slots else 0)
        if self._slots and self._slots[-1][0] == number:
            self._slots[-1][1] += amount
        else:
            self._slots.append([number, amount])
        self.used += amount
        return number

    def forget(self, now_ns: int) -> None:
        """Drop what is older than the window."""
        while self._slots and self._free_at_ns(self._slots[0][0]) <= now_ns:
            self.used -= self._slots.popleft()[1]

    def room_at_ns(self, quota: int, amount: int, now_ns: int) -> int:
        """Return when ``amount`` more fits below ``quota`` if nothing else is used: ``now_ns`` if at once.

        An amount above the quota never fits; then the time at which the window is empty comes back.
        """
        self.forget(now_ns)
        used, at_ns = self.used, now_ns
        for number, in_slot in self._slots:
            if used + amount <= quota:
                break
            used -= in_slot
            at_ns = self._free_at_ns(number)
        return at_ns

    def empty_at_ns(self, now_ns: int) -> int:
        """Return when the youngest use is given back."""
        return max(self._free_at_ns(self._slots[-1][0]), now_ns) if self._slots else now_ns

    def oldest_slot(self, now_ns: int) -> int:
        """Return the number of the oldest slot that still counts."""
        return (now_ns - self.window_ns) // self._slot_ns - 1

    def slots(self) -> list[tuple[int, int]]:
        """Return (slot number, amount), oldest first: what a store keeps."""
        return [(number, amount) for number, amount in self._slots]

    def restore(self, slots: list[tuple[int, int]], now_ns: int) -> None:
        """Take back stored sums, which replace the present ones."""
        self._slots = deque([number, amount] for number, amount in sorted(slots) if amount)
        self.used = sum(amount for _, amount in self._slots)
        self.forget(now_ns)

    def _free_at_ns(self, number: int) -> int:
        return (number + 1) * self._slot_ns + self.window_ns
