"""What emitters write where they know no name is no name: neither a model to price, nor an id that calls share."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from spanhouse_server.price import price
from tests.unit.normalise.make import raw_span


@pytest.mark.parametrize("untold", ["none", "N/A", "None", "null", "unknown", "undefined"])
def test_a_served_model_nobody_told_leaves_the_price_to_the_one_asked_for(untold: str) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": untold,
        "gen_ai.response.id": untold,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 1,
    }
    span = normalise(raw_span(attributes))
    assert (span.model, span.response_model, span.response_id) == ("gpt-4o", "", "")
    assert price(span).status == "priced"


@pytest.mark.parametrize(
    "attributes",
    [
        {"openinference.span.kind": "LLM", "llm.model_name": "unknown"},
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "None"},
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "null"},
    ],
)
def test_so_it_is_in_every_dialect(attributes: dict[str, Any]) -> None:
    assert normalise(raw_span(attributes)).request_model == ""
