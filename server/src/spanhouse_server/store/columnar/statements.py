"""Cuts a migration file into its statements."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*|\#![^\n]*|/\*.*?\*/)
    | (?P<quoted>'(?:\\.|''|[^'\\])*'|`(?:\\.|[^`\\])*`|"(?:\\.|[^"\\])*")
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def split_statements(sql: str) -> list[str]:
    """Return the statements of a file without comments; semicolons inside quotes do not end one."""
    statements, current = [], ""
    for token in _TOKEN.finditer(sql):
        if token.lastgroup == "end":
            statements.append(current)
            current = ""
        elif token.lastgroup != "comment":
            current += token[0]
    statements.append(current)
    lines = ("\n".join(line.rstrip() for line in text.splitlines() if line.strip()) for text in statements)
    return [statement for statement in lines if statement]
