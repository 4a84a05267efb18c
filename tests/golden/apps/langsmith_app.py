"""Applications under LangSmith's OpenTelemetry export: wrapped client, traced functions, LangChain."""

from __future__ import annotations

from collections.abc import Callable

import anthropic_app
import langsmith
import openai_app
import telemetry
from langsmith.wrappers import wrap_anthropic, wrap_openai


def set_up() -> Callable[[], None]:
    """Use the plain providers; wrap every client the application makes."""
    finish = telemetry.set_up()
    plain = openai_app.client
    openai_app.client = lambda: wrap_openai(plain())
    plain_anthropic = anthropic_app.client
    anthropic_app.client = lambda: wrap_anthropic(plain_anthropic())

    def flush() -> None:
        langsmith.run_trees.get_cached_client().flush()
        finish()

    return flush


chat, stream, tools, vision = openai_app.chat, openai_app.stream, openai_app.tools, openai_app.vision
error, responses = openai_app.error, openai_app.responses
anthropic_chat = anthropic_app.chat


@langsmith.traceable(run_type="retriever")
def search(query: str) -> list[dict[str, object]]:
    """Find documents."""
    return [{"page_content": "A span is one operation.", "type": "Document", "metadata": {"page": 7}}]


@langsmith.traceable(run_type="tool")
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"It is 21 degrees in {city}."


@langsmith.traceable(run_type="chain", name="helper")
def helper(question: str) -> str:
    """Look up, use a tool, ask a model."""
    search(question)
    messages = [{"role": "system", "content": get_weather("Paris")}, {"role": "user", "content": question}]
    reply = openai_app.client().chat.completions.create(model="gpt-4o-mini", messages=messages)
    return reply.choices[0].message.content


def pipeline() -> None:
    """Run the pipeline with session, user and tags."""
    helper(
        "What is the weather in Paris?",
        langsmith_extra={"metadata": {"thread_id": "session-1", "user_id": "user-1"}, "tags": ["golden", "chain"]},
    )


def langchain() -> None:
    """Let a LangChain agent answer with the help of a tool, traced by LangChain itself."""
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    helper = create_agent(
        ChatOpenAI(model="gpt-4o", max_retries=0), tools=[_weather_tool()], name="helper", system_prompt="You help."
    )
    helper.invoke({"messages": [{"role": "user", "content": "What is the weather in Paris?"}]})


def _weather_tool() -> object:
    from langchain_core.tools import tool

    @tool("get_weather")
    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"It is 21 degrees in {city}."

    return weather
