"""Every setting of the collector's commands, in one table: variable, flag and help come from it."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spanhouse_collector.errors import ConfigError

ENV_PREFIX = "SPANHOUSE_"
MIN_KEY_CHARACTERS = 16
_ORIGIN = re.compile(r"https?://[^/\s*,?#@]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``type`` is ``str int bool path``; ``unit`` is for people."""

    name: str
    type: str
    default: Any
    unit: str
    help: str
    env_name: str = ""
    minimum: int | None = None

    @property
    def env(self) -> str:
        """Return the environment variable, ``SPANHOUSE_PROXY_PORT`` for ``proxy_port``."""
        return self.env_name or ENV_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Return the flag, ``--port`` for ``proxy_port``."""
        return "--" + self.name.removeprefix("proxy_").replace("_", "-")


PROXY_SETTINGS = (
    Setting("proxy_host", "str", "127.0.0.1", "address", "Address to listen on; anything but loopback needs a key."),
    Setting("proxy_port", "int", 4319, "port", "Port to listen on. 0 picks a free one.", minimum=0),
    Setting(
        "proxy_key",
        "str",
        "",
        "secret",
        "Key that callers send as `Spanhouse-Auth: Bearer <key>`; required when not on loopback.",
    ),
    Setting(
        "endpoint", "str", "http://127.0.0.1:4318", "URL", "Spanhouse, or any OTLP/HTTP backend, to send spans to."
    ),
    Setting("api_key", "str", "", "secret", "Key of the Spanhouse project to send to."),
    Setting(
        "proxy_upstreams", "str", "", "JSON", "Upstreams to add or replace, name -> base URL; also --upstream name=url."
    ),
    Setting(
        "proxy_target_hosts",
        "str",
        "",
        "hosts",
        "Hosts that a Spanhouse-Target-Url header may name, by commas; *.example.com for all below.",
    ),
    Setting(
        "allowed_origins",
        "str",
        "",
        "origins",
        "Web origins (https://app.example.com) whose pages may use the proxy, by commas.",
    ),
    Setting(
        "proxy_include_usage",
        "bool",
        False,
        "true|false",
        "Ask for usage on chat streams that would carry none, and withhold the extra event from the client.",
    ),
    Setting(
        "proxy_egress",
        "str",
        "",
        "URL",
        "Proxy to reach upstreams through, http://host:3128; `environment` takes HTTPS_PROXY and NO_PROXY. Names are then resolved there.",
    ),
    Setting(
        "proxy_budgets",
        "bool",
        True,
        "true|false",
        "Refuse calls for which an enforced budget of the Spanhouse at the endpoint is used up.",
    ),
    Setting("proxy_policy", "str", "", "file", "Policy file (TOML or JSON): cache, limits, pools, prices, defaults."),
    Setting(
        "proxy_master_key",
        "str",
        "",
        "secret",
        "Seals the stored provider keys: 32 bytes in base64. Empty: a key file beside them, made at first use.",
    ),
    Setting("proxy_data_dir", "path", "proxy-data", "folder", "Where spans wait for an endpoint that is away."),
    Setting("proxy_queue_mb", "int", 1024, "MiB", "Bound of that queue; what does not fit is counted.", minimum=1),
    Setting("proxy_connect_timeout_s", "int", 30, "s", "Longest wait for a connection to an upstream.", minimum=1),
    Setting("proxy_idle_timeout_s", "int", 3600, "s", "Longest silence of an upstream within a call.", minimum=1),
)


@dataclass(slots=True)
class Settings:
    """The settings in force. Attributes are the names in the table."""

    values: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def on_loopback(self) -> bool:
        """Tell whether only this machine can reach the proxy."""
        if self.proxy_host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.proxy_host).is_loopback
        except ValueError:
            return False

    @property
    def upstreams(self) -> dict[str, str]:
        """Return the configured upstreams, name -> base URL."""
        return parse_upstreams(self.proxy_upstreams)

    @property
    def origins(self) -> list[str]:
        """Return the web origins whose pages may call; raise ``ConfigError`` for what is none."""
        origins = [origin.strip().lower().rstrip("/") for origin in self.allowed_origins.split(",") if origin.strip()]
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(f"{origin!r} is no web origin", "write https://app.example.com, with a port if any")
        return origins

    @property
    def target_hosts(self) -> list[str]:
        """Return the hosts that may be named as targets."""
        return [host.strip() for host in self.proxy_target_hosts.split(",") if host.strip()]


def load(flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Read flags and environment; raise ``ConfigError`` naming the setting that is wrong."""
    env = os.environ if env is None else env
    values: dict[str, Any] = {}
    for setting in PROXY_SETTINGS:
        given, source = (flags or {}).get(setting.name), setting.flag
        if given is None:
            given, source = env.get(setting.env), setting.env
        values[setting.name] = _read(setting, setting.default if given is None else given, source)
    settings = Settings(values)
    if not settings.on_loopback and not settings.proxy_key:
        raise ConfigError(
            f"refusing to listen on {settings.proxy_host} without a key: everyone could call your upstreams",
            "set SPANHOUSE_PROXY_KEY to a long random string, or listen on 127.0.0.1",
        )
    if settings.proxy_key and len(settings.proxy_key) < MIN_KEY_CHARACTERS:
        raise ConfigError(f"SPANHOUSE_PROXY_KEY is shorter than {MIN_KEY_CHARACTERS} characters")
    settings.upstreams  # noqa: B018 - read here so that a mistake is told at the start
    settings.origins  # noqa: B018
    return settings


def parse_upstreams(text: str, more: Sequence[str] = ()) -> dict[str, str]:
    """Return upstreams of a JSON object and of ``name=url`` words; raise ``ConfigError``."""
    try:
        found = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise ConfigError(f"the upstreams are not JSON: {error}", 'give {"name": "http://host:port"}') from None
    if not isinstance(found, dict) or not all(isinstance(url, str) for url in found.values()):
        raise ConfigError("the upstreams are not an object of URLs", 'give {"name": "http://host:port"}')
    for word in more:
        name, equals, url = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is no upstream", "give name=url, e.g. openai=http://127.0.0.1:9000")
        found[name] = url
    return found


def _read(setting: Setting, given: Any, source: str) -> Any:
    if setting.type == "path":
        return Path(given)
    if setting.type == "str":
        return str(given)
    if setting.type == "bool":
        if str(given).lower() not in ("true", "false"):
            raise ConfigError(f"{source}={given!r} is neither true nor false", setting.help)
        return str(given).lower() == "true"
    try:
        value = int(given)
    except ValueError:
        raise ConfigError(f"{source}={given!r} is not a number", setting.help) from None
    if setting.minimum is not None and value < setting.minimum:
        raise ConfigError(f"{source}={given!r} is below {setting.minimum}", setting.help)
    return value
