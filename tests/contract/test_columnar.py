"""What every columnar backend keeps: the embedded engine and the real HTTP client alike."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from spanhouse_server.errors import BadRequest, QueryTimeout, SpanhouseError, StoreError, StoreUnavailable
from spanhouse_server.store.bare import COLUMNS, bare_span
from spanhouse_server.store.columnar import migrate
from spanhouse_server.store.contract import TABLES, ColumnarStore
from spanhouse_server.store.rows import facts_of, lines, log_row, point_row, span_row, span_values
from tests.contract.samples import LATER, NS, T0, index_row, make_span, trace_row
from tests.contract.test_rows_in_store import make_log, make_point

TRACE = "1" * 32
#: A read that takes an hour.
PATIENCE_S = 250
ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"


def put(store: ColumnarStore, project: str, version: int, *spans) -> None:
    store.insert("spans", lines(span_row(project, version, 0, span) for span in spans))


def count(store: ColumnarStore, project: str, table: str = "spans") -> int:
    sql = f"SELECT count() AS n FROM {table} FINAL WHERE project_id = {{p:String}}"
    return store.select(sql, {"p": project})[0]["n"]


def test_migrating_again_does_nothing(columnar: ColumnarStore) -> None:
    assert columnar.migrate() == []
    applied = [row["name"] for row in columnar.select("SELECT name FROM schema_migrations ORDER BY name")]
    assert applied == [migration.name for migration in migrate.load()]
    assert {name[5:] for name in applied} >= set(TABLES)


def test_the_same_batch_again_is_stored_once(columnar: ColumnarStore) -> None:
    spans = [make_span(TRACE, f"{n:016x}") for n in range(50)]
    for _ in range(3):
        put(columnar, "twice", T0, *spans)
    assert count(columnar, "twice") == 50
    assert len(columnar.facts([("twice", TRACE)])[("twice", TRACE)]) == 50
    assert columnar.stored_versions([("twice", TRACE)]) == {("twice", TRACE, f"{n:016x}"): T0 for n in range(50)}


@pytest.mark.parametrize("name", ["plain.rows", "it's {one},*? of [many].rows"])
def test_rows_are_taken_from_a_file(columnar: ColumnarStore, tmp_path: Path, name: str) -> None:
    """In any order, and with several versions of one span, of which the newest stays."""
    project = f"file {name}"
    newest = {f"{n:016x}": T0 + n % 3 for n in range(60)}
    rows = [
        bare_span(span_values(project, version, 0, make_span(TRACE, span_id)))
        for span_id, last in reversed(newest.items())
        for version in range(last, T0 - 1, -1)
    ]
    path = tmp_path / name
    path.write_bytes(b"\n".join(rows) + b"\n")
    columnar.insert("spans", path, COLUMNS["spans"])
    assert count(columnar, project) == len(newest)
    assert {facts.span_id: facts.version for facts in columnar.facts([(project, TRACE)])[project, TRACE]} == newest
    assert columnar.stored_versions([(project, TRACE)]) == {(project, TRACE, span): at for span, at in newest.items()}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["newer last", "newer first"])
@pytest.mark.parametrize(
    ("later_ns", "start_ns"), [(T0 + 1, T0), (T0 + 1, T0 + 99 * NS), (LATER, T0), (LATER, T0 - 99 * NS)]
)
def test_the_later_version_wins(columnar: ColumnarStore, order: tuple[int, int], later_ns: int, start_ns: int) -> None:
    """Also when its start moved, when it lies in another partition, and whichever comes first."""
    project = f"later {order} {later_ns} {start_ns}"
    versions = [(T0, make_span(TRACE, name="old")), (later_ns, make_span(TRACE, name="new", start_ns=start_ns))]
    for at in order:
        put(columnar, project, *versions[at])
    found = columnar.select("SELECT name, start_ns FROM spans FINAL WHERE project_id = {p:String}", {"p": project})
    assert found == [{"name": "new", "start_ns": start_ns}]
    (facts,) = columnar.facts([(project, TRACE)])[(project, TRACE)]
    assert (facts.name, facts.version, facts.start_ns) == ("new", later_ns, start_ns)
    assert columnar.stored_versions([(project, TRACE)]) == {(project, TRACE, "b" * 16): later_ns}


def test_facts_read_back_equal_those_of_the_span(columnar: ColumnarStore) -> None:
    bare = make_span(
        TRACE, "f" * 16, start_ns=T0 + 1, parent_span_id="", tags=[], metadata={}, ttft_ns=None, error_type="",
        usage=type(make_span().usage)(), cost=type(make_span().cost)(), finish_reasons=[],
    )  # fmt: skip
    full = make_span(TRACE, user_id='u"\\\n\0é😀', metadata={"ключ": "'x'"}, tags=["a,b", "[c]"])
    columnar.insert("spans", lines([span_row("facts", T0, 30, full), span_row("facts", T0, 0, bare)]))
    found = columnar.facts([("facts", TRACE), ("facts", "0" * 32)])
    assert found == {("facts", TRACE): [facts_of(T0, 30, full), facts_of(T0, 0, bare)]}
    assert str(found[("facts", TRACE)][0].cost_output_usd) == "1.00000E-7"


def test_facts_of_an_older_layout_are_read_by_column(columnar: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [make_span(TRACE, "1" * 16, start_ns=T0 + 5), make_span(TRACE, "2" * 16)]
    put(columnar, "layout", T0, *spans)
    monkeypatch.setattr("spanhouse_server.store.columnar.lookups.FACTS_LAYOUT", 99)
    assert columnar.facts([("layout", TRACE)]) == {("layout", TRACE): [facts_of(T0, 0, span) for span in spans[::-1]]}


def test_projects_do_not_see_each_other(columnar: ColumnarStore) -> None:
    put(columnar, "mine", T0, make_span(TRACE, name="mine"))
    put(columnar, "theirs", T0 + 1, make_span(TRACE, name="theirs"))
    both = columnar.facts([("mine", TRACE), ("theirs", TRACE)])
    assert {key[0]: facts[0].name for key, facts in both.items()} == {"mine": "mine", "theirs": "theirs"}
    assert list(columnar.stored_versions([("mine", TRACE)])) == [("mine", TRACE, "b" * 16)]
    assert columnar.facts([("mi", TRACE), ("mine' OR '1'='1", TRACE), ("", TRACE)]) == {}


def test_index_keys_show_every_place_a_trace_stands(columnar: ColumnarStore) -> None:
    facts = facts_of(T0, 0, make_span(TRACE, "1" * 16))
    rows = [
        index_row("index", facts, T0),
        index_row("index", facts, T0 + 1, start_ns=T0 + 7),  # a crash left this beside the first
        index_row("index", facts, T0 + 2, start_ns=T0 + 9),
        index_row("index", facts, T0 + 3, start_ns=T0 + 9, is_deleted=1),
        index_row("index", facts, LATER, span_id="2" * 16),
        index_row("other", facts, T0, start_ns=T0 + 1),
    ]
    traces = [
        trace_row("index", TRACE, T0, T0),
        trace_row("index", TRACE, T0 + 7, T0),
        trace_row("other", TRACE, 5, T0),
    ]
    columnar.insert("span_index", lines(rows))
    columnar.insert("traces", lines(traces))
    columnar.insert("traces", lines([trace_row("index", TRACE, T0, LATER, is_deleted=1)]))
    (keys,) = columnar.index_keys([("index", TRACE), ("index", "9" * 32)]).values()
    assert list(keys.trace_starts_ns) == [T0 + 7]
    assert {span: list(starts) for span, starts in keys.span_starts_ns.items()} == {
        "1" * 16: [T0, T0 + 7],
        "2" * 16: [T0],
    }


def test_index_rows_keep_what_they_were_given(columnar: ColumnarStore) -> None:
    facts = facts_of(T0, 0, make_span(TRACE))
    row = index_row("kept", facts, T0, is_root=True, duration_ns=5, model="m", counted=True)
    columnar.insert("span_index", lines([row]))
    (found,) = columnar.select("SELECT * FROM span_index FINAL WHERE project_id = 'kept'")
    for name, value in found.items():
        if name != "received_at":
            assert value == getattr(row, name), name
    trace = trace_row("kept", TRACE, T0, T0, cost_usd=Decimal("1.5"), models=["a"], metadata={"k": "v"}, span_count=3)
    columnar.insert("traces", lines([trace]))
    (found,) = columnar.select("SELECT * FROM traces FINAL WHERE project_id = 'kept'")
    assert {name: found[name] for name in ("cost_usd", "models", "metadata", "span_count", "input_tokens")} == {
        "cost_usd": Decimal("1.5"), "models": ["a"], "metadata": {"k": "v"}, "span_count": 3, "input_tokens": None,
    }  # fmt: skip


def test_a_huge_trace_is_settled_whole(columnar: ColumnarStore) -> None:
    spans = [make_span("5" * 32, f"{n:016x}", attributes={}, start_ns=T0 + n) for n in range(20_000)]
    for at in range(0, 20_000, 5_000):
        put(columnar, "huge", T0, *spans[at : at + 5_000])
    facts = columnar.facts([("huge", "5" * 32)])[("huge", "5" * 32)]
    assert [fact.start_ns - T0 for fact in facts] == list(range(20_000))
    assert len(columnar.stored_versions([("huge", "5" * 32)])) == 20_000


def test_many_traces_in_one_call(columnar: ColumnarStore) -> None:
    traces = [f"{n:032x}" for n in range(3_000)]
    put(columnar, "many", T0, *(make_span(trace, attributes={}) for trace in traces))
    asked = [("many", trace) for trace in traces]
    assert len(columnar.facts(asked)) == len(columnar.stored_versions(asked)) == 3_000


HOSTILE = [
    "",
    "'",
    '"',
    "\\",
    "\\'; DROP TABLE spans --",
    "{x:String}",
    "%s %(a)s %%",
    "a\tb\nc\rd\be\0f",
    "é😀",
    "`",
    "\\N",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_parameters_are_only_values(columnar: ColumnarStore, text: str) -> None:
    sql = "SELECT {x:String} AS one, {many:Array(String)} AS many, length({x:String}) AS bytes"
    assert columnar.select(sql, {"x": text, "many": [text, "z"]}) == [
        {"one": text, "many": [text, "z"], "bytes": len(text.encode())}
    ]
    put(columnar, "hostile", T0, make_span("7" * 32, session_id=text))
    found = columnar.select(
        "SELECT session_id FROM spans FINAL WHERE project_id = 'hostile' AND session_id = {x:String}", {"x": text}
    )
    assert found == [{"session_id": text}]


@pytest.mark.parametrize(
    ("words", "found"),
    [("refund", True), ("REFUND order", True), ("order refund 4711", True), ("refu", False), ("refund absent", False)],
)
def test_text_search(columnar: ColumnarStore, words: str, found: bool) -> None:
    put(columnar, "text", T0, make_span(TRACE))
    sql = "SELECT span_id FROM spans FINAL WHERE project_id = 'text' AND hasAllTokens(lower(search_text), lower({w:String}))"
    assert bool(columnar.select(sql, {"w": words})) is found


def test_text_search_sees_the_newest_version_only(columnar: ColumnarStore) -> None:
    put(columnar, "reword", T0, make_span(TRACE, text="alpha"))
    put(columnar, "reword", T0 + 1, make_span(TRACE, text="beta"))
    sql = "SELECT span_id FROM spans FINAL WHERE project_id = 'reword' AND hasAllTokens(lower(search_text), {w:String})"
    assert columnar.select(sql, {"w": "alpha"}) == []
    assert len(columnar.select(sql, {"w": "beta"})) == 1


@pytest.mark.parametrize("table", TABLES)
def test_every_table_forgets_by_ttl_and_reaches_the_disk(columnar: ColumnarStore, table: str) -> None:
    (found,) = columnar.select(
        "SELECT create_table_query AS ddl FROM system.tables WHERE database = currentDatabase() AND name = {t:String}",
        {"t": table},
    )
    days = "retention_days + 1" if table == "blobs" else "retention_days"
    assert f"TTL received_at + toIntervalDay({days}) WHERE retention_days > 0" in found["ddl"]
    assert "fsync_after_insert = 1" in found["ddl"]
    assert "ORDER BY (project_id," in found["ddl"]


def test_what_is_past_its_retention_goes_at_the_next_merge(columnar: ColumnarStore) -> None:
    old = 1_577_880_000 * NS
    columnar.insert("spans", lines([span_row("ttl", old, 1, make_span("1" * 32))]))
    columnar.insert("spans", lines([span_row("ttl", old, 0, make_span("2" * 32))]))
    with columnar._inserts.client() as client:
        client.command("OPTIMIZE TABLE spans PARTITION ID '202001' FINAL")
    assert list(columnar.facts([("ttl", "1" * 32), ("ttl", "2" * 32)])) == [("ttl", "2" * 32)]


def test_logs_and_points_are_kept_once(columnar: ColumnarStore) -> None:
    log, point = make_log(), make_point()
    for version in (T0, T0, LATER):
        columnar.insert("logs", lines([log_row("once", version, 0, log, True)]))
        columnar.insert("metric_points", lines([point_row("once", version, 0, point)]))
    assert count(columnar, "once", "logs") == count(columnar, "once", "metric_points") == 1


def test_bad_statements_are_our_fault(columnar: ColumnarStore) -> None:
    for sql in ("SELECT nothing_like_it FROM spans", "SELEC 1", "SELECT * FROM no_such_table"):
        with pytest.raises(StoreError):
            columnar.select(sql)
    with pytest.raises(StoreError):
        columnar.insert("spans", b'{"project_id": "x", "start_ns": "not a number"}\n')
    with pytest.raises(StoreError):
        columnar.insert("spans; DROP TABLE spans", b"{}\n")
    columnar.insert("spans", b"")


def test_reads_cannot_write(columnar: ColumnarStore) -> None:
    before = count(columnar, "twice")
    for sql in ("DROP TABLE spans", "ALTER TABLE spans DELETE WHERE 1", "INSERT INTO scores (project_id) VALUES ('x')"):
        with pytest.raises(StoreError):
            columnar.select(sql)
    assert count(columnar, "twice") == before


def test_a_value_out_of_range_is_the_callers_fault(columnar: ColumnarStore) -> None:
    with pytest.raises(BadRequest):
        columnar.select("SELECT {n:UInt8} AS n", {"n": "many"})


def test_reads_are_bounded(columnar: ColumnarStore) -> None:
    with pytest.raises(BadRequest, match="more rows"):
        columnar.select("SELECT number FROM numbers(2000000)")


def test_memory_of_the_embedded_engine_is_bounded(columnar: ColumnarStore) -> None:
    if not columnar._target.is_embedded:
        pytest.skip("a server has limits of its own")
    with pytest.raises(StoreUnavailable, match="memory"):
        columnar.select("SELECT groupArray(number) AS all FROM numbers(1000000000)")


def test_a_slow_read_is_cut_off(columnar: ColumnarStore) -> None:
    with pytest.raises(QueryTimeout):  # it would run for an hour
        columnar.select(f"{ENDLESS} SETTINGS max_execution_time = 1")


@pytest.mark.usefixtures("columnar")
def test_a_read_cut_off_is_never_taken_for_its_answer(
    open_store: Callable[..., ColumnarStore],
) -> None:
    """The embedded engine keeps rows of a cut-off read in its handle, and may answer one with nothing at all."""
    store = open_store(query_timeout_s=0.02)
    wrong: list[object] = []
    cut_off = 0

    def read(seed: int) -> None:
        nonlocal cut_off
        for n in range(40):
            size = 20_000 + (seed * 40 + n) % 60 * 6_000 + seed
            try:
                found = store.select(f"SELECT count() AS n, max(sipHash64(number)) AS m FROM numbers({size})")
            except (QueryTimeout, StoreUnavailable):  # the queue for a client is as impatient
                cut_off += 1
                continue
            if [row["n"] for row in found] != [size]:
                wrong.append((size, found))

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    store.close()
    assert wrong == []
    assert cut_off


@pytest.mark.usefixtures("columnar")
def test_an_answer_that_the_engine_cut_short_without_saying_so_is_a_timeout(
    open_store: Callable[..., ColumnarStore],
) -> None:
    store = open_store(query_timeout_s=0.5)
    slow = "SELECT sleepEachRow(0.1) FROM numbers(30) SETTINGS max_block_size = 1, timeout_overflow_mode = 'break'"
    with pytest.raises(QueryTimeout):
        store.select(slow)
    store.close()


def test_reads_do_not_hold_up_inserts(open_store: Callable[..., ColumnarStore], columnar: ColumnarStore) -> None:
    # However long the inserts take on a busy machine: no read is to end by its time limit.
    patient = open_store(query_timeout_s=PATIENCE_S)
    stop = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                patient.select("SELECT count(), max(sipHash64(number)) FROM numbers(200000)")
                patient.facts([("race", TRACE)])
        except BaseException as error:
            faults.append(error)

    def read_without_end() -> None:
        with contextlib.suppress(SpanhouseError):
            patient.select(f"{ENDLESS} SETTINGS max_threads = 1")
        if not stop.is_set():
            faults.append(AssertionError("a read that has no end came back before the inserts were done"))

    # More than may read at once, so that some wait for the others to end.
    readers = [threading.Thread(target=act) for act in [read] * 4 + [read_without_end] * 2]
    for reader in readers:
        reader.start()
    running = "SELECT count() AS n FROM system.processes WHERE startsWith(query, {query:String})"
    while columnar.select(running, {"query": ENDLESS})[0]["n"] < 2:
        assert not faults
    try:
        for n in range(20):
            put(columnar, "race", T0 + n, make_span(TRACE, f"{n:016x}"))
    finally:
        stop.set()
        with columnar._inserts.client() as client:
            client.command(f"KILL QUERY WHERE startsWith(query, '{ENDLESS}') ASYNC")
    for reader in readers:
        reader.join()
    patient.close()
    if faults:
        raise faults[0]
    assert len(columnar.facts([("race", TRACE)])[("race", TRACE)]) == 20


def test_closed_is_closed_and_opens_again(open_store: Callable[[], ColumnarStore], columnar: ColumnarStore) -> None:
    put(columnar, "reopened", T0, make_span(TRACE))
    columnar.close()
    with pytest.raises(StoreUnavailable):
        columnar.select("SELECT 1")
    again = open_store()
    assert again.migrate() == []
    assert count(again, "reopened") == 1
    again.close()
