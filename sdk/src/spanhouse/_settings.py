"""Arguments of ``init`` and environment variables, folded into one set of settings.

Nothing here raises for a bad value: telemetry that is set up wrongly must not stop the application.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from spanhouse import _attributes as a
from spanhouse._log import logger

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
_FALSE = ("0", "false", "no", "off")


@dataclass(frozen=True)
class Settings:
    """What ``init`` decided. ``resource`` holds only attributes that were asked for explicitly."""

    endpoint: str
    traces_url: str
    logs_url: str
    headers: dict[str, str]
    capture_content: bool
    sample_rate: float | None
    timeout_s: float
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    resource: dict[str, str] = field(default_factory=dict)

    @property
    def scores_url(self) -> str:
        """Return where feedback is posted."""
        return f"{self.endpoint}/api/v1/scores"


def resolve(
    endpoint: str | None = None,
    api_key: str | None = None,
    service_name: str | None = None,
    project: str | None = None,
    environment: str | None = None,
    release: str | None = None,
    capture_content: bool | None = None,
    sample_rate: float | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Settings:
    """Return the settings: an argument wins over ``SPANHOUSE_…``, that over ``OTEL_…``, that over the default."""
    chosen = endpoint or _env("SPANHOUSE_ENDPOINT")
    from_otel = None if chosen else _otel_endpoint()
    base = _clean(chosen or from_otel or DEFAULT_ENDPOINT)
    traces_url, logs_url = f"{base}/v1/traces", f"{base}/v1/logs"
    all_headers: dict[str, str] = {}
    if not chosen:
        # Headers meant for another backend carry its key: they go only where its endpoint says.
        traces_url = _env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or traces_url
        logs_url = _env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT") or logs_url
        if from_otel or _env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
            all_headers.update(_otel_headers())
    key = api_key or _env("SPANHOUSE_API_KEY")
    if key:
        all_headers["authorization"] = f"Bearer {key}"
    project = project or _env("SPANHOUSE_PROJECT")
    if project:
        all_headers["x-spanhouse-project"] = project
    all_headers.update({name.lower(): str(value) for name, value in (headers or {}).items()})
    resource = {
        a.SERVICE_NAME: service_name or _env("SPANHOUSE_SERVICE_NAME"),
        a.ENVIRONMENT: environment or _env("SPANHOUSE_ENVIRONMENT"),
        a.SERVICE_VERSION: release or _env("SPANHOUSE_RELEASE"),
    }
    return Settings(
        endpoint=base,
        traces_url=traces_url,
        logs_url=logs_url,
        headers=all_headers,
        capture_content=_switch("SPANHOUSE_CAPTURE_CONTENT", True)
        if capture_content is None
        else bool(capture_content),
        sample_rate=_rate(sample_rate),
        timeout_s=timeout_s or _number("OTEL_EXPORTER_OTLP_TIMEOUT", 10.0),
        verify=_env("OTEL_EXPORTER_OTLP_CERTIFICATE") or True,
        cert=_client_certificate(),
        resource={name: value for name, value in resource.items() if value},
    )


def default_service_name() -> str:
    """Return the name of the running program, for resources that would be ``unknown_service``."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__")
    path = getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "")
    return Path(path).stem or "python"


def number_setting(name: str, default: float) -> float:
    """Return a number from the environment, the default where it is none."""
    return _number(name, default)


def is_disabled() -> bool:
    """Tell whether OpenTelemetry as a whole is switched off by ``OTEL_SDK_DISABLED``."""
    return _switch("OTEL_SDK_DISABLED", False)


def _env(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _clean(endpoint: str) -> str:
    endpoint = endpoint.strip().rstrip("/")
    if "://" not in endpoint:
        endpoint = f"http://{endpoint}"
    for suffix in ("/v1/traces", "/v1/logs"):
        endpoint = endpoint.removesuffix(suffix)
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        logger.warning("the endpoint %r is not an http(s) address; using %s", endpoint, DEFAULT_ENDPOINT)
        return DEFAULT_ENDPOINT
    return endpoint


def _otel_endpoint() -> str | None:
    protocol = _env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or _env("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    # This SDK speaks OTLP over HTTP; an address meant for gRPC would only answer with errors.
    return None if protocol == "grpc" else _env("OTEL_EXPORTER_OTLP_ENDPOINT")


def _otel_headers() -> dict[str, str]:
    text = _env("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or _env("OTEL_EXPORTER_OTLP_HEADERS") or ""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {unquote(name).strip().lower(): unquote(value).strip() for name, _, value in pairs}


def _client_certificate() -> str | tuple[str, str] | None:
    certificate, key = _env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), _env("OTEL_EXPORTER_OTLP_CLIENT_KEY")
    return (certificate, key) if certificate and key else certificate


def _switch(name: str, default: bool) -> bool:
    value = _env(name)
    return default if value is None else value.lower() not in _FALSE


def _number(name: str, default: float) -> float:
    value = _env(name)
    if value is None:
        return default
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if number > 0:
        return number
    logger.warning("%s=%r is not a positive number; using %s", name, value, default)
    return default


def _rate(given: float | None) -> float | None:
    value: object = _env("SPANHOUSE_SAMPLE_RATE") if given is None else given
    if value is None:
        return None
    try:
        rate = float(str(value))
    except ValueError:
        rate = -1.0
    if 0.0 <= rate <= 1.0:
        return rate
    logger.warning("the sample rate %r is not between 0 and 1; everything is recorded", value)
    return 1.0
