"""What an application does with Google's client."""

from __future__ import annotations

import base64
import contextlib

from google import genai
from google.genai import errors, types
from samples import PIXEL

MODEL = "gemini-2.5-flash"
HEADERS = {"x-fake-cached-tokens": "5", "x-fake-reasoning-tokens": "4"}


def client() -> genai.Client:
    """Return a client for the provider that the environment names. It closes when nobody holds it."""
    return genai.Client()


def chat() -> None:
    """Ask one question; half of the input comes from the cache, some output is reasoning."""
    google = client()
    google.models.generate_content(
        model=MODEL,
        contents="Why is the sky blue, grüße 🌍?",
        config=types.GenerateContentConfig(
            system_instruction="You answer in one sentence.",
            temperature=0.2,
            max_output_tokens=100,
            http_options=types.HttpOptions(headers=HEADERS),
        ),
    )


def stream() -> None:
    """Stream an answer."""
    google = client()
    options = types.HttpOptions(headers={"x-fake-ttft-ms": "30"})
    for _ in google.models.generate_content_stream(
        model=MODEL,
        contents="Tell me a story about streaming.",
        config=types.GenerateContentConfig(http_options=options),
    ):
        pass


def tools() -> None:
    """Let the model call a tool and tell it the result."""
    declared = types.FunctionDeclaration(
        name="get_weather",
        description="Tell the weather of a city",
        parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    )
    google = client()
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    contents = [types.Content(role="user", parts=[types.Part.from_text(text="What is the weather in Paris?")])]
    first = google.models.generate_content(model=MODEL, contents=contents, config=config)
    contents.append(first.candidates[0].content)
    for call in first.function_calls:
        answer = types.FunctionResponse(
            id=call.id, name=call.name, response={"result": f"It is 21 degrees in {call.args['city']}."}
        )
        contents.append(types.Content(role="user", parts=[types.Part(function_response=answer)]))
    google.models.generate_content(model=MODEL, contents=contents, config=config)


def vision() -> None:
    """Send an image beside the text."""
    image = types.Part.from_bytes(data=base64.b64decode(PIXEL.partition(",")[2]), mime_type="image/png")
    google = client()
    google.models.generate_content(model=MODEL, contents=[types.Part.from_text(text="What is this?"), image])


def embeddings() -> None:
    """Embed two texts."""
    google = client()
    google.models.embed_content(model="gemini-embedding-001", contents=["one small text", "and another"])


def error() -> None:
    """Run into a rate limit."""
    google = client()
    with contextlib.suppress(errors.ClientError):
        google.models.generate_content(model="gemini-error-429", contents="Am I too fast?")
