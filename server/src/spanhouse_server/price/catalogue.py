"""Which tariff applies to a call: provider and model names to what ``genai-prices`` knows."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from spanhouse_server.model.tiers import fold_tier
from spanhouse_server.price.discounts import DISCOUNTS, with_cache_writes
from spanhouse_server.price.tariff import Period, Rate, Rates, Tariff, Variant, free_rates

#: Our (OpenTelemetry's) provider names to ids of ``genai-prices``; others are looked up as they are.
PROVIDER_IDS = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "together_ai": "together",
    "togetherai": "together",
    "voyage": "voyageai",
    "voyage_ai": "voyageai",
    "x_ai": "x-ai",
    "zai_org": "zai",
}

#: Names that only their vendor sells, for emitters that do not name the provider.
VENDOR_OF_MODEL = (
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "google"),
    (re.compile(r"gpt-(?!oss)|chatgpt-|o[134](-|$)|text-embedding-(3|ada)"), "openai"),
)

#: Families whose weights anyone may serve under their own name.
OPEN_WEIGHTS = re.compile(
    r"(^|[/._-])(gpt-oss|code-?llama|llama|smollm|qwen|qwq|mistral|mixtral|ministral|devstral|gemma|phi-?\d|deepseek|"
    r"command-r|granite|falcon|yi-\d|olmo|glm|kimi|nemotron|tinyllama|bge|nomic|all-minilm|e5)",
    re.IGNORECASE,
)

#: Attributes in which instrumentations name the host that was called.
ADDRESS_KEYS = ("server.address", "net.peer.name", "gen_ai.openai.api_base")

#: How ``genai-prices`` tells a request's kind, where that is no service tier by name.
_TIER_OF_CONTEXT = {(("processing", "batch"),): "batch", (("speed", "fast"),): "fast"}

#: Lookups remembered; senders choose model names, so their number must be bounded.
MAX_REMEMBERED = 20_000

Found = tuple[Tariff | None, str]

_remembered: dict[tuple[str, str, str], Found] = {}
_tariffs: dict[int, Tariff | None] = {}


def find_tariff(provider: str, response_model: str, request_model: str, attributes: Mapping[str, Any]) -> Found:
    """Return the tariff of a call, or nothing and the reason.

    The model served decides. Where its name is unknown and is the requested one with something
    appended (``gpt-5`` answered by ``gpt-5-2031-01-01``), the price of the requested one holds.
    """
    model = response_model or request_model
    if not model:
        return None, "no_model"
    if OPEN_WEIGHTS.search(model) and _is_local(attributes):
        return None, f"self_hosted: {model}"
    if not provider and _is_local(attributes):
        return None, "unknown_provider"
    key = (provider, response_model, request_model)
    found = _remembered.get(key)
    if found is None:
        if len(_remembered) >= MAX_REMEMBERED:
            _remembered.clear()
        found = _remembered[key] = _look_up(provider, model, request_model)
    return found


def _look_up(provider: str, model: str, request_model: str) -> Found:
    provider_id = _provider_id(provider) if provider else _vendor_of(model)
    if provider_id is None:
        return None, f"unknown_provider: {provider}" if provider else "unknown_provider"
    names = [model, model.rsplit("/", 1)[-1]]
    if request_model and model.startswith(request_model):
        names += [request_model, request_model.rsplit("/", 1)[-1]]
    for name in dict.fromkeys(name for name in names if name):
        info = _model_info(provider_id, name)
        if info is not None:
            tariff = _tariff(info, provider_id, is_free=name.lower().endswith(":free"))
            return tariff, "" if tariff else f"no_price_for: tokens of {model}"
    return None, f"unknown_model: {model}"


def _provider_id(provider: str) -> str | None:
    """Return the id under which ``genai-prices`` keeps a provider. Its own fuzzy matching is not used."""
    mapped = PROVIDER_IDS.get(provider, provider)
    known = {entry.id for entry in _snapshot().providers}
    return next((name for name in (mapped, mapped.replace("_", "-"), mapped.replace("_", "")) if name in known), None)


def _vendor_of(model: str) -> str | None:
    name = model.rsplit("/", 1)[-1].lower()
    return next((vendor for pattern, vendor in VENDOR_OF_MODEL if pattern.match(name)), None)


def _is_local(attributes: Mapping[str, Any]) -> bool:
    """Tell whether the call went to this machine or a private network."""
    for key in ADDRESS_KEYS:
        value = attributes.get(key)
        if isinstance(value, str) and value:
            return _is_local_host(value)
    return False


def _is_local_host(value: str) -> bool:
    host = value.partition("://")[2].partition("/")[0] if "://" in value else value
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name without a dot is one of a private network: a container, a service, this machine.
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan", ".svc"))
    return address.is_private or address.is_loopback or address.is_link_local


# genai-prices, imported late: it costs a quarter of a second and 30 MB --------------------------------


def _snapshot() -> Any:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


def _model_info(provider_id: str, model: str) -> Any:
    try:
        return _snapshot().find_provider_model(model, None, provider_id, None)[1]
    except LookupError:
        return None


def list_version() -> str:
    """Return the version of the public price list, without loading it."""
    from importlib.metadata import version

    return version("genai-prices")


def _tariff(info: Any, provider_id: str, is_free: bool) -> Tariff | None:
    """Return a model's tariff, the same object every time; nothing when no token of it has a price."""
    known = id(info)
    if known not in _tariffs:
        entries = info.prices if isinstance(info.prices, list) else None
        periods = [_period(entry, is_free) for entry in entries or ()] or [Period(_rates(info.prices, is_free))]
        if all(period.rates == Rates() for period in periods):
            _tariffs[known] = None
        else:
            periods = [replace(each, rates=with_cache_writes(each.rates, info.id)) for each in periods]
            variants = tuple(found for each in info.price_variants or () if (found := _variant(each)))
            _tariffs[known] = Tariff(tuple(periods), variants, DISCOUNTS.get(provider_id, ()))
    return _tariffs[known]


def _variant(entry: Any) -> Variant | None:
    """Return a service tier's prices; nothing for what is no tier, or the standard one by its name."""
    tier = _TIER_OF_CONTEXT.get(tuple(entry.when.items()))
    if tier is None and list(entry.when) == ["service_tier"]:
        tier = fold_tier(entry.when["service_tier"])
    return Variant(tier, _period(entry, is_free=False)) if tier else None


def _period(entry: Any, is_free: bool) -> Period:
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    rates = _rates(entry.prices, is_free)
    constraint = entry.constraint
    if isinstance(constraint, StartDateConstraint):
        return Period(rates, from_ns=_midnight_ns(constraint.start_date))
    if isinstance(constraint, TimeOfDateConstraint):
        return Period(rates, day_part_ns=(_of_day_ns(constraint.start_time), _of_day_ns(constraint.end_time)))
    return Period(rates)


def _midnight_ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000


def _of_day_ns(moment: time) -> int:
    if moment.tzinfo is not None:
        moment = datetime.combine(date(1970, 1, 2), moment).astimezone(UTC).time()
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    return seconds * 1_000_000_000 + moment.microsecond * 1000


def _rates(prices: Any, is_free: bool) -> Rates:
    given = {key: value for key, value in vars(prices).items() if value is not None}
    if not given and is_free:
        return free_rates()
    return Rates(
        input=_rate(given.get("input_mtok")),
        cache_read=_rate(given.get("cache_read_mtok")),
        cache_write=_rate(given.get("cache_write_mtok")),
        audio_input=_rate(given.get("input_audio_mtok")),
        output=_rate(given.get("output_mtok")),
        reasoning=_rate(given.get("output_reasoning_mtok")),
        audio_output=_rate(given.get("output_audio_mtok")),
        request_usd=_fee(given.get("requests_kcount")),
        cache_write_1h=_rate(given.get("cache_write_1h_mtok")),
        audio_cache_read=_rate(given.get("cache_audio_read_mtok")),
        image_input=_rate(given.get("input_image_mtok")),
        image_output=_rate(given.get("output_image_mtok")),
        web_search_usd=_fee(given.get("web_searches_kcount")),
    )


def _fee(value: Any) -> Decimal | None:
    return value if isinstance(value, Decimal) else None


def _rate(value: Any) -> Rate | None:
    if value is None:
        return None
    if isinstance(value, Decimal):
        return Rate(value)
    return Rate(value.base, tuple((tier.start, tier.price) for tier in value.tiers))
