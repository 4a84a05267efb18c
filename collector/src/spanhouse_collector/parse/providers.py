"""Providers by the names OpenTelemetry gives them, from an upstream's name or its host."""

from __future__ import annotations

from urllib.parse import urlsplit

NAMES = {
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "grok": "x_ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "together": "together_ai",
    "vertex": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}
#: Ends of host names, for upstreams that an operator named in his own way.
HOSTS = (
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("openrouter.ai", "openrouter"),
    ("api.together.xyz", "together_ai"),
    ("api.together.ai", "together_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.moonshot.ai", "moonshot_ai"),
)


def provider_name(upstream: str, url: str) -> str:
    """Return ``gen_ai.provider.name``: the host decides where it is a provider's own, else the name."""
    host, _ = address(url)
    for ending, name in HOSTS:
        if host == ending.lstrip(".") or host.endswith(ending if ending[0] == "." else f".{ending}"):
            return name
        if name == "gcp.vertex_ai" and host.endswith(f"-{ending}"):  # us-central1-aiplatform.googleapis.com
            return name
    given = upstream.strip().lower()
    return NAMES.get(given, given)


def address(url: str) -> tuple[str, int | None]:
    """Return host and port of a URL, the scheme's own port where it names none."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "", None
    return host, port or {"https": 443, "wss": 443, "http": 80, "ws": 80}.get(parts.scheme)
