"""Claude Code: counts that leave cached tokens out, redacted content, bare types only in its own scope."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.model.raw import RawLog, Scope
from spanhouse_server.normalise import is_genai_log, normalise
from tests.unit.normalise.make import event, log, raw_span


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


def answer(text: str, after_ns: int, scope: str = "com.anthropic.claude_code.events") -> RawLog:
    record = log("", "claude_code.assistant_response", after_ns, {"event.name": "assistant_response", "response": text})
    record.scope = Scope(scope)
    return record


def test_the_last_answer_of_an_interaction_is_its_output() -> None:
    logs = [answer("Done.", 9), answer("Let me look.", 5)]
    assert all(map(is_genai_log, logs))
    asked = raw_span({"user_prompt": "Fix it."}, name="claude_code.interaction")
    span = normalise(asked, logs)
    assert (span.dialect, span.input_preview, span.output_preview) == ("claude_code", "Fix it.", "Done.")
    assert normalise(asked, [answer("<REDACTED>", 9)]).output_messages == []
    assert not is_genai_log(answer("Done.", 9, "my_app"))


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"success": False}, "error"),
        ({"success": False, "status_code": 529, "error": "Overloaded"}, "529"),
        ({"success": False, "error": "Overloaded"}, "Overloaded"),
        ({"success": False, "error": "x" * 101}, "error"),
        ({"success": True, "error": "Overloaded"}, ""),
    ],
)
def test_failed_requests(attributes: dict[str, Any], error: str) -> None:
    assert normalise(raw_span(attributes, name="claude_code.llm_request")).error_type == error
