"""Tracing for LLM applications on OpenTelemetry.

    import spanhouse

    spanhouse.init(service_name="my-app")

    @spanhouse.workflow
    def answer(question: str) -> str:
        spanhouse.set_user("u-1")
        ...

Before ``init`` and after ``shutdown`` everything here costs next to nothing and does nothing.
"""

from spanhouse._context import context, set_metadata, set_prompt, set_session, set_tags, set_user
from spanhouse._decorators import agent, llm, retriever, task, tool, trace, workflow
from spanhouse._runtime import Handle, flush, init, shutdown
from spanhouse._scores import score
from spanhouse._spans import LlmCall, Span, llm_call, span
from spanhouse._version import __version__

__all__ = [
    "Handle",
    "LlmCall",
    "Span",
    "__version__",
    "agent",
    "context",
    "flush",
    "init",
    "llm",
    "llm_call",
    "retriever",
    "score",
    "set_metadata",
    "set_prompt",
    "set_session",
    "set_tags",
    "set_user",
    "shutdown",
    "span",
    "task",
    "tool",
    "trace",
    "workflow",
]
