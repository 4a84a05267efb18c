"""Service tiers: what a provider was asked to be fast, or cheap, about; one word for the same thing."""

from __future__ import annotations

#: Words for the tier that list prices are about.
STANDARD = frozenset(
    {"", "default", "standard", "standard_only", "auto", "on_demand", "ondemand", "none", "performance", "unspecified"}
)
_SAME = {"on_demand_flex": "flex", "on_demand_priority": "priority", "batches": "batch", "batch_api": "batch"}
MAX_CHARACTERS = 40


def fold_tier(value: object) -> str:
    """Return a service tier in our words: empty for the standard one and for what is no text."""
    if not isinstance(value, str):
        return ""
    tier = value.strip().lower().replace("-", "_").replace(" ", "_")[:MAX_CHARACTERS]
    tier = tier.removeprefix("service_tier_")
    return "" if tier in STANDARD else _SAME.get(tier, tier)
