"""A small LangChain application: a retriever chain, and an agent with a tool."""

from __future__ import annotations

import contextlib

import openai
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openinference.instrumentation import using_attributes

BOOK = [
    Document(page_content="A span is one operation.", metadata={"page": 7}, id="doc-1"),
    Document(page_content="A trace is a tree of spans.", metadata={"page": 8}, id="doc-2"),
]


class Shelf(BaseRetriever):
    """A retriever that always finds the same book."""

    def _get_relevant_documents(self, query: str, *, run_manager: object) -> list[Document]:
        return BOOK


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is 21 degrees in {city}."


def retriever() -> None:
    """Look something up, with session and user set around it."""
    with using_attributes(
        session_id="session-1", user_id="user-1", metadata={"plan": "pro", "seats": 3}, tags=["golden", "chain"]
    ):
        Shelf().invoke("What is a span?")


def agent() -> None:
    """Let an agent answer with the help of a tool."""
    helper = create_agent(ChatOpenAI(model="gpt-4o", max_retries=0), tools=[get_weather], name="helper")
    helper.invoke({"messages": [{"role": "user", "content": "What is the weather in Paris?"}]})


def stream() -> None:
    """Stream an answer; half of the input comes from the cache."""
    model = ChatOpenAI(model="gpt-4o-mini", max_retries=0, stream_usage=True)
    for _ in model.stream("Tell me a story about streaming.", extra_headers={"x-fake-cached-tokens": "3"}):
        pass


def error() -> None:
    """Run into a rate limit."""
    with contextlib.suppress(openai.RateLimitError):
        ChatOpenAI(model="gpt-error-429", max_retries=0).invoke("Am I too fast?")
