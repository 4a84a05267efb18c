"""What an application does with Azure's inference client, which traces itself with one span event per message."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import telemetry
from azure.ai.inference import ChatCompletionsClient
from azure.ai.inference.models import ChatCompletionsToolDefinition
from azure.ai.inference.tracing import AIInferenceInstrumentor
from azure.core.credentials import AzureKeyCredential
from azure.core.settings import settings
from samples import TOOL


def set_up() -> Callable[[], None]:
    """Use the plain providers."""
    finish = telemetry.set_up()
    settings.tracing_implementation = "opentelemetry"
    AIInferenceInstrumentor().instrument(enable_content_recording=True)
    return finish


def client() -> ChatCompletionsClient:
    """Return a client for the provider that the environment names."""
    return ChatCompletionsClient(endpoint=os.environ["OPENAI_BASE_URL"], credential=AzureKeyCredential("none"))


def chat() -> None:
    """Ask one question."""
    client().complete(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "You answer in one sentence."},
            {"role": "user", "content": "Why is the sky blue, grüße 🌍?"},
        ],
        temperature=0.2,
        max_tokens=100,
    )


def tools() -> None:
    """Let the model call a tool and tell it the result."""
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    offered = [ChatCompletionsToolDefinition(TOOL)]
    first = client().complete(model="gpt-4o", messages=messages, tools=offered)
    message = first.choices[0].message
    messages.append(message)
    for call in message.tool_calls or []:
        city = json.loads(call.function.arguments)["city"]
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"It is 21 degrees in {city}."})
    client().complete(model="gpt-4o", messages=messages, tools=offered)
