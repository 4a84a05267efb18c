"""Which traces a store may hold, from memory: never wrong in saying that one is not there."""

from __future__ import annotations

import secrets

import pytest

from spanhouse_server.drain import known
from spanhouse_server.drain.known import KnownTraces
from spanhouse_server.errors import StoreUnavailable
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore, TraceKey
from tests.contract.samples import trace_row


def fresh(count: int) -> list[TraceKey]:
    return [("p", secrets.token_hex(16)) for _ in range(count)]


def stored(columnar: ColumnarStore, traces: list[TraceKey]) -> list[TraceKey]:
    columnar.insert("traces", rows.lines([trace_row("p", trace, 1, 1) for _, trace in traces]))
    return traces


def read_in(store: ColumnarStore, owed: list[TraceKey] | None = None) -> KnownTraces:
    """Return one that has read what is stored."""
    traces = KnownTraces(store, owed or [])
    some = fresh(3)
    assert traces.may_be_stored(some) == some, "nothing is ruled out before it was read"
    traces.wait()
    return traces


@pytest.fixture
def embedded(columnar: ColumnarStore) -> ColumnarStore:
    if not columnar.exclusive:
        pytest.skip("others may write to a server")
    return columnar


def test_where_others_may_write_every_trace_is_looked_up(columnar: ColumnarStore) -> None:
    traces = KnownTraces(columnar)
    traces.may_be_stored(fresh(1))
    traces.wait()
    new = fresh(200)
    assert (traces.may_be_stored(new) == new) is not columnar.exclusive


def test_what_is_stored_is_never_ruled_out_and_nearly_all_else_is(embedded: ColumnarStore) -> None:
    # Some ids are not random: 64-bit ones padded on either side, and counted ones.
    odd = [("p", each) for n in range(1, 200) for each in (f"{n:032x}", f"{n:016x}{0:016x}", f"{n << 40:032x}")]
    old = stored(embedded, [*fresh(5000), *odd])
    traces = read_in(embedded)
    assert traces.may_be_stored(old) == old
    new = fresh(5000)
    assert len(traces.may_be_stored(new)) < 50
    traces.add(new)
    assert traces.may_be_stored(new) == new


def test_what_comes_while_it_is_read_is_known_too(embedded: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read, come, owed = known._stored, fresh(100), fresh(1)
    monkeypatch.setattr(known, "_stored", lambda store: (read(store), traces.add(come))[0])
    traces = KnownTraces(embedded, owed)
    traces.add(early := fresh(10))
    traces.may_be_stored(come)
    traces.wait()
    assert traces.may_be_stored([*early, *come, *owed]) == [*early, *come, *owed]


def test_it_grows_with_what_it_holds(embedded: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "LEAST_WORD_BITS", 8)
    # The smallest that the stored ones fit into with room for as many again, and then some.
    traces = read_in(embedded)
    small = traces._shift
    new = stored(embedded, fresh(40_000))
    for start in range(0, len(new), 1000):
        traces.add(new[start : start + 1000])
    traces.may_be_stored(new[:1])
    traces.wait()
    assert traces._shift < small
    assert traces.may_be_stored(new) == new
    assert len(traces.may_be_stored(fresh(5000))) < 50


def test_a_store_that_cannot_be_read_rules_nothing_out(
    embedded: ColumnarStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(store: ColumnarStore) -> None:
        raise StoreUnavailable("away", "wait")

    with monkeypatch.context() as broken:
        broken.setattr(known, "_stored", fail)
        traces = read_in(embedded)
        new = fresh(100)
        assert traces.may_be_stored(new) == new
        traces.wait()
    traces.may_be_stored(new)
    traces.wait()
    assert len(traces.may_be_stored(fresh(1000))) < 20
