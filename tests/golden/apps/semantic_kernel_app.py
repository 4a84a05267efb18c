"""An application written with Semantic Kernel, which traces itself and logs the messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import telemetry
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggingHandler
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatHistory
from semantic_kernel.functions import kernel_function


def set_up() -> Callable[[], None]:
    """Use the plain providers, and send the log records of the kernel to them."""
    finish = telemetry.set_up()
    logger = logging.getLogger("semantic_kernel.utils.telemetry")
    logger.setLevel(logging.INFO)
    logger.addHandler(LoggingHandler(logger_provider=_logs.get_logger_provider()))
    return finish


class Weather:
    """A plugin."""

    @kernel_function(name="get_weather", description="Tell the weather of a city")
    def get_weather(self, city: str) -> str:
        """Tell the weather."""
        return f"It is 21 degrees in {city}."


def _ask(question: str, model: str, settings: OpenAIChatPromptExecutionSettings, with_tools: bool) -> None:
    async def work() -> None:
        kernel = Kernel()
        service = OpenAIChatCompletion(ai_model_id=model)
        kernel.add_service(service)
        if with_tools:
            kernel.add_plugin(Weather(), plugin_name="sky")
        history = ChatHistory(system_message="You answer in one sentence.")
        history.add_user_message(question)
        await service.get_chat_message_content(history, settings, kernel=kernel)

    asyncio.run(work())


def chat() -> None:
    """Ask one question."""
    settings = OpenAIChatPromptExecutionSettings(temperature=0.2, max_tokens=100)
    _ask("Why is the sky blue, grüße 🌍?", "gpt-4o-mini", settings, with_tools=False)


def tools() -> None:
    """Let the kernel answer with the help of a tool."""
    settings = OpenAIChatPromptExecutionSettings(function_choice_behavior=FunctionChoiceBehavior.Auto())
    _ask("What is the weather in Paris?", "gpt-4o", settings, with_tools=True)
