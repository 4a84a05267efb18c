"""Whose call it is and which conversation it belongs to, from what clients send anyway.

What the caller said by our own headers comes first; then the headers of coding agents; then what the
request's body tells (Claude Code's ``metadata.user_id``, OpenAI's ``user``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from spanhouse_collector.parse.client_session import client_session
from spanhouse_collector.parse.content import as_dict, name_of
from spanhouse_collector.parse.contract import CallStart, Reading
from spanhouse_collector.parse.jsontext import loads

_CLAUDE_CODE = re.compile(r"user_([0-9a-zA-Z-]+)_account_([0-9a-zA-Z-]*)_session_([0-9a-zA-Z-]+)\Z")


class ClaudeCodeUser(NamedTuple):
    """What Claude Code packs into ``metadata.user_id``; ``user_id`` is the account, else the device."""

    user_id: str
    session_id: str


def claude_code_user(text: str) -> ClaudeCodeUser | None:
    """Return the parts of a ``metadata.user_id`` in Claude Code's formats (before and since 2.1.78)."""
    found = _CLAUDE_CODE.match(text)
    if found is not None:
        return ClaudeCodeUser(found.group(2) or found.group(1), found.group(3))
    if text.startswith("{"):
        packed = as_dict(loads(text))
        session_id = name_of(packed.get("session_id"))
        user_id = name_of(packed.get("account_uuid")) or name_of(packed.get("device_id"))
        if session_id or user_id:
            return ClaudeCodeUser(user_id, session_id)
    return None


def identify(start: CallStart, reading: Reading) -> None:
    """Set the session and user of a reading; what stays unknown stays empty."""
    packed = claude_code_user(reading.user_id) if reading.user_id else None
    if packed is not None:
        reading.user_id = packed.user_id
    session_id = start.context.session_id or client_session(
        {name.lower(): value for name, value in start.request_headers}
    )
    if not session_id and packed is not None:
        session_id = packed.session_id
    reading.session_id = session_id
    reading.user_id = start.context.user_id or reading.user_id
