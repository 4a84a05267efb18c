"""A pipeline and an agent written with Haystack, with its OpenTelemetry tracer."""

from __future__ import annotations

from collections.abc import Callable

import telemetry
from haystack import Document, Pipeline, tracing
from haystack.components.agents import Agent
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.dataclasses import ChatMessage
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.tools import tool
from haystack_integrations.tracing.opentelemetry import OpenTelemetryTracer
from opentelemetry import trace


def set_up() -> Callable[[], None]:
    """Use the plain providers."""
    finish = telemetry.set_up()
    tracing.tracer.is_content_tracing_enabled = True
    tracing.enable_tracing(OpenTelemetryTracer(trace.get_tracer("my_application")))
    return finish


def pipeline() -> None:
    """Answer from a small shelf of documents."""
    store = InMemoryDocumentStore()
    store.write_documents(
        [
            Document(content="A span is one operation.", meta={"page": 7}, id="doc-1"),
            Document(content="A trace is a tree of spans.", meta={"page": 8}, id="doc-2"),
        ]
    )
    template = [
        ChatMessage.from_system("You answer in one sentence."),
        ChatMessage.from_user("{{ documents[0].content }} {{ question }}"),
    ]
    rag = Pipeline()
    rag.add_component("retriever", InMemoryBM25Retriever(store))
    rag.add_component("builder", ChatPromptBuilder(template=template))
    rag.add_component("llm", OpenAIChatGenerator(model="gpt-4o-mini"))
    rag.connect("retriever.documents", "builder.documents")
    rag.connect("builder.prompt", "llm.messages")
    rag.run({"retriever": {"query": "What is a span?"}, "builder": {"question": "What is a span?"}})


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is 21 degrees in {city}."


def agent() -> None:
    """Let an agent answer with the help of a tool."""
    helper = Agent(
        chat_generator=OpenAIChatGenerator(model="gpt-4o"), tools=[get_weather], system_prompt="You know the weather."
    )
    helper.run(messages=[ChatMessage.from_user("What is the weather in Paris?")])
