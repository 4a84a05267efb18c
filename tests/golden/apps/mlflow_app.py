"""The OpenAI and Anthropic applications under MLflow's autologging, and a pipeline of traced functions."""

from __future__ import annotations

import os
from collections.abc import Callable

import anthropic_app
import mlflow
import mlflow.anthropic
import mlflow.openai
from mlflow.entities import Document, SpanType
from openai_app import chat, embeddings, error, responses, stream, tools, vision  # noqa: F401
from openai_app import client as _client
from own import take_endpoint


def set_up() -> Callable[[], None]:
    """Switch autologging on; MLflow exports by the standard environment variables, here without its metrics."""
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = take_endpoint() + "/v1/traces"
    mlflow.openai.autolog()
    mlflow.anthropic.autolog()
    return mlflow.tracing.reset


anthropic_chat = anthropic_app.chat


@mlflow.trace(span_type=SpanType.RETRIEVER)
def search(query: str) -> list[Document]:
    """Find documents."""
    return [Document(page_content="A span is one operation.", metadata={"page": 7}, id="doc-1")]


@mlflow.trace(span_type=SpanType.TOOL)
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"It is 21 degrees in {city}."


@mlflow.trace(span_type=SpanType.AGENT, name="helper")
def helper(question: str) -> str:
    """Look up, use a tool, ask a model."""
    search(question)
    messages = [{"role": "system", "content": get_weather("Paris")}, {"role": "user", "content": question}]
    reply = _client().chat.completions.create(model="gpt-4o-mini", messages=messages)
    return reply.choices[0].message.content


def agent() -> None:
    """Run the pipeline."""
    helper("What is the weather in Paris?")
