"""Switches on whatever GenAI instrumentations are installed, one per library.

Three families publish under the entry point ``opentelemetry_instrumentor``: OpenInference,
OpenTelemetry's own, and OpenLLMetry. Two of them on one library would show every call twice, so
the first in that order wins: OpenInference covers most (tools, streams, TTFT) and captures content
by default; OpenTelemetry's own follow the conventions; OpenLLMetry fills the gaps.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from spanhouse._log import logger

OPENINFERENCE, OTEL, OPENLLMETRY = "openinference", "otel", "openllmetry"
_PREFERENCE = (OPENINFERENCE, OTEL, OPENLLMETRY)
_OTEL_PREFIX = "opentelemetry.instrumentation."
_OPENINFERENCE_PREFIX = "openinference.instrumentation."

#: GenAI libraries under OpenTelemetry's prefix, which also holds Flask, SQLAlchemy and the rest.
_GENAI_LIBRARIES = frozenset(
    {
        "agno", "aleph_alpha", "alephalpha", "anthropic", "bedrock", "chromadb", "claude_agent_sdk", "cohere", "crewai",
        "google_genai", "google_generativeai", "groq", "haystack", "lancedb", "langchain", "llamaindex", "marqo", "mcp",
        "milvus", "mistralai", "ollama", "openai", "openai_agents", "pinecone", "qdrant", "replicate", "sagemaker",
        "together", "transformers", "vertexai", "voyageai", "watsonx", "weaviate", "writer",
    }
)  # fmt: skip
_ALIASES = {"llama_index": "llamaindex", "google_generativeai": "google_genai", "alephalpha": "aleph_alpha"}
#: Converters of other dialects' spans; they instrument nothing.
_NOT_INSTRUMENTORS = frozenset({"openllmetry", "openlit"})

_CONTENT_SWITCHES = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": ("gen_ai_latest_experimental", "gen_ai_latest_experimental"),
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": ("SPAN_ONLY", "NO_CONTENT"),
    "TRACELOOP_TRACE_CONTENT": ("true", "false"),
    "ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE": ("content", None),
    "OPENINFERENCE_HIDE_INPUTS": (None, "true"),
    "OPENINFERENCE_HIDE_OUTPUTS": (None, "true"),
}
#: Libraries that trace themselves, and how to tell them not to where an instrumentation does it better.
_OWN_TRACING_OFF = {"anthropic": ("ANTHROPIC_OPEN_TELEMETRY", "false")}
_set_by_us: dict[str, str] = {}
_active: dict[str, str] = {}


def remember_capture(capture: bool) -> None:
    """Tell instrumentations by their environment variables whether to record content.

    They read these when they are switched on. What the user has set stays: content that is wanted
    nowhere is stripped from exported spans in any case.
    """
    for name, (wanted, unwanted) in _CONTENT_SWITCHES.items():
        value = wanted if capture else unwanted
        if name in os.environ and os.environ[name] != _set_by_us.get(name):
            continue
        if value is None:
            if name in _set_by_us:
                os.environ.pop(name, None)
                del _set_by_us[name]
            continue
        os.environ[name] = _set_by_us[name] = value


def instrument_installed(wanted: Iterable[str] | None, tracer_provider: Any, logger_provider: Any) -> dict[str, str]:
    """Instrument every library (or those wanted) and return library -> distribution that traces it."""
    names = None if wanted is None else {_library_name(name) for name in wanted}
    found = find_instrumentors()
    for library, (entry_point, _) in found.items():
        if library in _active or (names is not None and library not in names):
            continue
        if _switch_on(library, entry_point, tracer_provider, logger_provider):
            _active[library] = _distribution(entry_point)
            if library in _OWN_TRACING_OFF:
                os.environ.setdefault(*_OWN_TRACING_OFF[library])
    for name in sorted((names or set()) - set(found)):
        logger.warning(
            "no instrumentation of %s is installed; try: pip install 'spanhouse[%s]'", name, name.replace("_", "-")
        )
    return {library: name for library, name in _active.items() if names is None or library in names}


def find_instrumentors() -> dict[str, tuple[EntryPoint, str]]:
    """Return library -> (entry point, family), the preferred family where several are installed."""
    best: dict[str, tuple[EntryPoint, str]] = {}
    for entry_point in entry_points(group="opentelemetry_instrumentor"):
        classified = _classify(entry_point)
        if classified is None:
            continue
        library, family = classified
        if library not in best or _PREFERENCE.index(family) < _PREFERENCE.index(best[library][1]):
            best[library] = (entry_point, family)
    return dict(sorted(best.items()))


def _classify(entry_point: EntryPoint) -> tuple[str, str] | None:
    module = entry_point.value.partition(":")[0]
    if module.startswith(_OPENINFERENCE_PREFIX):
        library = _library_name(module.removeprefix(_OPENINFERENCE_PREFIX).partition(".")[0])
        return None if library in _NOT_INSTRUMENTORS else (library, OPENINFERENCE)
    if not module.startswith(_OTEL_PREFIX):
        return None
    component = module.removeprefix(_OTEL_PREFIX).partition(".")[0]
    library = _library_name(component)
    if library not in _GENAI_LIBRARIES:
        return None
    return library, (OPENLLMETRY if _is_openllmetry(entry_point, component) else OTEL)


def _library_name(component: str) -> str:
    name = component.strip().lower().replace("-", "_").removesuffix("_v2")
    return _ALIASES.get(name, name)


def _is_openllmetry(entry_point: EntryPoint, component: str) -> bool:
    """Tell the two families with the same module prefix apart, by who publishes the distribution."""
    if component.endswith("_v2"):
        return False
    metadata = entry_point.dist.metadata if entry_point.dist else None
    if metadata is None:
        return False
    fields = ("Author", "Author-email", "Home-page", "Project-URL")
    about = " ".join(str(value) for field in fields for value in metadata.get_all(field) or ())
    return "traceloop" in about.lower()


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else entry_point.value


def _switch_on(library: str, entry_point: EntryPoint, tracer_provider: Any, logger_provider: Any) -> bool:
    try:
        instrumentor = entry_point.load()()
        if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
            # The application has done it itself; its provider is the global one, which we listen to.
            return True
        if _library_is_missing(instrumentor):
            return False
        options = {"tracer_provider": tracer_provider}
        if logger_provider is not None:
            options["logger_provider"] = logger_provider
        instrumentor.instrument(**options)
    except Exception as error:
        # A missing library is normal, an instrumentation that lacks its own parts is not.
        missing = isinstance(error, ImportError) and not str(error.name).startswith(("opentelemetry", "openinference"))
        logger.log(
            logging.DEBUG if missing else logging.WARNING,
            "%s could not be instrumented: %s: %s",
            library,
            type(error).__name__,
            error,
        )
        return False
    return bool(getattr(instrumentor, "is_instrumented_by_opentelemetry", True))


def _library_is_missing(instrumentor: Any) -> bool:
    """Ask quietly what ``instrument`` would log as an error: is the library there in a fitting version?"""
    try:
        from opentelemetry.instrumentation.dependencies import get_dependency_conflicts

        return get_dependency_conflicts(instrumentor.instrumentation_dependencies()) is not None
    except ImportError:
        return False
