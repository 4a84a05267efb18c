"""The filter language on the real engine: what each condition finds, and that nothing breaks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanhouse_server.errors import BadQuery
from spanhouse_server.query.compile import Level, select_rows
from spanhouse_server.query.fields import FIELDS, FLAGS
from spanhouse_server.query.page import ListQuery
from spanhouse_server.query.scores import NewScore, store_scores
from spanhouse_server.query.spans import list_spans
from spanhouse_server.query.times import Window
from spanhouse_server.query.traces import list_traces
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, chat_trace, columnar, hex_id, span


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("store")) as opened:
        keeper = Keeper(opened)
        keeper.put(*chat_trace("a", session="s 1", user="ann", tags=["prod"], metadata={"tier": "free", "n": "7"},
                               text="Please refund my order, the Straße was closed"))  # fmt: skip
        keeper.put(*chat_trace("b", start_s=10, session="s2", user="bob", tags=["test"], model="claude-3",
                               cost="0.5", error=True, text="Where is my ORDER? 返金してください now"))  # fmt: skip
        keeper.put(*chat_trace("c", start_s=20, user="bob", service="100%_sure", text="nothing of note"))
        keeper.put(span("d", "plain", start_s=30, duration_s=0.001))
        keeper.put(*chat_trace("other tenant", user="ann", text="refund"), project="other")
        store_scores(opened, "default", [
            NewScore(name="faith", trace_id=hex_id("a"), value=0.3),
            NewScore(name="faith", trace_id=hex_id("b"), span_id=hex_id("b/llm", 16), value=0.9),
            NewScore(name="verdict", trace_id=hex_id("b"), label="good"),
        ])  # fmt: skip
        store_scores(opened, "other", [NewScore(name="faith", trace_id=hex_id("c"), value=0.1)])
        yield opened


ALL = Window()


def traces(store: ColumnarStore, q: str, window: Window = ALL) -> str:
    found = list_traces(store, "default", ListQuery(q=q, window=window))["items"]
    return "".join(sorted(item["name"] if len(item["name"]) == 1 else "d" for item in found))


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("", "abcd"),
        ("model:gpt-4o", "ac"),
        ("model:gpt*", "ac"),
        ("model:gpt-4o,claude-3", "abc"),
        ("-model:gpt-4o", "bd"),
        ("model!=gpt-4o,claude-3", "d"),
        ("model:GPT-4O", ""),
        ('model:""', "d"),
        ('model:"",claude-3', "bd"),
        ('tag:prod,""', "acd"),
        ("model~GPT", "ac"),
        ("status:error", "b"),
        ("-status:error", "acd"),
        ("error:Timeout*", "b"),
        ('session:"s 1"', "a"),
        ("session:*", "ab"),
        ('session:""', "cd"),
        ("user:bob", "bc"),
        ("user:bob -has:error", "c"),
        ("tag:prod,test", "ab"),
        ("-tag:test", "acd"),
        ("cost>0.01", "b"),
        ("cost:0.01", "ac"),
        ("-cost>0.01", "acd"),
        ("cost>=$0.01 cost<1", "abc"),
        ("duration<10ms", "d"),
        ("duration:4s", "abc"),
        ("ttft:250", "abc"),
        ("tokens:120", "abc"),
        ("-has:tokens", "d"),
        ("spans>1", "abc"),
        ("errors>0", "b"),
        ("kind:client", "abc"),
        ("span_name:search", "abc"),
        ("name:a", "a"),
        ("host:h1 tool:search agent:helper", "abc"),
        ("tokens_per_s>11", "abc"),
        ("finish_reason:stop", "abc"),
        ("metadata.tier:free", "a"),
        ("metadata.n>5", "a"),
        ("metadata.tier>5", ""),
        ("-metadata.tier:free", "bcd"),
        ("attribute.gen_ai.system:openai", "abc"),
        ("attribute.n>4", "abc"),
        ("attribute.n:5", "abc"),
        ("attribute.flag:true", "abc"),
        ("resource.service.name:shop", "ab"),
        ("service:100%_sure", "c"),
        ("service:100%*", "c"),
        ("service:1__%*", ""),
        ("service~%_s", "c"),
        ("score.faith<0.5", "a"),
        ("score.faith>0.5", "b"),
        ("score.verdict:good", "b"),
        ("has:score", "ab"),
        ("-has:score", "cd"),
        (f"trace:{hex_id('c')}", "c"),
        (f"span:{hex_id('c/llm', 16)}", "c"),
        ("refund", "a"),
        ("REFUND", "a"),
        ("order", "ab"),
        ("-order", "cd"),
        ("refund order", "a"),
        ('"my order"', "ab"),
        ('"refund order"', ""),
        ("ref*", "a"),
        ("efund", ""),
        ("straße", "a"),
        ("STRASSE", ""),
        ("返金", "b"),
        ('text~"is my"', "b"),
        ("text:refund,note", "ac"),
        ("refund OR note", "ac"),
        ("(user:ann OR user:bob) -order", "c"),
        ("user:bob (refund OR model:claude*)", "b"),
    ],
)
def test_finds_the_right_traces(store: ColumnarStore, q: str, names: str) -> None:
    assert traces(store, q) == names


@pytest.mark.parametrize(
    ("q", "count"),
    [
        ("", 10),
        ("status:error", 1),
        ("category:llm", 3),
        ("category:llm -model:gpt*", 1),
        ("session:s2", 3),  # the session was set on one span and serves the trace
        ("refund", 1),
        ("has:root", 4),
        ("spans>1", 9),
        ("score.faith>0", 1),
        ("tag:prod", 3),
        ("parent:*", 6),
        ("name:search,plain", 4),
    ],
)
def test_finds_the_right_spans(store: ColumnarStore, q: str, count: int) -> None:
    assert len(list_spans(store, "default", ListQuery(q=q))["items"]) == count


def test_a_time_range_ends_before_its_end(store: ColumnarStore) -> None:
    assert traces(store, "", Window(T0 + 10 * NS, T0 + 30 * NS)) == "bc"
    assert traces(store, "order", Window(T0 + 5 * NS, None)) == "b"


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_runs_with_every_operator(store: ColumnarStore, field) -> None:
    name = f"{field.name}.k" if field.keyed else field.name
    values = {"flag": list(FLAGS), "text": [*field.values, "*", '"a\'b"'] if not field.values else [*field.values, "*"]}

    def spans(q: str) -> set[tuple[str, str]]:
        found = list_spans(store, "default", ListQuery(q=q, window=Window(1, 2**62), limit=200))["items"]
        return {(each["trace_id"], each["span_id"]) for each in found}

    everything = spans("")
    assert everything
    for operator in field.operators:
        for value in values.get(field.type, ["1"]):
            q = f"{name}{operator}{value}"
            list_traces(store, "default", ListQuery(q=q))
            list_traces(store, "default", ListQuery(q=f"-{q}"))
            chosen, others = spans(q), spans(f"-{q}")
            assert chosen | others == everything, q
            assert not chosen & others, q


def test_values_with_odd_characters_stay_values(store: ColumnarStore) -> None:
    for odd in ("'", "\\", "\\'", "\n", "\t", "%", "{p0:String}", "\u2028", "😀", "\x01", "`", '\\"', "a\\"):
        quoted = odd.replace("\\", "\\\\").replace('"', '\\"')
        assert traces(store, f'user:"{quoted}"') == ""
        assert traces(store, f'user:"{quoted}",ann') == "a"
        assert traces(store, f'name~"{quoted}"') == ""
        assert traces(store, f'-metadata."{quoted}":"{quoted}"') == "abcd"


_PIECES = st.sampled_from(
    [*(field.name for field in FIELDS), *(f"{field.name}.k" for field in FIELDS if field.keyed), "x", " OR ", "-", "("]
    + [
        ")",
        ":",
        "!=",
        ">",
        "<=",
        "~",
        '"',
        ",",
        "*",
        " ",
        "\\",
        "2s",
        "$0.1",
        "5k",
        "error",
        "ü",
        "日本",
        "'",
        "%",
        "_",
    ]
    + ["{p:String}", "1e18", "-1", "1e99", "\u0130", "\x7f"]
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=10).map("".join)))
def test_everything_that_can_be_read_runs(store: ColumnarStore, text: str) -> None:
    try:
        found = list_traces(store, "default", ListQuery(q=text, limit=5))
    except BadQuery:
        return
    list_spans(store, "default", ListQuery(q=text, limit=5))
    assert all(item["trace_id"] != hex_id("other tenant") for item in found["items"])


def explain(store: ColumnarStore, sql: str, parameters: dict[str, object]) -> str:
    rows = store.select(f"EXPLAIN indexes = 1 {sql}", parameters)
    return "\n".join(str(next(iter(row.values()))) for row in rows)


def plan(store: ColumnarStore, level: Level, q: str) -> str:
    selected = select_rows(level, "default", Window(), q)
    table = "traces" if level == "traces" else "span_index"
    sql = f"SELECT trace_id FROM {table} FINAL WHERE {selected.where} ORDER BY start_ns DESC LIMIT 50"
    return explain(store, sql, selected.parameters)


@pytest.mark.parametrize("level", ["traces", "spans"])
@pytest.mark.parametrize("q", ["refund", '"my order"', "refund order", "straße"])
def test_full_text_goes_through_the_text_index(store: ColumnarStore, level: Level, q: str) -> None:
    selected = select_rows(level, "default", Window(), q)
    # Plans do not show the subquery that a set is made from, so it is explained by itself.
    subquery = selected.where.split(" IN (", 1)[1].removesuffix(")")
    assert "ix_text" in explain(store, subquery, selected.parameters)


def test_lists_are_read_in_key_order(store: ColumnarStore) -> None:
    assert "InReverseOrder" in plan(store, "traces", "")
    assert "InReverseOrder" in plan(store, "spans", "")


@pytest.mark.parametrize(
    ("q", "index"), [("user:ann", "ix_user"), ('session:"s 1"', "ix_session"), (f"trace:{'a' * 32}", "ix_trace")]
)
def test_ids_go_through_their_index(store: ColumnarStore, q: str, index: str) -> None:
    assert index in plan(store, "traces", q)
