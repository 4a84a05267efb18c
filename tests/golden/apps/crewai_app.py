"""A crew of one agent with a tool, written with CrewAI."""

from __future__ import annotations

from collections.abc import Callable

import telemetry
from crewai import LLM, Agent, Crew, Task
from crewai.telemetry.tracing import TraceSession
from crewai.tools import tool
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource


def set_up() -> Callable[[], None]:
    """Use the plain providers for everything but the crew's own tracing."""
    return telemetry.set_up()


@tool("get_weather")
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is 21 degrees in {city}."


def crew() -> None:
    """Let the crew answer with the help of the tool."""
    helper = Agent(
        role="helper",
        goal="Know the weather",
        backstory="You know the weather.",
        tools=[get_weather],
        llm=LLM(model="openai/gpt-4o"),
        verbose=False,
    )
    task = Task(
        name="look",
        description="what is the weather in Paris?",
        expected_output="one sentence",
        agent=helper,
    )
    Crew(agents=[helper], tasks=[task], name="weather", verbose=False).kickoff()


def own_crew() -> None:
    """Let the crew answer under CrewAI's own tracing, which brings a provider with it."""
    session = TraceSession(
        "execution-1",
        [OTLPSpanExporter()],
        resource=Resource.create(),
        attributes={"gen_ai.conversation.id": "session-1"},
    )
    with session.activate():
        crew()
    session.shutdown()
