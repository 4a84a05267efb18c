"""The OpenAI and Anthropic applications under Logfire, and a span with feedback."""

from __future__ import annotations

from collections.abc import Callable

import anthropic_app
import logfire
import openai_app
from own import take_endpoint

chat, stream, tools, vision = openai_app.chat, openai_app.stream, openai_app.tools, openai_app.vision
embeddings, error, responses = openai_app.embeddings, openai_app.error, openai_app.responses
stream_without_usage = openai_app.stream_without_usage
anthropic_chat, anthropic_tools = anthropic_app.chat, anthropic_app.tools
anthropic_thinking, anthropic_stream = anthropic_app.thinking, anthropic_app.stream


def anthropic_request_stream() -> None:
    """Stream an answer while a request of the application runs."""
    with logfire.span("POST /chat"):
        anthropic_app.stream()


def set_up() -> Callable[[], None]:
    """Send to the vendor's path at our address, with the vendor's own exporter and its pending spans."""
    logfire.configure(
        token="pylf_v1_local_golden",
        console=False,
        inspect_arguments=False,
        environment="test",
        service_version="1.2.3",
        advanced=logfire.AdvancedOptions(base_url=take_endpoint()),
    )
    logfire.instrument_openai()
    logfire.instrument_anthropic()
    return logfire.shutdown


def feedback() -> None:
    """Send a span while it runs, then its end, then what somebody thought of it."""
    from logfire.experimental.annotations import get_traceparent, record_feedback

    with logfire.span("answer {question}", question="Why?", _tags=["golden"]) as outer:
        with logfire.span("look up"):
            logfire.force_flush()
            logfire.info("found {count}", count=3)
        traceparent = get_traceparent(outer)
    logfire.force_flush()
    record_feedback(traceparent, "helpfulness", 0.75, comment="Short and right.")
    record_feedback(traceparent, "verdict", "good")
    record_feedback(traceparent, "correct", True)
