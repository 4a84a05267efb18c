"""No test compares how long something took: a busy machine would fail it. Work is counted (``tests/steps.py``) instead."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns",
          "thread_time", "thread_time_ns", "time", "time_ns"}  # fmt: skip


def reads_clock(node: ast.AST) -> bool:
    """Tell whether an expression asks a clock of ``time``, as ``time.monotonic()`` or ``monotonic()``."""
    return any(
        isinstance(each, ast.Call)
        and not each.args
        and (
            (isinstance(each.func, ast.Attribute) and each.func.attr in CLOCKS
             and isinstance(each.func.value, ast.Name) and each.func.value.id == "time")
            or (isinstance(each.func, ast.Name) and each.func.id in CLOCKS)
        )
        for each in ast.walk(node)
    )  # fmt: skip


class Durations:
    """The names of one file that hold how long something took, and the functions that return it."""

    def __init__(self, tree: ast.AST) -> None:
        self.names: set[str] = set()
        self.functions: set[str] = set()
        size = -1
        while size != len(self.names) + len(self.functions):  # one may be made of another
            size = len(self.names) + len(self.functions)
            for node in ast.walk(tree):
                self._learn(node)

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value and self.holds(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self.names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            if node.func.attr in ("append", "add", "extend", "put") and any(map(self.holds, node.args)):
                self.names.add(node.func.value.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            returned = (each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value)
            if any(map(self.holds, returned)):
                self.functions.add(node.name)

    def holds(self, node: ast.AST) -> bool:
        """Tell whether an expression has a duration in it: a clock read minus something, or what was made of one."""
        return any(
            (isinstance(each, ast.BinOp) and isinstance(each.op, ast.Sub) and reads_clock(each.left))
            or (isinstance(each, ast.Name) and each.id in self.names)
            or (isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id in self.functions)
            for each in ast.walk(node)
        )


def timed_asserts(source: str) -> Iterator[int]:
    """Yield the lines of the asserts that bound a duration from above, or compare two.

    Waits for a deadline (``assert time.monotonic() < deadline``) compare a clock with a moment and are let through;
    so is a bound from below, which no slow machine can break.
    """
    tree = ast.parse(source)
    durations = Durations(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assert):
            continue
        for compare in (each for each in ast.walk(node.test) if isinstance(each, ast.Compare)):
            terms = [compare.left, *compare.comparators]
            for left, operator, right in zip(terms, compare.ops, terms[1:], strict=False):
                above = isinstance(operator, ast.Lt | ast.LtE) and durations.holds(left)
                below = isinstance(operator, ast.Gt | ast.GtE) and durations.holds(right)
                if above or below:
                    yield node.lineno


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("assert time.monotonic() - begun < 5", [1]),
        ("assert 1 < time.perf_counter() - begun < 5", [1]),
        ("assert 5 > time.time() - begun", [1]),
        ("took = time.monotonic() - begun\nassert took <= 5, 'slow'", [2]),
        ("def f():\n    return time.process_time() - a\nsmall, large = f(), f()\nassert large < small * 4", [4]),
        ("slowest = max(slowest, perf_counter() - begun)\nassert slowest < 1 and x", [2]),
        ("worst.append(time.monotonic() - begun)\nassert max(worst) < 1", [2]),
        ("assert abs(time.time() - stamp) < 60", [1]),
        ("assert time.monotonic() < deadline", []),
        ("assert time.monotonic() - begun >= 0.03", []),
        ("assert begun_ns <= stamp <= time.time_ns()", []),
        ("took = clock.ns - begun\nassert took < 5", []),
    ],
)
def test_it_finds_what_it_should(source: str, lines: list[int]) -> None:
    assert list(timed_asserts(source)) == lines


def test_no_test_compares_how_long_it_took() -> None:
    found = [
        f"{path.relative_to(TESTS.parent)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        if TESTS / "bench" not in path.parents
        for line in timed_asserts(path.read_text(encoding="utf-8"))
    ]
    assert not found, "count steps (tests/steps.py), wait for an event, or set the clock: " + ", ".join(found)
