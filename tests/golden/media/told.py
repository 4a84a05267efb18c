"""What each family of instrumentations tells of media: the rest must stay out, not be guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SPOKEN = {"sound": ("spoken.wav",)}
DRAWN = {"responses": ("drawn.png",), "parts": ("drawn.png",)}


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
    #: What the address of media begins with whose bytes are kept elsewhere.
    elsewhere: str = ""


OPENINFERENCE = Told("openinference", answered=SPOKEN | DRAWN)
GENAI = Told(answered=DRAWN)
OPENLLMETRY = Told(audio=False)
LOGFIRE = Told("logfire")
#: By the beginning of a case's name; the longest one that fits holds.
FAMILIES = {
    "openinference": OPENINFERENCE,
    "openinference_default": replace(OPENINFERENCE, sent=(), kept=()),
    "genai": GENAI,
    "openai_v2_legacy": Told(audio=False),
    # It leaves messages with images out, and the bytes of files.
    "openllmetry": OPENLLMETRY,
    "openllmetry_openai_image": replace(OPENLLMETRY, sent=(), kept=()),
    "openllmetry_openai_files": replace(OPENLLMETRY, sent=(), kept=()),
    "openllmetry_openai_responses": replace(OPENLLMETRY, sent=("png",), kept=("png",)),
    "google_genai": GENAI,
    "langfuse": Told("langfuse", answered=SPOKEN | DRAWN, sizes=False),
    "logfire": LOGFIRE,
    "langsmith": Told("langsmith", answered=SPOKEN | DRAWN),
    "mlflow": Told("mlflow", kept=(), answered=SPOKEN | DRAWN, elsewhere="mlflow-attachment://"),
    "pydantic_ai": Told("pydantic_ai"),
    "vercel_latest": Told("vercel_ai"),
    "vercel_legacy": Told("vercel_ai_legacy"),
}


def told(case: str) -> Told:
    """Return what the instrumentation of a case tells."""
    return FAMILIES[max((family for family in FAMILIES if case.startswith(family)), key=len)]
