"""What the fake provider says, and how many tokens that is: rules a test can work out by hand.

Tokens. One token per whitespace-separated word (``count_tokens``), counted over every text of the
request (system, messages, tool results, names and arguments of earlier tool calls), plus
``IMAGE_TOKENS`` for each image, ``AUDIO_TOKENS`` for each sound, ``FILE_TOKENS`` for each file and ``TOOL_TOKENS`` for each
tool offered. An answer's tokens are its
words; a tool call's are its name and the words of its JSON arguments; reasoning tokens come on top
and are part of the output total.

Answers. A user who asks gets ``You said: <their text>``; a tool result gets
``The tool says: <result>``; a response format gets JSON that fits its schema. ``max_tokens`` cuts
the answer to that many words and ends it for reason of length.

Tools. A tool is called when the last turn is the user's and one word of four or more letters of the
tool's name stands in the user's text (``get_weather`` is called by "the weather in Paris"), or when
the request demands it. Arguments are filled from the tool's JSON schema (``fill_schema``).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

IMAGE_TOKENS = 85
AUDIO_TOKENS = 60
FILE_TOKENS = 40
#: Output tokens of a spoken answer and of a drawn picture, beside those of its words.
SPOKEN_TOKENS = 50
DRAWN_TOKENS = 270
TOOL_TOKENS = 10
REASONING_TEXT = "Let me think about what was asked."

_WORD = re.compile(r"[A-Za-z]{4,}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def count_tokens(text: str) -> int:
    """Return the number of whitespace-separated words."""
    return len(text.split())


@dataclass(slots=True)
class ToolCall:
    """One call the assistant makes; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str

    @property
    def tokens(self) -> int:
        """Return the tokens of name and arguments."""
        return 1 + count_tokens(self.arguments)


@dataclass(slots=True)
class Turn:
    """One message of a conversation, whatever API it came by. ``role`` may be ``tool``."""

    role: str
    text: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    images: int = 0
    sounds: int = 0
    files: int = 0

    @property
    def tokens(self) -> int:
        """Return what this turn costs as input."""
        shown = IMAGE_TOKENS * self.images + AUDIO_TOKENS * self.sounds + FILE_TOKENS * self.files
        return count_tokens(self.text) + sum(call.tokens for call in self.tool_calls) + shown


@dataclass(slots=True)
class Tool:
    """A tool on offer, with the JSON schema of its arguments."""

    name: str
    schema: dict[str, Any]


@dataclass(slots=True)
class Ask:
    """A request, read from any of the APIs.

    ``tool_choice`` is ``auto``, ``none``, ``required`` or the name of a tool. ``json_schema`` is set
    when the answer must be JSON.
    """

    turns: list[Turn]
    tools: list[Tool] = field(default_factory=list)
    tool_choice: str = "auto"
    parallel: bool = True
    max_tokens: int | None = None
    json_schema: dict[str, Any] | None = None

    @property
    def tokens(self) -> int:
        """Return the input tokens of the whole request."""
        return sum(turn.tokens for turn in self.turns) + TOOL_TOKENS * len(self.tools)

    @property
    def last_user_text(self) -> str:
        """Return the text of the last turn of the user."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")


@dataclass(slots=True)
class Answer:
    """What to reply. ``cut`` tells that ``max_tokens`` ended it."""

    text: str
    tool_calls: list[ToolCall]
    cut: bool = False

    @property
    def tokens(self) -> int:
        """Return the output tokens without reasoning."""
        return count_tokens(self.text) + sum(call.tokens for call in self.tool_calls)


def answer(ask: Ask, call_id_prefix: str, forced_text: str | None = None) -> Answer:
    """Return the answer to a request; call ids are the prefix with ``_0``, ``_1`` … ."""
    chosen = [] if forced_text is not None else _tools_to_call(ask)
    if chosen:
        calls = [
            ToolCall(
                f"{call_id_prefix}_{position}", tool.name, json.dumps(fill_schema(tool.schema, ask.last_user_text))
            )
            for position, tool in enumerate(chosen)
        ]
        return Answer("", calls)
    text = forced_text if forced_text is not None else _text(ask)
    if ask.max_tokens is not None and count_tokens(text) > ask.max_tokens:
        return Answer(" ".join(text.split()[: ask.max_tokens]), [], cut=True)
    return Answer(text, [])


def pieces(text: str) -> list[str]:
    """Cut a text into its stream deltas: one word each, spaces kept."""
    words = text.split(" ")
    return [word if position == 0 else " " + word for position, word in enumerate(words)] if text else []


def chop(text: str, size: int = 8) -> list[str]:
    """Cut JSON arguments into deltas of ``size`` characters, as providers do mid-token."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def fill_schema(schema: dict[str, Any], text: str, root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """Return a value that fits a JSON schema, taking words and numbers from the user's text."""
    root = schema if root is None else root
    if "$ref" in schema and depth < 8:
        definitions = root.get("$defs") or root.get("definitions") or {}
        return fill_schema(definitions.get(schema["$ref"].rsplit("/", 1)[-1], {}), text, root, depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return fill_schema(schema[union][0], text, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {}) if depth < 8 else {}
        return {name: fill_schema(inner, text, root, depth + 1) for name, inner in properties.items()}
    if kind == "array":
        items = schema.get("items")
        return [fill_schema(items, text, root, depth + 1)] if isinstance(items, dict) and depth < 8 else []
    if kind in ("integer", "number"):
        found = _NUMBER.search(text)
        number = float(found.group()) if found else 1.0
        return int(number) if kind == "integer" else number
    if kind == "boolean":
        return True
    return None if kind == "null" else _subject(text)


def _subject(text: str) -> str:
    """Return what a question is about: its last capitalised word that does not open it, else its last word."""
    words = [word.strip(".,;:!?\"'()") for word in text.split()]
    capitalised = [word for word in words[1:] if word[:1].isupper()]
    if capitalised:
        return capitalised[-1]
    return next((word for word in reversed(words) if word), "nothing")


def _tools_to_call(ask: Ask) -> list[Tool]:
    if not ask.tools or ask.tool_choice == "none":
        return []
    by_name = [tool for tool in ask.tools if tool.name == ask.tool_choice]
    if by_name:
        return by_name
    text_words = {word.lower() for word in _WORD.findall(ask.last_user_text)}
    last_is_user = bool(ask.turns) and ask.turns[-1].role == "user"
    wanted = [
        tool for tool in ask.tools if last_is_user and text_words & {word.lower() for word in _WORD.findall(tool.name)}
    ]
    if not wanted and ask.tool_choice == "required":
        called = {call.name for turn in ask.turns for call in turn.tool_calls}
        wanted = [tool for tool in ask.tools if tool.name not in called][:1] or ask.tools[-1:]
    return wanted if ask.parallel else wanted[:1]


def _text(ask: Ask) -> str:
    if ask.json_schema is not None:
        return json.dumps(fill_schema(ask.json_schema, ask.last_user_text))
    if ask.turns and ask.turns[-1].role == "tool":
        return f"The tool says: {ask.turns[-1].text}"
    return f"You said: {ask.last_user_text}"
