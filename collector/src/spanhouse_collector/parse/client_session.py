"""The session that a client names by itself, in a header of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Most specific first: Claude Code, OpenCode, Codex (two spellings), then what proxies agreed on.
SESSION_HEADERS = (
    "x-claude-code-session-id",
    "x-opencode-session",
    "session_id",
    "session-id",
    "x-session-id",
    "x-session-affinity",
    "conversation_id",
)
_ID = re.compile(r"[\w.:@/+=-]{1,256}\Z")


def client_session(headers: Mapping[str, str]) -> str:
    """Return the session among headers (lower-case names); malformed values count as none."""
    for name in SESSION_HEADERS:
        value = headers.get(name, "").strip()
        if value and _ID.match(value):
            return value
    return ""
