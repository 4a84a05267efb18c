"""What each family of instrumentations tells at all: the rest must stay empty, not be guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Tells:
    """What a family of instrumentations puts on its spans."""

    dialect: str = "otel"
    content: bool = True
    response_id: bool = True
    finish: bool = True
    cache: bool = True
    reasoning: bool = True
    tools: bool = True
    #: Whether it is told with the tools offered what they take.
    schemas: bool = True
    several_parts: bool = True
    stream_usage: bool = True
    call_ids: bool = True
    ttft: str = ""
    provider: bool = True
    #: Whether the model asked for is named beside the one that answered, and the one that answered at all.
    asked: bool = True
    served: bool = True
    #: Whether an image is sent itself, or left out.
    image: bool = True
    error: str = ""
    #: A provider's name in place of the one that served, where a client speaks to another.
    provider_name: str = ""
    #: Whether the response id is the emitter's own, not the provider's.
    own_ids: bool = False
    #: Whether calls of tools stay in the conversation they are part of.
    history: bool = True
    #: Whether system instructions given beside the messages are told.
    system: bool = True
    #: What it calls a call of the model, where not as the provider's API does.
    operation: str = ""
    #: Whether the tokens of embeddings are told.
    embedding_usage: bool = True
    #: Whether the time to the first token begins with the request; with the response's headers if not.
    waits: bool = True


OPENAI_V2 = Tells(cache=False, reasoning=False, tools=False)
UTIL_GENAI = Tells(ttft="client_chunk")
OPENINFERENCE = Tells(dialect="openinference", ttft="event")
OPENLLMETRY_OLD = Tells(dialect="openllmetry", reasoning=False)
LANGFUSE = Tells(
    dialect="langfuse",
    provider=False,
    asked=False,
    response_id=False,
    finish=False,
    image=False,
    ttft="client_chunk",
    error="unknown",
)
LOGFIRE = Tells(dialect="logfire")
MLFLOW = Tells(dialect="mlflow", image=False, ttft="event")
PYDANTIC_AI = Tells(dialect="pydantic_ai", ttft="client_chunk")
VERCEL = Tells(dialect="vercel_ai", reasoning=False, ttft="client_chunk", error="AI_APICallError")
#: By the beginning of a case's name; the longest one that fits holds.
OPENLIT = Tells(dialect="openlit", reasoning=False, image=False, ttft="server_token", waits=False)
OPENLIT_OLD = replace(OPENLIT, cache=False, served=False)
GOOGLE_OLD = Tells(response_id=False, served=False, cache=False, reasoning=False, tools=False)
LITELLM = Tells(dialect="litellm", call_ids=False)
LITELLM_V2 = Tells(dialect="litellm", reasoning=False, ttft="client_chunk")
SEMANTIC_KERNEL = Tells(dialect="semantic_kernel", served=False, cache=False, reasoning=False, tools=False)
GENKIT = Tells(dialect="genkit", error="429")
FAMILIES = {
    "openai_v2": OPENAI_V2,
    "openai_v2_latest": replace(OPENAI_V2, several_parts=False),
    "openai_v2_no_content": replace(OPENAI_V2, content=False),
    "genai_openai": UTIL_GENAI,
    "genai_anthropic": replace(UTIL_GENAI, reasoning=False),
    "anthropic_sdk": Tells(content=False, tools=False, reasoning=False),
    "engines": replace(OPENAI_V2, content=False),
    "openinference": OPENINFERENCE,
    "openinference_openai_responses": replace(OPENINFERENCE, finish=False),
    "openinference_anthropic": replace(OPENINFERENCE, reasoning=False, ttft=""),
    "openinference_old_anthropic": replace(OPENINFERENCE, cache=False, reasoning=False, finish=False, call_ids=False),
    "openinference_google": replace(
        OPENINFERENCE,
        provider_name="gcp.gen_ai",
        operation="chat",
        response_id=False,
        call_ids=False,
        ttft="",
        error="ClientError",
    ),
    "openinference_langchain": replace(OPENINFERENCE, error="OpenAIRateLimitError", ttft=""),
    "openinference_langchain_stream": replace(OPENINFERENCE, response_id=False, served=False, ttft=""),
    "openinference_js": replace(OPENINFERENCE, embedding_usage=False, ttft=""),
    "openinference_js_responses": replace(OPENINFERENCE, finish=False),
    "openinference_js_stream": replace(OPENINFERENCE, response_id=False, served=False, stream_usage=False, ttft=""),
    "openllmetry_openai": Tells(several_parts=False, ttft="event"),
    "openllmetry_anthropic": Tells(reasoning=False),
    "openllmetry_old_openai": replace(OPENLLMETRY_OLD, ttft="event", stream_usage=False),
    "openllmetry_old_anthropic": OPENLLMETRY_OLD,
    "openllmetry_langchain": Tells(dialect="openllmetry", error="OpenAIRateLimitError"),
    "openllmetry_langchain_stream": Tells(dialect="openllmetry", response_id=False, served=False),
    "langfuse": LANGFUSE,
    "langfuse_stream": replace(LANGFUSE, finish=True),
    "langfuse_js": LANGFUSE,
    "langfuse_js_embeddings": replace(LANGFUSE, served=False, embedding_usage=False),
    "langfuse_js_stream": replace(LANGFUSE, asked=True, served=False),
    "langsmith": Tells(dialect="langsmith"),
    "langsmith_responses": Tells(dialect="langsmith"),
    "logfire": LOGFIRE,
    "logfire_stream": replace(LOGFIRE, response_id=False, served=False),
    "logfire_anthropic": replace(LOGFIRE, reasoning=False),
    "logfire_anthropic_stream": replace(LOGFIRE, reasoning=False, response_id=False, served=False),
    "logfire_anthropic_request_stream": replace(LOGFIRE, reasoning=False, response_id=False, served=False),
    "logfire_responses": replace(LOGFIRE, finish=False),
    "mlflow": MLFLOW,
    "mlflow_embeddings": replace(MLFLOW, provider=False),
    "pydantic_ai": PYDANTIC_AI,
    "pydantic_ai_error": replace(PYDANTIC_AI, content=False, error="ModelRateLimitError"),
    "pydantic_ai_anthropic": replace(PYDANTIC_AI, reasoning=False),
    "vercel_latest": VERCEL,
    "vercel_latest_embeddings": replace(VERCEL, served=False),
    "vercel_legacy_embeddings": replace(VERCEL, dialect="vercel_ai_legacy", served=False),
    "vercel_legacy": replace(VERCEL, dialect="vercel_ai_legacy", reasoning=True),
    "openai_v2_old": OPENAI_V2,
    "otel_js": replace(OPENAI_V2, image=False),
    "openlit": OPENLIT,
    "openlit_tools": replace(OPENLIT, history=False),
    "openlit_error": replace(OPENLIT, content=False),
    "openlit_old": OPENLIT_OLD,
    "google_genai": UTIL_GENAI,
    "google_genai_error": replace(UTIL_GENAI, error="429"),
    "google_genai_embeddings": replace(UTIL_GENAI, served=False),
    "google_genai_old": GOOGLE_OLD,
    "adk": replace(GOOGLE_OLD, dialect="google_adk"),
    "strands": Tells(dialect="strands"),
    "litellm": LITELLM,
    "litellm_stream": replace(LITELLM, served=False),
    "litellm_anthropic": replace(LITELLM, own_ids=True),
    "litellm_proxy": replace(LITELLM, served=False),
    "litellm_proxy_responses": replace(LITELLM, served=False, own_ids=True),
    "litellm_proxy_anthropic": replace(LITELLM, tools=False, system=False),
    "litellm_proxy_anthropic_stream": replace(LITELLM, served=False),
    "litellm_proxy_v2": replace(LITELLM_V2, served=False),
    "litellm_proxy_v2_responses": replace(LITELLM_V2, served=False, own_ids=True, system=False),
    "litellm_proxy_v2_anthropic": replace(LITELLM_V2, system=False, schemas=False),
    "litellm_proxy_v2_anthropic_stream": replace(LITELLM_V2, served=False),
    "litellm_proxy_latest": replace(LITELLM, served=False),
    "litellm_proxy_latest_anthropic": replace(LITELLM, tools=False, system=False),
    "litellm_v2": LITELLM_V2,
    "litellm_v2_stream": replace(LITELLM_V2, served=False),
    "litellm_v2_anthropic": replace(LITELLM_V2, own_ids=True),
    "claude_code": Tells(
        dialect="claude_code",
        content=False,
        served=False,
        own_ids=True,
        tools=False,
        reasoning=False,
        ttft="client_chunk",
    ),
    "crewai": Tells(),
    "genkit": GENKIT,
    "genkit_embeddings": replace(GENKIT, served=False, embedding_usage=False),
    "livekit": Tells(dialect="livekit", served=False, provider=False, ttft="client_chunk"),
    "crewai_own": Tells(dialect="crewai"),
    "semantic_kernel": SEMANTIC_KERNEL,
    "agent_framework": Tells(dialect="semantic_kernel"),
    "haystack": Tells(dialect="haystack"),
    "azure_inference": Tells(cache=False, reasoning=False, tools=False, provider_name="azure.ai.inference"),
}
#: What providers say of an end, as OpenTelemetry says it.
FINISH = {
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "stop": "stop",
    "completed": "stop",
    "STOP": "stop",
}
#: Output tokens an emitter adds of its own, or leaves out. We keep what was sent.
#: The first sums a stream's first, provisional count (1) and its last, which already holds everything;
#: the second leaves out thoughts without saying how many.
MISCOUNTED = {"openllmetry_anthropic_stream": 1, "google_genai_old_chat": -4}


def tells(case: str) -> Tells:
    """Return what the instrumentation of a case tells."""
    return FAMILIES[max((family for family in FAMILIES if case.startswith(family)), key=len)]
