"""Claude Code: counts that leave cached tokens out, redacted content, bare types only in its own scope."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import event, raw_span


@pytest.mark.parametrize(
    ("attributes", "name", "scope", "dialect"),
    [
        ({"span.type": "claude_code.llm_request"}, "x", "anything", "claude_code"),
        ({}, "claude_code.interaction", "anything", "claude_code"),
        ({"span.type": "tool"}, "x", "com.anthropic.claude_code.tracing", "claude_code"),
        ({"span.type": "tool"}, "x", "my_app", "generic"),
        ({"span.type": 5}, "x", "my_app", "generic"),
    ],
)
def test_choice(attributes: dict[str, Any], name: str, scope: str, dialect: str) -> None:
    assert normalise(raw_span(attributes, name=name, scope=scope)).dialect == dialect


def test_request() -> None:
    span = normalise(
        raw_span(
            {
                "span.type": "llm_request",
                "model": "claude-sonnet-4-5",
                "input_tokens": 4,
                "output_tokens": "6",
                "cache_read_tokens": 7,
                "cache_creation_tokens": 2,
                "ttft_ms": 120.5,
                "session.id": "s1",
                "query_source": "repl_main_thread",
            },
            name="claude_code.llm_request",
        )
    )
    assert (span.category, span.operation, span.provider, span.request_model) == (
        "llm",
        "chat",
        "anthropic",
        "claude-sonnet-4-5",
    )
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens, usage.basis) == (13, 6, "exclusive")
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (7, 2)
    assert (span.ttft_ns, span.session_id) == (120_500_000, "s1")
    assert span.metadata == {"query_source": "repl_main_thread"}


def test_interaction_and_redaction() -> None:
    span = normalise(raw_span({"user_prompt": "Fix it."}, name="claude_code.interaction"))
    assert (span.category, span.agent_name, span.input_preview) == ("agent", "claude_code", "Fix it.")
    hidden = normalise(raw_span({"user_prompt": "<REDACTED>"}, name="claude_code.interaction"))
    assert hidden.input_messages == []


def test_tool() -> None:
    span = normalise(
        raw_span(
            {"tool_name": "Bash", "full_command": "ls", "success": "false"},
            name="claude_code.tool",
            events=[event("tool.output", output="a\nb")],
        )
    )
    assert (span.category, span.tool_name, span.tool_arguments, span.tool_result) == ("tool", "Bash", "ls", "a\nb")
    assert (span.error_type, span.raw.status_code) == ("tool_error", "error")
    waiting = normalise(raw_span({"tool_name": "Bash"}, name="claude_code.tool.blocked_on_user"))
    assert waiting.category == "other"
