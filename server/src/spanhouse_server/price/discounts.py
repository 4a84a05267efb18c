"""Price rules that providers publish as a factor, for what ``genai-prices`` has no figures of.

It lists the batch and tier prices of many models, mostly since October 2026; those win. Where it has
none (older calls, models left out) the published rule holds:

- OpenAI, batch: half of input and output; flex: the batch rates, cached input halved too.
  platform.openai.com/docs/guides/batch, platform.openai.com/docs/guides/flex-processing
- Azure OpenAI, global batch: half of global standard; of cached input it says nothing, which stays.
  learn.microsoft.com/azure/ai-foundry/openai/how-to/batch
- Anthropic, message batches: half of all token prices, cache multipliers included; web searches stay.
  platform.claude.com/docs/en/build-with-claude/batch-processing#pricing
- Google Gemini, batch: half of input and output; cached input stays. ai.google.dev/gemini-api/docs/batch-api
- Amazon Bedrock, batch: half of on-demand.
  docs.aws.amazon.com/bedrock/latest/userguide/capacity-limits-cost-optimization.html
- Groq, batch: half of input and output, not stacked on cached input. console.groq.com/docs/batch
- Mistral, batch: half of a synchronous call, as its announcement of November 2024 is reported to say
  (mistral.ai/news/batch-api); docs.mistral.ai/capabilities/batch names no figure. The weakest line of this list.
- Claude models anywhere, prompt caching: writing for an hour costs twice the input price, for five
  minutes 1.25 times. platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing

A priority tier has no such rule: its premium differs by model.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from spanhouse_server.price.tariff import Discount, Rates

_HALF = Decimal("0.5")
_PLAIN = ("input", "output", "reasoning", "audio_input", "audio_output", "image_input", "image_output")
_CACHE = ("cache_read", "cache_write", "cache_write_1h", "audio_cache_read")
_BATCH = Discount("batch", _HALF, _PLAIN)
_BATCH_AND_CACHE = Discount("batch", _HALF, _PLAIN + _CACHE)

#: By id of ``genai-prices``.
DISCOUNTS: dict[str, tuple[Discount, ...]] = {
    "openai": (_BATCH, Discount("flex", _HALF, _PLAIN + _CACHE)),
    "azure": (_BATCH,),
    "anthropic": (_BATCH_AND_CACHE,),
    "google": (_BATCH,),
    "aws": (_BATCH_AND_CACHE,),
    "groq": (_BATCH,),
    "mistral": (_BATCH,),
}

CACHE_WRITE_FACTOR = Decimal("1.25")
CACHE_WRITE_1H_FACTOR = Decimal(2)
_CLAUDE = re.compile(r"(^|[./_-])claude", re.IGNORECASE)


def with_cache_writes(rates: Rates, model: str) -> Rates:
    """Return a Claude model's rates with the prices of cache writes that the list leaves out."""
    if rates.input is None or (rates.cache_write and rates.cache_write_1h) or not _CLAUDE.search(model):
        return rates
    return replace(
        rates,
        cache_write=rates.cache_write or rates.input.times(CACHE_WRITE_FACTOR),
        cache_write_1h=rates.cache_write_1h or rates.input.times(CACHE_WRITE_1H_FACTOR),
    )
