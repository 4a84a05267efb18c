"""Every setting, in one table: environment variable, flag, help and documentation come from it.

``Settings.load`` reads ``SPANHOUSE_…`` variables, lets flags override them, and refuses what
cannot be meant. ``docs/settings.md`` is generated from ``SETTINGS`` and a test holds them together.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spanhouse_server.errors import ConfigError

MIB = 1024 * 1024
ENV_PREFIX = "SPANHOUSE_"
_ORIGIN = re.compile(r"https?://[^/\s*,?#@]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``type`` is ``str int bool path``; ``unit`` is for people."""

    name: str
    type: str
    default: Any
    unit: str
    help: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    @property
    def env(self) -> str:
        """Return the environment variable, ``SPANHOUSE_HTTP_PORT`` for ``http_port``."""
        return ENV_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Return the flag of ``spanhouse serve``, ``--http-port`` for ``http_port``."""
        return "--" + self.name.replace("_", "-")


SETTINGS = (
    Setting("data_dir", "path", "data", "folder", "Where the spool, the embedded stores and secrets lie."),
    Setting(
        "host", "str", "127.0.0.1", "address", "Address to listen on; anything but loopback needs SPANHOUSE_ADMIN_KEY."
    ),
    Setting(
        "http_port",
        "int",
        4318,
        "port",
        "UI, API, OTLP over HTTP, health and metrics. 0 picks a free one.",
        minimum=0,
        maximum=65_535,
    ),
    Setting(
        "grpc_port",
        "int",
        4317,
        "port",
        "OTLP over gRPC. 0 picks a free one, -1 turns gRPC off.",
        minimum=-1,
        maximum=65_535,
    ),
    Setting(
        "store_dsn",
        "str",
        "",
        "DSN",
        "ClickHouse, e.g. clickhouse://user:password@host:8123/spanhouse; empty: embedded under the data folder.",
    ),
    Setting(
        "store_cluster", "str", "", "name", "ClickHouse cluster to create replicated tables on; empty: a single server."
    ),
    Setting(
        "records_dsn",
        "str",
        "",
        "DSN",
        "Postgres for projects and keys, e.g. postgresql://user:password@host/spanhouse; empty: SQLite under the data folder.",
    ),
    Setting(
        "store_memory_mb",
        "int",
        2048,
        "MiB",
        "Memory the embedded ClickHouse may use for queries and merges.",
        minimum=256,
    ),
    Setting(
        "admin_key",
        "str",
        "",
        "secret",
        "Key that opens every project, the API and the page; required when not on loopback.",
    ),
    Setting("require_keys", "bool", False, "", "Ask for a key on loopback too."),
    Setting("max_body_mb", "int", 20, "MiB", "Largest OTLP body over HTTP, after decompression.", minimum=1),
    Setting("max_grpc_message_mb", "int", 20, "MiB", "Largest OTLP message over gRPC, after decompression.", minimum=1),
    Setting(
        "fsync",
        "str",
        "always",
        "",
        "When the spool reaches the disk before an acknowledgement: always survives power loss, off only a crash of Spanhouse.",
        choices=("always", "off"),
    ),
    Setting(
        "spool_max_mb", "int", 4096, "MiB", "Spool bound; when it is reached senders get 503 and retry.", minimum=1
    ),
    Setting(
        "spool_max_age_s",
        "int",
        86400,
        "s",
        "When the oldest waiting request is older than this, new ones get 503.",
        minimum=60,
    ),
    Setting(
        "min_free_disk_mb",
        "int",
        256,
        "MiB",
        "Free space kept on the data disk; below it senders get 503 and nothing is lost.",
        minimum=0,
    ),
    Setting(
        "retention_days",
        "int",
        0,
        "days",
        "How long telemetry is kept in projects that do not say; 0 keeps it for ever.",
        minimum=0,
    ),
    Setting(
        "transform_processes",
        "int",
        1,
        "processes",
        "Processes that decode, normalise and price; 0 does it inside the server process.",
        minimum=0,
    ),
    Setting(
        "allowed_origins",
        "str",
        "",
        "origins",
        "Web origins (https://app.example.com) whose pages may send OTLP and use the proxy, by commas.",
    ),
    Setting("proxy", "bool", True, "", "Serve the logging proxy at /proxy (needs spanhouse-collector)."),
    Setting(
        "proxy_upstreams",
        "str",
        "",
        "JSON",
        "Upstreams of the proxy to add or replace, name -> base URL; also --proxy-upstream name=url, again and again.",
    ),
    Setting(
        "proxy_target_hosts",
        "str",
        "",
        "hosts",
        "Hosts that a Spanhouse-Target-Url header may name, by commas; *.example.com for all below.",
    ),
    Setting(
        "proxy_policy", "str", "", "file", "Policy file of the proxy (TOML or JSON): cache, limits, pools, prices."
    ),
    Setting(
        "proxy_master_key", "str", "", "secret", "Encrypts stored provider keys; empty: a file in the data folder."
    ),
    Setting(
        "proxy_include_usage",
        "bool",
        False,
        "",
        "Ask for usage on chat streams that would carry none, and withhold the extra event from the client.",
    ),
    Setting(
        "proxy_egress",
        "str",
        "",
        "URL",
        "Proxy that /proxy reaches upstreams through, http://host:3128; `environment` takes HTTPS_PROXY and NO_PROXY. Names are then resolved there.",
    ),
    Setting("proxy_queue_mb", "int", 1024, "MiB", "Bound of the proxy's own queue of records.", minimum=1),
    Setting(
        "public_url",
        "str",
        "",
        "URL",
        "Where people reach the page, for links in notifications; empty: the address the server listens on.",
    ),
    Setting(
        "alert_settle_s",
        "int",
        30,
        "s",
        "How long spans may take to arrive and settle before an alert rule judges them.",
        minimum=0,
    ),
    Setting(
        "alert_private_hosts",
        "str",
        "",
        "hosts",
        "Hosts on private addresses that alert channels may reach, by commas; *.example.com for all below.",
    ),
    Setting("workers", "bool", True, "", "Run background work (rollups, alerts, budgets) in this process."),
    Setting(
        "rollup_retention_days",
        "int",
        400,
        "days",
        "How long figures per minute and hour are kept, also when their spans are gone; 0 keeps them for ever.",
        minimum=0,
    ),
    Setting(
        "rollup_tier_key",
        "str",
        "user_tier",
        "key",
        "Metadata key with a user's tier; figures by metadata.<key> are then as quick as by model.",
    ),
    Setting("query_timeout_s", "int", 30, "s", "Longest time one read may take.", minimum=1),
    Setting("log_level", "str", "info", "", "What the server logs.", choices=("debug", "info", "warning", "error")),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(slots=True)
class Settings:
    """The settings in force. Attributes are the names in ``SETTINGS``."""

    values: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    @classmethod
    def load(cls, flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Settings:
        """Read environment and flags; raise ``ConfigError`` naming the setting that is wrong."""
        env = os.environ if env is None else env
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            given = (flags or {}).get(setting.name)
            source = setting.flag
            if given is None:
                given, source = env.get(setting.env), setting.env
            values[setting.name] = _default(setting) if given is None else _read(setting, given, source)
        settings = cls(values)
        settings._check()
        return settings

    def _check(self) -> None:
        unknown = [name for name in self.values if name not in _BY_NAME]
        if unknown:
            raise ConfigError(f"unknown setting {unknown[0]}")
        if not self.on_loopback and not self.admin_key:
            raise ConfigError(
                f"refusing to listen on {self.host} without a key: everyone who reaches it could read your data",
                "set SPANHOUSE_ADMIN_KEY to a long random string (e.g. the output of `openssl rand -hex 24`), "
                "or listen on 127.0.0.1",
            )
        self.origins  # noqa: B018 - read here so that a mistake is told at the start
        if self.admin_key and len(self.admin_key) < 16:
            raise ConfigError("SPANHOUSE_ADMIN_KEY is shorter than 16 characters", "use `openssl rand -hex 24`")

    def add_upstreams(self, words: Sequence[str]) -> None:
        """Add ``name=url`` words to ``proxy_upstreams``; raise ``ConfigError`` for what is neither."""
        if not words:
            return
        try:
            upstreams = json.loads(self.proxy_upstreams or "{}")
            upstreams.update(dict(word.split("=", 1) for word in words))
        except (ValueError, AttributeError):
            raise ConfigError(
                "an upstream of the proxy is not name=url", "for example openai=http://127.0.0.1:9000"
            ) from None
        self.values["proxy_upstreams"] = json.dumps(upstreams)

    @property
    def on_loopback(self) -> bool:
        """Tell whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the web origins in ``allowed_origins``; raise ``ConfigError`` for what is none."""
        origins = tuple(word.strip().lower().rstrip("/") for word in self.allowed_origins.split(",") if word.strip())
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(f"{origin!r} is no web origin", "write https://app.example.com, with a port if any")
        return origins

    @property
    def keys_required(self) -> bool:
        """Tell whether requests must carry a key."""
        return bool(self.require_keys) or not self.on_loopback

    @property
    def columnar_dsn(self) -> str:
        """Return the DSN of the columnar store, the embedded one by default."""
        return self.store_dsn or f"chdb://{Path(self.data_dir).resolve() / 'columnar'}"

    @property
    def records_url(self) -> str:
        """Return the DSN of the records store, SQLite by default."""
        return self.records_dsn or f"sqlite:///{Path(self.data_dir).resolve() / 'records.db'}"


def settings_markdown() -> str:
    """Return ``docs/settings.md``: the table of settings for people."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable and a flag of `spanhouse serve`; a flag wins.",
        "This page is generated: `spanhouse settings --markdown > docs/settings.md`.",
        "",
        "| variable | flag | default | unit | meaning |",
        "|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        default = str(setting.default)
        choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
        shown = f"`{default}`" if default else "empty"
        lines.append(f"| `{setting.env}` | `{setting.flag}` | {shown} | {setting.unit} | {setting.help}{choices} |")
    return "\n".join(lines) + "\n"


def _default(setting: Setting) -> Any:
    return Path(setting.default) if setting.type == "path" else setting.default


def _read(setting: Setting, given: Any, source: str) -> Any:
    try:
        value = _convert(setting, given)
    except ValueError as error:
        raise ConfigError(f"{source}={given!r} is not a valid {setting.type}: {error}", setting.help) from None
    if setting.choices and value not in setting.choices:
        raise ConfigError(f"{source}={given!r} is not one of {', '.join(setting.choices)}", setting.help)
    if setting.minimum is not None and value < setting.minimum:
        raise ConfigError(f"{source}={given!r} is below {setting.minimum}", setting.help)
    if setting.maximum is not None and value > setting.maximum:
        raise ConfigError(f"{source}={given!r} is above {setting.maximum}", setting.help)
    return value


def _convert(setting: Setting, given: Any) -> Any:
    if setting.type == "int":
        return int(given)
    if setting.type == "bool":
        if isinstance(given, bool):
            return given
        if given.lower() in ("1", "true", "yes", "on"):
            return True
        if given.lower() in ("0", "false", "no", "off", ""):
            return False
        raise ValueError("use true or false")
    if setting.type == "path":
        return Path(given)
    return str(given)
