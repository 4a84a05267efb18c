"""The names emitters have for a provider: one of ours each, and one that the price list knows."""

from __future__ import annotations

import pytest

from spanhouse_server.normalise.names import fold_provider
from spanhouse_server.price.catalogue import find_tariff


@pytest.mark.parametrize(
    ("written", "folded", "model"),
    [
        # Vercel's AI SDK appends the part of the API.
        ("openrouter.chat", "openrouter", "openai/gpt-4o"),
        ("togetherai.chat", "together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("moonshotai.chat", "moonshot_ai", "kimi-k2-0711-preview"),
        ("cerebras.chat", "cerebras", "llama-3.3-70b"),
        ("azure-openai.chat", "azure.ai.openai", "gpt-4o"),
        ("google.vertex.chat", "gcp.vertex_ai", "gemini-2.5-flash"),
        ("vertex.anthropic.messages", "gcp.vertex_ai", "claude-sonnet-4-5@20250929"),
        ("bedrock.anthropic.messages", "aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("openai.responses", "openai", "gpt-5"),
        # LiteLLM's, LangChain's, Spring AI's and Semantic Kernel's own.
        ("cohere_chat", "cohere", "command-r-plus"),
        ("text-completion-openai", "openai", "gpt-3.5-turbo-instruct"),
        ("vertex_ai_beta", "gcp.vertex_ai", "gemini-2.5-pro"),
        ("bedrock_converse", "aws.bedrock", "amazon.nova-pro-v1:0"),
        ("codestral", "mistral_ai", "codestral-latest"),
        ("together", "together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("googleai", "gcp.gen_ai", "gemini-2.5-flash"),
        ("x-ai", "x_ai", "grok-4"),
    ],
)
def test_provider_is_known_and_sells_the_model(written: str, folded: str, model: str) -> None:
    assert fold_provider(written) == folded
    tariff, reason = find_tariff(folded, "", model, {})
    assert (tariff is not None, reason) == (True, "")


@pytest.mark.parametrize("name", ["litellm_proxy", "LiteLLM", "spring_ai", "unknown"])
def test_frameworks_are_no_providers(name: str) -> None:
    assert fold_provider(name) == ""


@pytest.mark.parametrize("name", ["chat", ".chat", "my.own.gateway", "a.b.chat", "x" * 5000 + ".chat" * 5000])
def test_any_name_folds(name: str) -> None:
    assert isinstance(fold_provider(name), str)
