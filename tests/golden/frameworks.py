"""The recordings of agent frameworks, gateways and Google's clients: environments and cases for ``record``."""

from __future__ import annotations

EXPORTER = "opentelemetry-exporter-otlp-proto-http"
ENVIRONMENTS: dict[str, list[str]] = {
    "openlit": ["openlit==1.45.0", "openai==2.54.0", "anthropic==0.112.0", f"{EXPORTER}==1.45.1"],
    "openlit_old": [
        "openlit==1.33.8",
        "openai==1.66.0",
        "httpx==0.27.2",
        "anthropic==0.42.0",
        f"{EXPORTER}==1.31.1",
    ],
    "adk": ["google-adk==2.13.0", f"{EXPORTER}==1.44.0"],
    "google": ["google-genai==2.34.0", "opentelemetry-instrumentation-google-genai==1.3b0", f"{EXPORTER}==1.45.2"],
    "google_old": ["google-genai==1.32.0", "opentelemetry-instrumentation-google-genai==0.3b0", f"{EXPORTER}==1.33.1"],
    # Clients that OpenTelemetry's own instrumentation refuses to watch.
    "openinference_google": [
        "google-genai==3.4.0",
        "openinference-instrumentation-google-genai==1.4.14",
        f"{EXPORTER}==1.45.2",
    ],
    "strands": ["strands-agents[openai]==1.62.0", f"{EXPORTER}==1.45.1"],
    "litellm": ["litellm==1.109.1", f"{EXPORTER}==1.45.2"],
    "crewai": [
        "crewai==1.15.30",
        "openinference-instrumentation-crewai==1.1.21",
        "openinference-instrumentation-openai==0.1.66",
        f"{EXPORTER}==1.45.2",
    ],
    "semantic_kernel": ["semantic-kernel==1.45.0", f"{EXPORTER}==1.45.2"],
    "agent_framework": ["agent-framework-openai==1.17.0", f"{EXPORTER}==1.45.2"],
    "haystack": ["haystack-ai==3.4.1", "opentelemetry-haystack==2.0.0", f"{EXPORTER}==1.45.2"],
    "azure": ["azure-ai-inference==1.0.0b9", "azure-core-tracing-opentelemetry==1.0.0b13", f"{EXPORTER}==1.45.2"],
    "livekit": ["livekit-agents==1.8.9", "livekit-plugins-openai==1.8.9", f"{EXPORTER}==1.45.2"],
    "otel_old": [
        "openai==1.66.0",
        "httpx==0.27.2",
        "opentelemetry-instrumentation-openai-v2==2.0b0",
        f"{EXPORTER}==1.29.0",
    ],
}
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
LEGACY = {CONTENT: "true"}
LATEST = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental", CONTENT: "SPAN_ONLY"}
#: Keeps the frameworks' own telemetry at home.
QUIET = {"CREWAI_DISABLE_TELEMETRY": "true", "HAYSTACK_TELEMETRY_ENABLED": "False"}
LITELLM = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
#: For frameworks that set up their own providers: what ``apps/telemetry.py`` says of the resource.
RESOURCE = {
    "OTEL_SERVICE_NAME": "golden",
    "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2.3,service.instance.id=golden-1,host.name=host-a,"
    "deployment.environment.name=test,host.id=host-a,os.version=1,process.pid=1",
}
KERNEL = {"SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE": "true"}

_OPENLIT = "chat stream stream_without_usage tools vision embeddings error anthropic_chat anthropic_tools"
_GEMINI = "chat stream tools vision embeddings error"
_LITELLM = "chat stream tools anthropic_chat embeddings error"

#: Prefix of the cases, environment, instrumentation, app, scenarios, settings.
ROWS: list[tuple[str, str, str, str, str, dict[str, str]]] = [
    ("openlit", "openlit", "own", "openlit_app", _OPENLIT, {}),
    ("openlit_old", "openlit_old", "own", "openlit_app", "chat", {}),
    ("google_genai", "google", "google_genai", "gemini_app", _GEMINI, LATEST),
    ("google_genai_old", "google_old", "google_genai", "gemini_app", "chat tools", LEGACY),
    ("openinference_google", "openinference_google", "openinference_google", "gemini_app", _GEMINI, {}),
    ("adk", "adk", "own", "adk_app", "agent", {}),
    ("adk_latest", "adk", "own", "adk_app", "agent", LATEST),
    ("strands", "strands", "own", "strands_app", "agent", {}),
    ("strands_latest", "strands", "own", "strands_app", "agent", LATEST),
    ("litellm", "litellm", "own", "litellm_app", _LITELLM, LITELLM),
    (
        "litellm_v2",
        "litellm",
        "own",
        "litellm_app",
        _LITELLM,
        LITELLM | LATEST | RESOURCE | {"LITELLM_OTEL_V2": "true"},
    ),
    ("crewai", "crewai", "openinference_crewai", "crewai_app", "crew", QUIET),
    ("crewai", "crewai", "own", "crewai_app", "own_crew", QUIET | RESOURCE),
    ("semantic_kernel", "semantic_kernel", "own", "semantic_kernel_app", "chat tools", KERNEL),
    ("agent_framework", "agent_framework", "own", "agent_framework_app", "agent", {}),
    ("haystack", "haystack", "own", "haystack_app", "pipeline agent", QUIET),
    ("azure_inference", "azure", "own", "azure_app", "chat tools", {}),
    ("livekit", "livekit", "own", "livekit_app", "agent", {}),
    ("openai_v2_old", "otel_old", "openai_v2", "openai_app", "chat tools stream", LEGACY),
]
