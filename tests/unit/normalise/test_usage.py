"""Token counts: tolerant of types, never invented, inclusive in the end."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.model.span import Usage
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.values import count_of
from tests.unit.normalise.make import raw_span

PREFIX = "gen_ai.usage."


def usage_of(**counts: Any) -> Usage:
    """Return the usage read from ``gen_ai.usage.*`` counts; ``__`` stands for a dot."""
    return normalise(raw_span({PREFIX + key.replace("__", "."): value for key, value in counts.items()})).usage


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (5, 5),
        ("5", 5),
        (" 12 ", 12),
        (7.0, 7),
        ("7.0", 7),
        (0, 0),
        (True, None),
        (-1, None),
        ("-1", None),
        (1.5, None),
        ("NaN", None),
        ("Infinity", None),
        (float("nan"), None),
        ("1_000", None),
        ("five", None),
        ("", None),
        ([5], None),
        ({"a": 5}, None),
        (10**30, None),
        ("9" * 40, None),
        ("٥", None),
    ],
)
def test_counts(value: Any, count: int | None) -> None:
    assert count_of(value) == count
    assert usage_of(input_tokens=value).input_tokens == count


def test_missing_is_not_zero() -> None:
    assert usage_of() == Usage()
    assert usage_of(cache_read__input_tokens=5) == Usage()
    assert usage_of(output_tokens=0) == Usage(output_tokens=0, basis="inclusive")


def test_duplicate_keys_are_chosen_not_added() -> None:
    usage = usage_of(
        prompt_tokens=9,
        input_tokens=10,
        output_tokens=3,
        completion_tokens=3,
        cache_read__input_tokens=4,
        cache_read_input_tokens=4,
        cache_write__input_tokens=2,
        cache_creation__input_tokens=2,
    )
    assert usage == Usage(10, 3, 4, 2, basis="inclusive")


def test_an_unusable_first_choice_gives_way() -> None:
    assert usage_of(input_tokens=True, prompt_tokens=9).input_tokens == 9


def test_details_beyond_the_total_were_left_out_of_it() -> None:
    assert usage_of(input_tokens=10, output_tokens=5, cache_read__input_tokens=90) == Usage(
        100, 5, 90, basis="exclusive"
    )
    assert usage_of(input_tokens=1, output_tokens=5, reasoning__output_tokens=6) == Usage(
        1, 11, None, None, 6, basis="exclusive"
    )


def test_the_emitters_own_total_tells_what_it_left_out() -> None:
    counts = {"input_tokens": 50, "output_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 10}
    assert usage_of(**counts, total_tokens=85) == Usage(80, 5, 20, 10, basis="exclusive")
    assert usage_of(**counts, total_tokens=55) == Usage(50, 5, 20, 10, basis="inclusive")


def test_an_emitter_known_to_leave_cached_tokens_out() -> None:
    attributes = {PREFIX + "input_tokens": 50, PREFIX + "output_tokens": 5, PREFIX + "cache_read.input_tokens": 20}
    usage = normalise(raw_span(attributes, scope="openlit.instrumentation.anthropic")).usage
    assert usage == Usage(70, 5, 20, basis="exclusive")
