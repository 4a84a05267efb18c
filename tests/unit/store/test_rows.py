"""Rows without a store: stable hashes, exact money, JSON that always comes out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.model.raw import RawSpan, Scope
from spanhouse_server.model.span import Cost, Span, Usage
from spanhouse_server.store.jsontext import TOO_DEEP, clean_text, dump, dump_sorted
from spanhouse_server.store.rows import SPAN_COLUMNS, facts_of, lines, log_row, money, point_row, span_row
from tests.contract.samples import NS, T0, index_row, make_span
from tests.contract.test_rows_in_store import make_log, make_point


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, spanhouse_server.store.rows; "
        "sys.exit(any(name.split('.')[0] in ('clickhouse_connect', 'chdb', 'sqlalchemy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_every_value_stands_under_its_column() -> None:
    """The values are a list: each is told here by one that no other field has."""
    span = make_span()
    counts = {each.name: 1000 + n for n, each in enumerate(fields(Usage)) if each.type == "int | None"}
    usage = Usage(**counts, basis="inclusive", service_tier="batch")
    cost = Cost(*map(Decimal, range(1, 5)), status="priced", reason="because", source="list")
    text = {each.name: f"own {each.name}" for each in fields(Span) if each.type == "str"}
    raw_text = {each.name: f"raw {each.name}" for each in fields(RawSpan) if each.type == "str"}
    numbers = {each.name: 2000 + n for n, each in enumerate(fields(RawSpan)) if each.type == "int"}
    lists = {name: [{"is": name}] for name in ("system_instructions", "input_messages", "output_messages")}
    lists |= {"tool_definitions": ["tools"], "documents": [{"id": "d"}], "finish_reasons": ["stop"], "tags": ["tag"]}
    canonical = replace(
        span, raw=replace(span.raw, **raw_text, **numbers), usage=usage, cost=cost, **text, **lists, truncated=True
    )
    row = span_row("the project", T0 + 7, 30, canonical)
    assert list(row) == list(SPAN_COLUMNS)
    wanted: dict[str, object] = {"project_id": "the project", "version": T0 + 7, "arrival_ns": T0 + 7}
    wanted |= {"received_at": (T0 + 7) // NS, "retention_days": 30, "search_text": canonical.text}
    wanted |= {"usage_basis": "inclusive", "tool_arguments": '{"q":"x"}', "tool_result": '"done"'}
    wanted |= {f"cost_{name}": getattr(cost, name) for name in ("status", "reason", "source")}
    wanted |= {name: dump_sorted(getattr(canonical.raw, name)).decode() for name in ("resource", "scope")}
    for column in ("cost_usd", "cost_input_usd", "cost_output_usd", "cost_reported_usd"):
        amount = getattr(cost, column.removeprefix("cost_") if column != "cost_usd" else "total_usd")
        wanted[column] = f"{amount}.000000000000"
    for column, value in row.items():
        sources = [each for each in (canonical, canonical.raw, usage) if hasattr(each, column)]
        assert value == (wanted[column] if column in wanted else getattr(sources[0], column)), column


def test_the_same_log_again_has_the_same_id() -> None:
    first = log_row("p", T0, 0, make_log(), True)["log_id"]
    assert log_row("p", T0 + 9, 3, make_log(observed_ns=1, attributes={"k": 1}), False)["log_id"] == first
    changed = [
        {"body": "x"}, {"trace_id": ""}, {"span_id": ""}, {"time_ns": 1}, {"event_name": "f"}, {"severity_number": 1},
        {"attributes": {"k": 2}}, {"attributes": {"l": 1}}, {"resource": {"service.name": "other"}},
    ]  # fmt: skip
    ids = {log_row("p", T0, 0, make_log(**more), True)["log_id"] for more in changed}
    assert len(ids | {first}) == len(changed) + 1


def test_a_series_is_its_resource_scope_and_attributes() -> None:
    first = point_row("p", T0, 0, make_point())["series_id"]
    same = make_point(attributes={"b": True, "n": 1, "model": "m"}, time_ns=1, value=9.0)
    assert point_row("p", T0 + 1, 0, same)["series_id"] == first
    changed = [{"attributes": {}}, {"resource": {}}, {"scope": Scope("other", "1")}, {"type": "gauge"}]
    ids = {point_row("p", T0, 0, make_point(**more))["series_id"] for more in changed}
    assert len(ids | {first}) == len(changed) + 1


def test_resource_and_scope_are_those_of_the_span_itself() -> None:
    """Their text is remembered between spans; it must never be the neighbour's."""
    resources = [{"service.name": name} for name in "abab"]
    texts = [span_row("p", T0, 0, make_span(resource=one, scope=Scope(one["service.name"]))) for one in resources]
    assert [orjson.loads(row["resource"]) for row in texts] == resources
    assert [orjson.loads(row["scope"])["name"] for row in texts] == list("abab")


@pytest.mark.parametrize(
    ("amount", "kept"),
    [
        (None, None),
        ("0", "0.000000000000"),
        ("1E-12", "0.000000000001"),
        ("4E-13", "0.000000000000"),
        ("999999.9999999999995", None),
        ("-1.5", "-1.500000000000"),
        ("1E+6", None),
        ("1E+999999", None),
        ("NaN", None),
        ("-Infinity", None),
    ],
)
def test_money(amount: str | None, kept: str | None) -> None:
    found = money(None if amount is None else Decimal(amount))
    assert (None if found is None else f"{found:f}") == kept


@given(st.decimals())
def test_money_fits_its_column(amount: Decimal) -> None:
    kept = money(amount)
    assert kept is None or (kept.as_tuple().exponent == -12 and len(kept.as_tuple().digits) <= 18)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_dump_never_fails(value: object) -> None:
    written = dump(value)
    assert dump(orjson.loads(written)) == written


def test_deep_nesting_is_cut_not_refused() -> None:
    deep: object = 1
    for _ in range(10_000):
        deep = {"a": deep}
    assert TOO_DEEP.encode() in dump(deep)


@given(st.text(st.characters(categories=["Cs", "L"])))
def test_clean_text_is_utf8(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert len(cleaned) <= len(text)


def test_lines_take_dicts_and_dataclasses() -> None:
    row = index_row("p", facts_of(T0, 0, make_span()), T0)
    written = lines([{"a": Decimal("0.1")}, row, replace(row, name="\ud800")])
    parsed = [orjson.loads(line) for line in written.splitlines()]
    assert parsed[0] == {"a": "0.1"}
    assert parsed[1]["cost_usd"] == "0.000001234567"
    assert parsed[2]["name"] == "\ufffd"
    assert written.endswith(b"\n")
    assert lines([]) == b""
