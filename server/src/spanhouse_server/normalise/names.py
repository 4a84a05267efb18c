"""The closed vocabularies: providers, operations, roles, reasons to stop, and the category each operation means."""

from __future__ import annotations

import re

#: What emitters write, folded to OpenTelemetry's well-known values of ``gen_ai.provider.name``.
PROVIDERS = {
    "amazon": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "anthropic_text": "anthropic",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_ai_inference": "azure.ai.inference",
    "azure_ai_openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "azureai": "azure.ai.inference",
    "azureopenai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "claude": "anthropic",
    "codestral": "mistral_ai",
    "cohere_chat": "cohere",
    "fireworks": "fireworks_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "google.vertex": "gcp.vertex_ai",
    "google.vertex.ai": "gcp.vertex_ai",
    "google_genai": "gcp.gen_ai",
    "google_generativeai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "googleai": "gcp.gen_ai",
    "grok": "x_ai",
    "ibm": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "text_completion_codestral": "mistral_ai",
    "text_completion_openai": "openai",
    "together": "together_ai",
    "togetherai": "together_ai",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "x_ai": "x_ai",
    "xai": "x_ai",
}
#: What Vercel's AI SDK appends to a provider: the part of its API.
_APIS = frozenset(
    {"chat", "completion", "embedding", "image", "messages", "reranking", "responses", "speech", "transcription"}
)
#: Emitters that name the host they call (LiveKit); of Azure, Bedrock and Vertex AI the end or a part tells.
PROVIDER_OF_HOST = {
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks_ai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "together_ai",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openrouter.ai": "openrouter",
}
_PROVIDER_OF_HOSTS = (
    (re.compile(r".+\.openai\.azure\.com"), "azure.ai.openai"),
    (re.compile(r"bedrock-runtime\..+\.amazonaws\.com"), "aws.bedrock"),
    (re.compile(r".+-aiplatform\.googleapis\.com"), "gcp.vertex_ai"),
)
_HOST = re.compile(r"([\w.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_NUMBERED = re.compile(r"localhost|\d{1,3}(?:\.\d{1,3}){3}|\[.*")
WELL_KNOWN_PROVIDERS = frozenset(
    [
        "anthropic",
        "aws.bedrock",
        "azure.ai.inference",
        "azure.ai.openai",
        "cohere",
        "deepseek",
        "gcp.gemini",
        "gcp.gen_ai",
        "gcp.vertex_ai",
        "groq",
        "ibm.watsonx.ai",
        "mistral_ai",
        "moonshot_ai",
        "openai",
        "perplexity",
        "x_ai",
    ]
)
#: Amazon Bedrock's ids of models and inference profiles: no other provider writes them so.
_BEDROCK = re.compile(
    r"(?:arn:aws[\w-]*:bedrock:.+/)?(?:(?:us|eu|apac|ap|au|ca|jp|us-gov|global)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen|stability|twelvelabs|writer)"
    r"\.[\w.-]+(?::\d+){0,2}(?::\w+)?"
)
#: What emitters write for a name they do not know: Micrometer, Semantic Kernel, and those that print a null.
UNTOLD = frozenset({"none", "N/A", "n/a", "None", "null", "undefined", "unknown"})
#: Frameworks that put their own name where the provider belongs.
NOT_PROVIDERS = frozenset(
    [
        "crewai",
        "gcp.vertex.agent",
        "langchain",
        "langgraph",
        "livekit",
        "haystack",
        "litellm",
        "litellm_proxy",
        "llamaindex",
        "llama_index",
        "microsoft.agent_framework",
        "openai_agents",
        "pydantic_ai",
        "spanhouse",
        "spring_ai",
        "strands-agents",
        "strands_agents",
        "unknown",
    ]
)

#: What emitters call the drawing of images, which the conventions call making content.
DRAWING = ("image", "image_edit", "image_generation", "image_variation")
OPERATIONS = {
    "agent": "invoke_agent",
    "chat.completions": "chat",
    "chat_completion": "chat",
    "completion": "text_completion",
    "embed": "embeddings",
    "embedding": "embeddings",
    "generate": "generate_content",
    "generate_text": "text_completion",
    **dict.fromkeys(DRAWING, "generate_content"),
    "llm_request": "chat",
    "message": "chat",
    "reranking": "rerank",
    "responses": "chat",
    "retrieve": "retrieval",
    "text.completions": "text_completion",
    "text_completions": "text_completion",
    "tool": "execute_tool",
    "vector_db_retrieve": "retrieval",
    "workflow": "invoke_workflow",
}

CATEGORY_OF_OPERATION = {
    "agent_step": "agent",
    "chat": "llm",
    "create_agent": "agent",
    "execute_method": "workflow",
    "embeddings": "embedding",
    "execute_task": "workflow",
    "execute_tool": "tool",
    "generate_content": "llm",
    "invoke_agent": "agent",
    "invoke_workflow": "workflow",
    "plan": "agent",
    "rerank": "reranker",
    "retrieval": "retriever",
    "search_memory": "retriever",
    "text_completion": "llm",
}
OPERATION_OF_CATEGORY = {
    "agent": "invoke_agent",
    "embedding": "embeddings",
    "llm": "chat",
    "retriever": "retrieval",
    "reranker": "rerank",
    "tool": "execute_tool",
}

ROLES = {
    "ai": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "bot": "assistant",
    "developer": "system",
    "function": "tool",
    "functionmessage": "tool",
    "human": "user",
    "humanmessage": "user",
    "model": "assistant",
    "systemmessage": "system",
    "toolmessage": "tool",
}
KNOWN_ROLES = frozenset({"system", "user", "assistant", "tool"})

#: Why a model stopped, as providers and engines say it in lower case, folded to what OpenTelemetry's messages say.
FINISH_REASONS = {
    reason: folded
    for folded, reasons in {
        "stop": "stop end_turn end complete completed done finish finished eos eos_token stop_sequence stop_token"
        " stop_word stop_criteria_met",
        "length": "length max_tokens max_output_tokens max_length max_new_tokens model_length token_limit error_limit"
        " max_completion_tokens model_context_window_exceeded context_length_exceeded",
        "content_filter": "content_filter content_filtered content_filter_triggered refusal guardrail_intervened"
        " guardrail_triggered safety image_safety recitation image_recitation blocklist prohibited_content"
        " image_prohibited_content spii model_armor error_toxic",
        "tool_call": "tool_call tool_calls tool_use tool function_call function_calls",
        "error": "error failed malformed_function_call malformed_tool_use malformed_model_output unexpected_tool_call"
        " malformed_response",
    }.items()
    for reason in reasons.split()
}


def fold_provider(value: str, product: str = "") -> str:
    """Return OpenTelemetry's name of a provider; empty for frameworks that pose as one.

    ``product`` is what the emitter says beside the host (OpenInference's ``llm.system``).
    """
    if value in WELL_KNOWN_PROVIDERS or not (value or product):
        return value
    name = value.strip().lower()
    if name in WELL_KNOWN_PROVIDERS:
        return name
    if name in ("google", "") and product:
        return fold_provider(product)
    if name in NOT_PROVIDERS:
        return ""
    folded = PROVIDERS.get(name) or PROVIDERS.get(name.replace("-", "_").replace(" ", "_"))
    if folded is not None:
        return folded
    if "." in name or ":" in name:
        of_host = _provider_of_host(name)
        if of_host is not None:
            return of_host
        provider, _, api = name.rpartition(".")
        while provider and api in _APIS:
            name = provider
            provider, _, api = name.rpartition(".")
        folded = PROVIDERS.get(name) or PROVIDERS.get(name.replace("-", "_"))
        if folded is not None:
            return folded
    head = name.partition(".")[0]
    return fold_provider(head) if head != name and (head in WELL_KNOWN_PROVIDERS or head in PROVIDERS) else name


def _provider_of_host(name: str) -> str | None:
    """Return whose host this is; empty for an address that tells nobody, ``None`` for what is no address."""
    address = _HOST.fullmatch(name)
    if address is None:
        return None
    host = address[1]
    known = PROVIDER_OF_HOST.get(host) or next((its for form, its in _PROVIDER_OF_HOSTS if form.fullmatch(host)), None)
    return "" if known is None and (address[2] or _NUMBERED.fullmatch(host)) else known


def provider_of_model(model: str) -> str:
    """Return the provider that a model's name alone gives away, else an empty text."""
    return "aws.bedrock" if "." in model and len(model) < 256 and _BEDROCK.fullmatch(model) else ""


def fold_operation(value: str) -> str:
    """Return the newest name of an operation; unknown ones stay as they are."""
    if value in CATEGORY_OF_OPERATION:  # the newest names themselves
        return value
    name = value.strip()
    return OPERATIONS.get(name.lower(), name)


def fold_role(value: str, otherwise: str) -> str:
    """Return the canonical role; unknown roles stay as they are, an empty one becomes ``otherwise``."""
    if value in KNOWN_ROLES:
        return value
    name = value.strip().lower()
    if not name:
        return otherwise
    return ROLES.get(name, name)


def fold_finish_reason(value: str) -> str:
    """Return why a model stopped: ``stop length content_filter tool_call error``, others in lower case."""
    known = FINISH_REASONS.get(value)
    if known is not None:
        return known
    # `FinishReason.MAX_TOKENS` is the name of an enumeration's member, `FINISH_REASON_SAFETY` one of protobuf.
    name = value.strip().rpartition(".")[2].lower().replace("-", "_").replace(" ", "_")
    return FINISH_REASONS.get(name.removeprefix("finish_reason_"), name)
