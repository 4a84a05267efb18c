"""What each family of instrumentations tells of media: the rest must stay out, not be guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

#: Where DALL·E's images lie.
ELSEWHERE = "https://images.invalid/drawn.png"
SPOKEN = {"sound": ("spoken.wav",)}
DRAWN = dict.fromkeys(("responses", "responses_stream", "parts", "parts_stream"), ("drawn.png",))
IMAGES = dict.fromkeys(("drawing", "drawing_stream", "redrawing"), ("drawn.png",)) | {"dalle": (ELSEWHERE,)}


@dataclass(frozen=True, slots=True)
class Told:
    """What a family puts on its spans of the media of a call.

    ``sent`` has the kinds of files that stand in the input, ``kept`` those whose bytes come at all, ``answered`` the
    files of the answer by scenario, ``sizes`` tells whether bytes come with the span, ``audio`` whether tokens of sound
    are told apart.
    """

    dialect: str = "otel"
    sent: tuple[str, ...] = ("png", "wav", "pdf")
    kept: tuple[str, ...] = ("png", "wav", "pdf")
    answered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sizes: bool = True
    audio: bool = True
    #: Whether the tokens are told, and the prompt of an image.
    usage: bool = True
    prompt: bool = True
    #: Whether the call has a price: not without tokens, unless the emitter reports one.
    cost: str = "priced"
    #: What the address of media begins with whose bytes are kept elsewhere.
    elsewhere: str = ""


UNCOUNTED = {"usage": False, "cost": "unpriced"}
OPENINFERENCE = Told("openinference", answered=SPOKEN | DRAWN | IMAGES | {"sound_stream": ("piece-3.pcm",)})
GENAI = Told(answered=DRAWN)
OPENLLMETRY = Told(audio=False)
LOGFIRE = Told("logfire", prompt=False)
MLFLOW = Told("mlflow", kept=(), answered=SPOKEN | DRAWN | IMAGES, elsewhere="mlflow-attachment://")
#: Its wrapper for Node tells of images only what they were drawn from in words.
LANGFUSE_JS = Told("langfuse", sent=(), kept=())
OPENLIT = Told("openlit", sent=(), kept=(), audio=False)
LITELLM = Told("litellm")
#: It cuts the data of images and files, and tells of images drawn how long they are.
LITELLM_V2 = Told("litellm", sent=("wav",), kept=("wav",), answered=SPOKEN, audio=False)
ADK = Told("google_adk", sent=(), kept=(), audio=False)
#: By the beginning of a case's name; the longest one that fits holds.
FAMILIES = {
    "openinference": OPENINFERENCE,
    "openinference_default": replace(OPENINFERENCE, sent=(), kept=()),
    "openinference_google": replace(OPENINFERENCE, answered=DRAWN),
    "openinference_openai_dalle": replace(OPENINFERENCE, **UNCOUNTED),
    "genai": GENAI,
    "openai_v2_legacy": Told(audio=False),
    # It leaves messages with images out, and the bytes of files.
    "openllmetry": OPENLLMETRY,
    "openllmetry_openai_image": replace(OPENLLMETRY, sent=(), kept=()),
    "openllmetry_openai_files": replace(OPENLLMETRY, sent=(), kept=()),
    "openllmetry_openai_responses": replace(OPENLLMETRY, sent=("png",), kept=("png",)),
    "google_genai": GENAI,
    "langfuse": Told("langfuse", answered=SPOKEN | DRAWN, sizes=False),
    "langfuse_js": LANGFUSE_JS,
    "langfuse_js_dalle": replace(LANGFUSE_JS, **UNCOUNTED),
    "logfire": LOGFIRE,
    "logfire_dalle": replace(LOGFIRE, **UNCOUNTED),
    "logfire_drawing_stream": replace(LOGFIRE, **UNCOUNTED),
    "logfire_redrawing": replace(LOGFIRE, sent=(), kept=()),
    "langsmith": Told("langsmith", answered=SPOKEN | DRAWN),
    "mlflow": MLFLOW,
    "mlflow_dalle": replace(MLFLOW, **UNCOUNTED),
    "pydantic_ai": Told("pydantic_ai"),
    "vercel_latest": Told("vercel_ai"),
    "vercel_legacy": Told("vercel_ai_legacy"),
    "openlit": OPENLIT,
    "openlit_drawing": replace(OPENLIT, **UNCOUNTED),
    "openlit_redrawing": replace(OPENLIT, **UNCOUNTED),
    "openlit_dalle": replace(OPENLIT, answered=IMAGES, **UNCOUNTED),
    # What is answered stands on its span of the provider's own request and answer.
    "litellm": LITELLM,
    "litellm_redrawing": replace(LITELLM, sent=(), kept=()),
    "litellm_proxy_redrawing": replace(LITELLM, sent=(), kept=()),
    "litellm_v2": LITELLM_V2,
    "litellm_proxy_v2": LITELLM_V2,
    "litellm_proxy_v2_redrawing": replace(LITELLM_V2, usage=False, cost="reported"),
    "genkit": Told("genkit", answered=IMAGES),
    "adk": ADK,
}


def told(case: str) -> Told:
    """Return what the instrumentation of a case tells."""
    return FAMILIES[max((family for family in FAMILIES if case.startswith(family)), key=len)]


def answered(case: str) -> tuple[str, ...]:
    """Return the names of the files in the answer of a case, as far as they are told."""
    return max(
        ((len(its), files) for its, files in told(case).answered.items() if case.endswith(f"_{its}")), default=(0, ())
    )[1]
