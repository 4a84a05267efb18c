"""The filter language: text to syntax tree.

    expression = any { "OR" any }            any   = part { ["AND"] part }
    part       = [ "-" | "NOT" ] part | "(" expression ")" | condition | word | "phrase"
    condition  = field operator value { "," value }

Operators are ``: != > >= < <= ~``; a comma list means any of; ``*`` in an unquoted value stands for
anything. Words side by side are looked for in one span. Whatever cannot be read is a ``BadQuery``
that marks the token at fault; whatever can be read compiles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from spanhouse_server.errors import BadQuery
from spanhouse_server.query.fields import Field, find_field, similar_field
from spanhouse_server.query.operands import Operand, Token, read_operand

MAX_CHARACTERS = 4000
MAX_CONDITIONS = 60
MAX_WORDS = 30
MAX_DEPTH = 20
MAX_VALUES = 200


@dataclass(frozen=True, slots=True)
class Condition:
    """A field compared with operands; any of them is enough. ``!=`` is a ``Not`` around ``:``."""

    field: Field
    key: str
    operator: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Words and phrases that must all occur in the text of one span."""

    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a node."""

    node: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of the nodes."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of the nodes."""

    nodes: tuple[Node, ...]


Node = Condition | Search | Not | And | Or

_SPACE = re.compile(r"\s*")
_KEYWORD = re.compile(r"(AND|OR|NOT)(?=[\s()\"]|$)")
_FIELD = re.compile(
    r"([A-Za-z_][A-Za-z0-9_]*)(?:\.(?:\"((?:[^\"\\]|\\.)*)\"|([^\s:<>=!~()\",]+)))?\s?(!=|!~|>=|<=|:|=|>|<|~)"
)
_OPERATOR = re.compile(r"(!=|>=|<=|>|<|~|=)")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_BARE = re.compile(r"[^\s(),\"]+")
_WORD = re.compile(r"[^\s()\"]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_filter(text: str) -> Node | None:
    """Return the syntax tree of a filter, or nothing for an empty one; raise ``BadQuery``."""
    if len(text) > MAX_CHARACTERS:
        raise BadQuery(
            f"the filter has {len(text)} characters, at most {MAX_CHARACTERS}", "shorten it", MAX_CHARACTERS, 1
        )
    if "\0" in text:
        raise BadQuery("the filter contains a NUL character", "remove it", text.index("\0"), 1)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadQuery("the filter is not valid Unicode", "remove the marked character", error.start, 1) from None
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.conditions = 0
        self.words = 0

    def parse(self) -> Node | None:
        self._skip_space()
        if self.at == len(self.text):
            return None
        node = self._expression(0)
        if self.at < len(self.text):
            raise BadQuery("there is no ( for this )", "remove it, or quote it to search for it", self.at, 1)
        return node

    def _expression(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise BadQuery(f"nested more than {MAX_DEPTH} deep", "use fewer parentheses", self.at, 1)
        nodes = [self._all(depth)]
        while self._keyword("OR"):
            nodes.append(self._all(depth))
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _all(self, depth: int) -> Node:
        nodes: list[Node] = []
        while True:
            self._skip_space()
            ahead = self._ahead()
            if ahead == "AND" and nodes:
                self._keyword("AND")
                nodes.append(self._part(depth))
                continue
            if self.at == len(self.text) or ahead == "OR" or self.text[self.at] == ")":
                break
            nodes.append(self._part(depth))
        if not nodes:
            raise self._missing()
        joined = _join_searches(nodes)
        return joined[0] if len(joined) == 1 else And(tuple(joined))

    def _part(self, depth: int) -> Node:
        self._skip_space()
        if depth > MAX_DEPTH:
            raise BadQuery(f"nested more than {MAX_DEPTH} deep", "use fewer negations", self.at, 1)
        start = self.at
        if self._keyword("NOT"):
            return Not(self._part(depth + 1))
        if self.at >= len(self.text) or self._ahead() in ("AND", "OR"):
            raise self._missing()
        sign = self.text[self.at]
        if sign == "-":
            self.at += 1
            if self.at >= len(self.text) or self.text[self.at].isspace():
                raise BadQuery("nothing follows the minus", "write -field:value or -word", start, 1)
            return Not(self._part(depth + 1))
        if sign == "(":
            return self._group(depth)
        if sign == ")":
            raise self._missing()
        return self._condition() or self._search()

    def _group(self, depth: int) -> Node:
        start = self.at
        self.at += 1
        self._skip_space()
        if self.text[self.at : self.at + 1] == ")":
            raise BadQuery("the parentheses are empty", "write a condition between them", start, self.at - start + 1)
        node = self._expression(depth + 1)
        if self.text[self.at : self.at + 1] != ")":
            raise BadQuery("there is no ) for this (", "close it", start, 1)
        self.at += 1
        return node

    def _condition(self) -> Node | None:
        found = _FIELD.match(self.text, self.at)
        if not found:
            return None
        self._count_condition()
        start = self.at
        name, quoted_key, bare_key, operator = found.groups()
        key = _unescape(quoted_key) if quoted_key is not None else bare_key or ""
        field = self._field(name, key, start, found.start(4) - start)
        self.at = found.end()
        if operator == ":" and (inner := _OPERATOR.match(self.text, self.at)):
            operator = inner.group(1)
            self.at = inner.end()
        if operator in (">", ">=", "<", "<=", "="):
            self._skip_space()
        operator = ":" if operator == "=" else operator
        positive = {"!=": ":", "!~": "~"}.get(operator, operator)
        if positive not in field.operators:
            raise BadQuery(
                f"{field.name} cannot be compared with {operator}",
                f"use one of {' '.join(field.operators)}",
                found.start(4),
                self.at - found.start(4),
            )
        tokens = self._values(field, start)
        if len(tokens) > 1 and positive not in (":", "~"):
            second = tokens[1]
            raise BadQuery(f"{operator} takes one value", "use : for any of several", second.position, second.length)
        node = self._compared(field, key, positive, tokens)
        return Not(node) if operator != positive else node

    def _compared(self, field: Field, key: str, operator: str, tokens: list[Token]) -> Node:
        if field.type == "search":
            searches = [self._search_of(token) for token in tokens]
            return searches[0] if len(searches) == 1 else Or(tuple(searches))
        return Condition(field, key, operator, tuple(read_operand(field, operator, token) for token in tokens))

    def _field(self, name: str, key: str, start: int, length: int) -> Field:
        field = find_field(name)
        if field is None:
            near = similar_field(name)
            hint = f"did you mean {near}?" if near else "The fields are listed under help."
            raise BadQuery(
                f"there is no field {name!r}", f"{hint} To search for this text, put it in quotes.", start, len(name)
            )
        if field.keyed and not key:
            raise BadQuery(
                f"{field.name} needs a key", f"write {field.name}.<key>, e.g. {field.name}.example", start, length
            )
        if key and not field.keyed:
            raise BadQuery(f"{field.name} takes no key", f"write {field.name} alone", start, length)
        return field

    def _values(self, field: Field, start: int) -> list[Token]:
        tokens = [self._value(field, start)]
        while self.text[self.at : self.at + 1] == ",":
            self.at += 1
            tokens.append(self._value(field, start))
            if len(tokens) > MAX_VALUES:
                raise BadQuery(f"more than {MAX_VALUES} values", "use a wildcard", start, self.at - start)
        return tokens

    def _value(self, field: Field, start: int) -> Token:
        begin = self.at
        if found := _QUOTED.match(self.text, begin):
            self.at = found.end()
            return Token(_unescape(found.group(1)), True, begin, self.at - begin)
        if self.text[begin : begin + 1] == '"':
            raise _unclosed(begin, len(self.text))
        found = _BARE.match(self.text, begin)
        if not found:
            hint = f"write {field.name}:value, in quotes when it has spaces; for several use commas"
            raise BadQuery(f"{field.name} needs a value", hint, start, max(begin - start, 1))
        self.at = found.end()
        if self.text[self.at : self.at + 1] in ('"', "("):
            raise BadQuery("a value ends before this", "put the whole value in quotes", self.at, 1)
        return Token(found.group(), False, begin, self.at - begin)

    def _search(self) -> Search:
        begin = self.at
        self._count_condition()
        if found := _QUOTED.match(self.text, begin):
            self.at = found.end()
            return self._search_of(Token(_unescape(found.group(1)), True, begin, self.at - begin))
        if self.text[begin] == '"':
            raise _unclosed(begin, len(self.text))
        word = _WORD.match(self.text, begin)
        assert word is not None, "space, parentheses and quotes were handled before"
        self.at = word.end()
        return self._search_of(Token(word.group(), False, begin, self.at - begin))

    def _search_of(self, token: Token) -> Search:
        if not any(character.isalnum() for character in token.text):
            raise BadQuery(
                "there is nothing to search for", "write a word with letters or digits", token.position, token.length
            )
        self.words += len(token.text.split())
        if self.words > MAX_WORDS:
            raise BadQuery(f"more than {MAX_WORDS} words to search for", "use fewer", token.position, token.length)
        return Search(phrases=(token.text,)) if token.quoted else Search(words=(token.text,))

    def _count_condition(self) -> None:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise BadQuery(f"more than {MAX_CONDITIONS} conditions", "use comma lists or wildcards", self.at, 1)

    def _missing(self) -> BadQuery:
        here = min(self.at, max(len(self.text) - 1, 0))
        found = self._ahead()
        length = len(found) if found else 1
        return BadQuery("a condition is missing here", "write a condition, or put the word in quotes", here, length)

    def _ahead(self) -> str:
        found = _KEYWORD.match(self.text, self.at)
        return found.group(1) if found else ""

    def _keyword(self, word: str) -> bool:
        self._skip_space()
        if self._ahead() != word:
            return False
        self.at += len(word)
        return True

    def _skip_space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at


def _join_searches(nodes: list[Node]) -> list[Node]:
    """Make one search of all that stand side by side, so that one span must hold them all."""
    searches = [node for node in nodes if isinstance(node, Search)]
    if len(searches) < 2:
        return nodes
    words = tuple(word for search in searches for word in search.words)
    phrases = tuple(phrase for search in searches for phrase in search.phrases)
    return [node for node in nodes if not isinstance(node, Search)] + [Search(words, phrases)]


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _unclosed(position: int, end: int) -> BadQuery:
    return BadQuery("the quote is not closed", 'add a " at the end', position, max(end - position, 1))
