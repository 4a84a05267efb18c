"""The filter language: what it reads, and how it says what it cannot read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.errors import BadQuery
from spanhouse_server.query.compile import compile_filter
from spanhouse_server.query.fields import FIELDS
from spanhouse_server.query.filter import And, Condition, Node, Not, Or, Search, parse_filter
from spanhouse_server.query.operands import Exact, Number, Pattern
from spanhouse_server.query.times import Window


def shown(node: Node | None) -> str:
    """Return a tree as one short line."""
    if node is None:
        return "everything"
    if isinstance(node, Not):
        return f"not {shown(node.node)}"
    if isinstance(node, And):
        return f"({' & '.join(shown(part) for part in node.nodes)})"
    if isinstance(node, Or):
        return f"({' | '.join(shown(part) for part in node.nodes)})"
    if isinstance(node, Search):
        return f"search{list(node.words)}{list(node.phrases)}"
    name = f"{node.field.name}.{node.key}" if node.key else node.field.name
    operands = []
    for operand in node.operands:
        if isinstance(operand, Exact):
            operands.append(operand.text)
        elif isinstance(operand, Pattern):
            operands.append(f"/{operand.like}/")
        else:
            operands.append(f"{operand.value:g}")
    return f"{name}{node.operator}{'|'.join(operands)}"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", "everything"),
        ("  \t ", "everything"),
        ("model:gpt-4o", "model:gpt-4o"),
        ("model:gpt-4o,claude*", "model:gpt-4o|/claude%/"),
        ('user:"a b"', "user:a b"),
        (r'user:"say \"hi\" \\ "', 'user:say "hi" \\ '),
        ('user:"*"', "user:*"),
        ("duration>2s", "duration>2e+09"),
        ("duration>=1.5m", "duration>=9e+10"),
        ("duration<300", "duration<3e+08"),
        ("duration > 2s", "duration>2e+09"),
        ("duration:>2s", "duration>2e+09"),
        ("cost>$0.01", "cost>0.01"),
        ("tokens>=10k", "tokens>=10000"),
        ("score.faithfulness<0.5", "score.faithfulness<0.5"),
        ("score.verdict:good", "score.verdict:good"),
        ("-tag:test", "not tag:test"),
        ("tag!=test", "not tag:test"),
        ("NOT tag:test", "not tag:test"),
        ("--tag:test", "not not tag:test"),
        ('text~"refund now"', "search[]['refund now']"),
        ("refund late", "search['refund', 'late'][]"),
        ('refund "my order"', "search['refund']['my order']"),
        ("refund status:error late", "(status:error & search['refund', 'late'][])"),
        ("-refund late", "(not search['refund'][] & search['late'][])"),
        ("status:ERROR", "status:error"),
        ("a OR b c", "(search['a'][] | search['b', 'c'][])"),
        ("(model:x OR model:y) AND cost>1", "((model:x | model:y) & cost>1)"),
        ("-(model:x user:y)", "not (model:x & user:y)"),
        ("foo(bar)", "search['foo', 'bar'][]"),
        ("metadata.order-id:7", "metadata.order-id:7"),
        ('metadata."a key":7', "metadata.a key:7"),
        ("attribute.gen_ai.request.model:x", "attribute.gen_ai.request.model:x"),
        ("metadata.n>5", "metadata.n>5"),
        ("env:prod", "environment:prod"),
        ("MODEL:x", "model:x"),
        ("trace:ABCDEF", "trace:abcdef"),
        ("has:error,cost", "has:error|cost"),
        ("name~chat", "name~chat"),
        ("name!~chat", "not name~chat"),
        ("10:30", "search['10:30'][]"),
        ("user:mail@example.com", "user:mail@example.com"),
        ("ORDER", "search['ORDER'][]"),
    ],
)
def test_reads(text: str, tree: str) -> None:
    assert shown(parse_filter(text)) == tree


@pytest.mark.parametrize(
    ("text", "marked", "says"),
    [
        ("modle:x", "modle", "no field 'modle'"),
        ("user:x fooo:y", "fooo", "no field"),
        ("user:", "user:", "needs a value"),
        ("user:a,", ",", "needs a value"),
        ("user:(a OR b)", "user:", "needs a value"),
        ('user:"a', '"a', "not closed"),
        ('say "hello', '"hello', "not closed"),
        ('user:a"b"', '"', "ends before"),
        ("(user:a", "(", "no ) for this ("),
        ("user:a)", ")", "no ( for this )"),
        ("()", "()", "empty"),
        ("user:a OR", "R", "missing"),
        ("OR user:a", "OR", "missing"),
        ("user:a AND OR user:b", "OR", "missing"),
        ("- x", "-", "nothing follows the minus"),
        ("duration>fast", "fast", "duration cannot be 'fast'"),
        ("duration>$5", "$5", "duration cannot be"),
        ("cost>5s", "5s", "cost cannot be"),
        ("status:bad", "bad", "status cannot be 'bad'"),
        ("has:nothing", "nothing", "has cannot be"),
        ("model>3", ">", "cannot be compared with >"),
        ("duration~5", "~", "cannot be compared with ~"),
        ("cost>1,2", "2", "takes one value"),
        ("metadata:x", "metadata", "needs a key"),
        ("user.name:x", "user.name", "takes no key"),
        ("score.x>high", "high", "not a number"),
        ("!!!", "!!!", "nothing to search for"),
        ("a\0b", "\0", "NUL"),
    ],
)
def test_marks_what_it_cannot_read(text: str, marked: str, says: str) -> None:
    with pytest.raises(BadQuery) as caught:
        parse_filter(text)
    fault = caught.value
    found = text[fault.position : fault.position + fault.length]
    assert says in fault.message
    assert found.endswith(marked) or found == marked, (found, fault.message)
    assert fault.hint


def test_suggests_the_field_that_was_meant() -> None:
    with pytest.raises(BadQuery) as caught:
        parse_filter("modle:x")
    assert "did you mean model?" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["(" * 50 + "a" + ")" * 50, "-" * 100 + "a", "a " * 200, "model:" + ",".join("x" * 300), "x" * 5000,
     " ".join(f"user:{n}" for n in range(100))],
)  # fmt: skip
def test_bounds_what_one_filter_may_ask(text: str) -> None:
    with pytest.raises(BadQuery):
        parse_filter(text)


_PIECES = st.sampled_from(
    [*(field.name for field in FIELDS), *(f"{field.name}." for field in FIELDS if field.keyed), "x", "OR", "AND", "NOT"]
    + [":", "!=", ">", ">=", "<", "<=", "~", "(", ")", '"', ",", "-", "*", " ", "  ", "\\", "2s", "$0.1", "5k", "error"]
    + ["'", ";", "%", "_", "{", "}", "\u00fc", "日本", "\u202e", "\n", "1e9", "0x1", "٣", "-1"]
)


def read(text: str) -> tuple[Node | None, BadQuery | None]:
    try:
        return parse_filter(text), None
    except BadQuery as fault:
        return None, fault


@settings(max_examples=1500, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=14).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    node, fault = read(text)
    if fault is not None:
        assert fault.message
        assert 0 <= fault.position <= len(text)
        return
    for level in ("traces", "spans"):
        selection = compile_filter(level, "p", Window(1, 2), node)
        assert selection.where.count("{project:String}") >= 1


def test_values_are_bound_never_written_into_the_sql() -> None:
    hostile = "x') OR 1=1 --"
    node = parse_filter(f'user:"{hostile}" metadata."{hostile}":"{hostile}" "{hostile}" name~"{hostile}"')
    for level in ("traces", "spans"):
        selection = compile_filter(level, "p", Window(), node)
        assert "1=1" not in selection.where
        assert hostile in selection.parameters.values()


def test_numbers_keep_their_unit() -> None:
    node = parse_filter("duration>1us")
    assert isinstance(node, Condition)
    assert node.operands == (Number(1000.0),)
