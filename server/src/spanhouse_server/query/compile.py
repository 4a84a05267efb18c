"""The filter language: syntax tree to SQL conditions with bound parameters.

A condition on traces reads the columns of ``traces`` where they can tell, and otherwise asks the
spans of the trace; a condition on spans does the same the other way round. No condition is ever
NULL, so that a negation keeps what the condition itself leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from spanhouse_server.query.fields import FLAGS
from spanhouse_server.query.filter import And, Condition, Node, Not, Or, Search, parse_filter
from spanhouse_server.query.fulltext import search_condition
from spanhouse_server.query.operands import Exact, Number, Operand, Pattern
from spanhouse_server.query.times import Window

Level = Literal["traces", "spans"]
#: Rows of payloads that a search holds at a time, for each part of the table: blocks of the usual 65,409 are 16 MiB, and a
#: store that just took in a backlog has hundreds of parts. Half the memory of 1,024, and as fast.
_BLOCK_ROWS = 512
_COMPARISONS = {":": "=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


@dataclass(slots=True)
class Selection:
    """What to read: an SQL condition and the values of its placeholders.

    ``where`` already holds project, time range and filter; it goes with ``FINAL`` on the table of
    its level.
    """

    where: str
    parameters: dict[str, Any] = field(default_factory=dict)


def select_rows(level: Level, project_id: str, window: Window, q: str) -> Selection:
    """Return the rows of a project within a time range that pass a filter; raise ``BadQuery``."""
    return compile_filter(level, project_id, window, parse_filter(q))


def compile_filter(level: Level, project_id: str, window: Window, node: Node | None) -> Selection:
    """Return the condition for a syntax tree at one level."""
    parameters: dict[str, Any] = {"project": project_id}
    parts = ["project_id = {project:String}"]
    if window.from_ns is not None:
        parameters["from_ns"] = window.from_ns
        parts.append("start_ns >= {from_ns:Int64}")
    if window.to_ns is not None:
        parameters["to_ns"] = window.to_ns
        parts.append("start_ns < {to_ns:Int64}")
    if node is not None:
        parts.append(_Compiler(level, parameters, window).condition(node))
    return Selection(" AND ".join(parts), parameters)


class _Compiler:
    def __init__(self, level: Level, parameters: dict[str, Any], window: Window) -> None:
        self._level = level
        self._parameters = parameters
        # Spans of a trace never start before it (0: unknown), so the lower bound narrows the reads inside too.
        bounded = window.from_ns is not None
        self._since = " AND (start_ns >= {from_ns:Int64} OR start_ns = 0)" if bounded else ""

    def condition(self, node: Node) -> str:
        if isinstance(node, Not):
            return f"NOT ({self.condition(node.node)})"
        if isinstance(node, And):
            return f"({' AND '.join(self.condition(part) for part in node.nodes)})"
        if isinstance(node, Or):
            return f"({' OR '.join(self.condition(part) for part in node.nodes)})"
        if isinstance(node, Search):
            return self._payload(search_condition(node.words, node.phrases, self._bind))
        return self._compared(node)

    def _bind(self, value: object, type_name: str) -> str:
        name = f"p{len(self._parameters)}"
        self._parameters[name] = value
        return f"{{{name}:{type_name}}}"

    def _compared(self, node: Condition) -> str:
        known = node.field
        if known.type == "flag":
            return _any([self._flag(str(operand.text)) for operand in node.operands if isinstance(operand, Exact)])
        if known.type == "score":
            return self._scored(node)
        if known.payload:
            return self._payload(self._keyed(_raw_value(known.payload, self._bind(node.key, "String")), node))
        if known.keyed:
            own = str(known.trace if self._level == "traces" else known.span)
            return self._keyed(own.replace("{key}", self._bind(node.key, "String")), node)
        own_sql, many = (known.trace, known.trace_many) if self._level == "traces" else (known.span, known.span_many)
        if own_sql is not None:
            return self._plain(own_sql, many, node)
        if self._level == "traces":
            return self._in_spans(self._plain(str(known.span), known.span_many, node))
        return self._in_traces(self._plain(str(known.trace), known.trace_many, node))

    def _plain(self, sql: str, many: bool, node: Condition) -> str:
        if node.field.type in ("number", "duration", "money"):
            return self._numeric(sql, node)
        return self._textual(sql, many, node)

    def _numeric(self, sql: str, node: Condition) -> str:
        sign = _COMPARISONS[node.operator]
        column = f"toFloat64({sql})" if node.field.type == "money" else f"({sql})"
        tests = []
        for operand in node.operands:
            assert isinstance(operand, Number), "numeric fields have numeric operands"
            if node.field.type == "duration":
                bound = self._bind(round(operand.value), "Int64")
            else:
                bound = self._bind(operand.value, "Float64")
            tests.append(f"ifNull({column} {sign} {bound}, 0)")
        return _any(tests)

    def _textual(self, sql: str, many: bool, node: Condition) -> str:
        if node.operator == "~":
            return _any([self._contains(sql, many, operand) for operand in node.operands])
        exact = [operand.text for operand in node.operands if isinstance(operand, Exact)]
        tests = []
        if exact:
            tests.append(self._equals(sql, many, exact))
        for operand in node.operands:
            if isinstance(operand, Pattern):
                like = self._bind(operand.like, "String")
                tests.append(f"arrayExists(x -> x LIKE {like}, {sql})" if many else f"{sql} LIKE {like}")
        # `field:*` asks for any value at all.
        if any(isinstance(operand, Pattern) and not operand.like.strip("%") for operand in node.operands):
            return f"notEmpty({sql})"
        return _any(tests)

    def _equals(self, sql: str, many: bool, texts: list[str]) -> str:
        if many:
            named = [text for text in texts if text]
            tests = [f"hasAny({sql}, {self._bind(named, 'Array(String)')})"] if named else []
            if "" in texts:
                tests.append(f"empty({sql})")
            return _any(tests)
        if len(texts) == 1:
            return f"{sql} = {self._bind(texts[0], 'String')}"
        return f"{sql} IN ({self._bind(texts, 'Array(String)')})"

    def _contains(self, sql: str, many: bool, operand: Operand) -> str:
        assert isinstance(operand, Exact), "~ takes texts"
        text = self._bind(operand.text, "String")
        if many:
            return f"arrayExists(x -> positionCaseInsensitiveUTF8(x, {text}) > 0, {sql})"
        return f"positionCaseInsensitiveUTF8(toString({sql}), {text}) > 0"

    def _keyed(self, sql: str, node: Condition) -> str:
        """Compare the text ``sql``; numbers in it are compared as numbers."""
        if node.operator in (":", "~"):
            return self._textual(sql, False, node)
        sign = _COMPARISONS[node.operator]
        tests = [
            f"ifNull(toFloat64OrNull({sql}) {sign} {self._bind(operand.value, 'Float64')}, 0)"
            for operand in node.operands
            if isinstance(operand, Number)
        ]
        return _any(tests)

    def _scored(self, node: Condition) -> str:
        sign = _COMPARISONS[node.operator]
        tests = []
        for operand in node.operands:
            if isinstance(operand, Number):
                tests.append(f"ifNull(value {sign} {self._bind(operand.value, 'Float64')}, 0)")
            elif isinstance(operand, Pattern):
                tests.append(f"label LIKE {self._bind(operand.like, 'String')}")
            else:
                tests.append(f"label = {self._bind(operand.text, 'String')}")
        return self._in_scores(f"name = {self._bind(node.key, 'String')} AND {_any(tests)}")

    def _flag(self, name: str) -> str:
        if name == "score":
            return self._in_scores("1")
        return FLAGS[name][0 if self._level == "traces" else 1]

    def _in_scores(self, condition: str) -> str:
        own, extra = (
            ("trace_id", "trace_id != ''")
            if self._level == "traces"
            else (
                "(trace_id, span_id)",
                "span_id != ''",
            )
        )
        return (
            f"{own} IN (SELECT {own.strip('()')} FROM scores FINAL"
            f" WHERE project_id = {{project:String}} AND {extra} AND {condition})"
        )

    def _in_spans(self, condition: str) -> str:
        return (
            "trace_id IN (SELECT trace_id FROM span_index FINAL"
            f" WHERE project_id = {{project:String}}{self._since} AND {condition} SETTINGS max_block_size = {_BLOCK_ROWS})"
        )

    def _in_traces(self, condition: str) -> str:
        return f"trace_id IN (SELECT trace_id FROM traces FINAL WHERE project_id = {{project:String}} AND {condition})"

    def _payload(self, condition: str) -> str:
        # A set of 64-bit hashes is built several times faster than one of pairs of texts; two of a million
        # spans share a hash once in millions of searches, and then one row too many is listed.
        own = "trace_id" if self._level == "traces" else "cityHash64(trace_id, span_id)"
        return (
            f"{own} IN (SELECT {own} FROM spans FINAL"
            f" WHERE project_id = {{project:String}}{self._since} AND {condition} SETTINGS max_block_size = {_BLOCK_ROWS})"
        )


def _raw_value(column: str, key: str) -> str:
    """Return SQL for the text of one key of a JSON object: strings bare, all else as JSON."""
    return (
        f"if(JSONType({column}, {key}) = 'String', JSONExtractString({column}, {key}), JSONExtractRaw({column}, {key}))"
    )


def _any(tests: list[str]) -> str:
    return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"
