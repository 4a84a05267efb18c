"""The upstreams by name: well-known providers, the operator's own, and targets named by a header."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from spanhouse_collector.errors import ConfigError, ForbiddenTarget, Refused, UnknownUpstream

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_SLASHES = re.compile(rb"[/\\]")
_LABEL = re.compile(rb"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,251}[a-z0-9])?\.?|\[[0-9a-f:.]+\]")

#: Name -> base URL. Clients put what follows the host of the provider's own base URL behind the name.
WELL_KNOWN = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "mistral": "https://api.mistral.ai",
    "groq": "https://api.groq.com",
    "deepseek": "https://api.deepseek.com",
    "openrouter": "https://openrouter.ai",
    "together": "https://api.together.xyz",
    "fireworks": "https://api.fireworks.ai",
    "cohere": "https://api.cohere.com",
    "xai": "https://api.x.ai",
    "perplexity": "https://api.perplexity.ai",
    "cerebras": "https://api.cerebras.ai",
    "deepinfra": "https://api.deepinfra.com",
    "nvidia": "https://integrate.api.nvidia.com",
    "huggingface": "https://router.huggingface.co",
    "voyage": "https://api.voyageai.com",
    "jina": "https://api.jina.ai",
    "moonshot": "https://api.moonshot.ai",
    "chatgpt": "https://chatgpt.com",
}
#: Providers whose host holds a name of the customer: it is the path's next part, ``/azure/my-resource/…``.
BY_PLACE = {
    "azure": "https://{}.openai.azure.com",
    "vertex": "https://{}-aiplatform.googleapis.com",
    "bedrock": "https://bedrock-runtime.{}.amazonaws.com",
}
PLACES = {"azure": "resource", "vertex": "location", "bedrock": "region"}
#: Engines that run on the operator's machines: known by name, reachable only when configured.
LOCAL_ENGINES = {
    "ollama": "http://127.0.0.1:11434",
    "vllm": "http://127.0.0.1:8000",
    "sglang": "http://127.0.0.1:30000",
    "tgi": "http://127.0.0.1:8080",
    "trtllm": "http://127.0.0.1:8000",
}
ALIASES = {"google": "gemini", "azure-openai": "azure", "azure_openai": "azure", "trt-llm": "trtllm"}


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where calls go. ``base_path`` has no slash at its end; ``trusted`` is set by the operator only.

    A trusted upstream may lie on loopback or in a private network.
    """

    name: str
    scheme: str
    host: str
    port: int
    base_path: bytes
    host_header: bytes
    trusted: bool = False

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"{self.scheme}://{self.host_header.decode()}{self.base_path.decode('latin-1')}"

    @property
    def key(self) -> tuple[str, str, int, bool]:
        """Return what connections to this upstream may be shared by."""
        return (self.scheme, self.host, self.port, self.trusted)


@dataclass(frozen=True, slots=True)
class Route:
    """An upstream and the path below it, as sent (``rest`` begins with a slash)."""

    upstream: Upstream
    rest: bytes

    @property
    def path(self) -> bytes:
        """Return the path to ask the upstream for."""
        return self.upstream.base_path + self.rest


def parse_upstream(name: str, url: str, *, trusted: bool) -> Upstream:
    """Read a base URL; raise ``ConfigError`` saying what is wrong with it."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the upstream {name} has no usable URL: {error}") from None
    host = (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(shown):
        raise ConfigError(f"the upstream {name} needs an http or https URL", "for example openai=http://127.0.0.1:9000")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"the URL of the upstream {name} holds a user or password", "let clients send their own key")
    if parts.query or parts.fragment or not parts.path.isascii():
        raise ConfigError(f"the URL of the upstream {name} is more than a base URL", "leave query and fragment out")
    usual = 443 if parts.scheme == "https" else 80
    host_header = shown if port in (None, usual) else f"{shown}:{port}"
    base_path = parts.path.rstrip("/").encode()
    return Upstream(name, parts.scheme, host, port or usual, base_path, host_header.encode(), trusted)


class Upstreams:
    """Finds the upstream of a path. ``configured`` adds to the well-known ones or replaces them."""

    def __init__(self, configured: Mapping[str, str] | None = None, target_hosts: Sequence[str] = ()) -> None:
        self._by_name = {name: parse_upstream(name, url, trusted=False) for name, url in WELL_KNOWN.items()}
        for name, url in (configured or {}).items():
            if not _NAME.fullmatch(name):
                raise ConfigError(f"{name!r} is no upstream name", "use lower-case letters, digits and . _ -")
            self._by_name[name] = parse_upstream(name, url, trusted=True)
        self._by_path = {name.encode(): upstream for name, upstream in self._by_name.items()}
        self._target_hosts = tuple(host.strip().lower() for host in target_hosts if host.strip())
        self._by_origin = {
            (upstream.scheme, upstream.host, upstream.port): upstream for upstream in self._by_name.values()
        }

    def names(self) -> list[str]:
        """Return every name that a path may begin with."""
        return sorted({*self._by_name, *BY_PLACE})

    def get(self, name: str) -> Upstream | None:
        """Return the upstream of that name."""
        return self._by_name.get(name)

    def route(self, raw_path: bytes) -> Route:
        """Return where ``/{name}/…`` goes; raise ``UnknownUpstream`` or ``Refused``.

        What the operator configured with a path is reached below that path only.
        """
        name, slash, rest = raw_path[1:].partition(b"/")
        upstream = self._by_path.get(name)
        if upstream is not None:
            return _below(upstream, slash + rest or b"/")
        return self._unusual(name.decode("latin-1"), rest)

    def _unusual(self, name: str, rest: bytes) -> Route:
        name = ALIASES.get(name, name)
        if name in BY_PLACE and name not in self._by_name:
            return self._by_place(name, rest)
        if name in self._by_name:
            return _below(self._by_name[name], b"/" + rest)
        if name in LOCAL_ENGINES:
            raise UnknownUpstream(
                f"the upstream {name} is not configured",
                f"start with --proxy-upstream {name}={LOCAL_ENGINES[name]} (or where it runs)",
            )
        raise UnknownUpstream(
            f"no upstream is called {name[:64]!r}",
            f"known are {', '.join(self.names())}; add yours with --proxy-upstream name=url",
        )

    def _by_place(self, name: str, rest: bytes) -> Route:
        place, slash, below = rest.partition(b"/")
        if not _LABEL.fullmatch(place):
            raise Refused(
                f"the path names no {PLACES[name]}", f"use /proxy/{name}/<{PLACES[name]}>/… as the client's base URL"
            )
        label = place.decode()
        url = BY_PLACE[name].format(label)
        if name == "vertex" and label == "global":
            url = "https://aiplatform.googleapis.com"
        return Route(parse_upstream(name, url, trusted=False), slash + below or b"/")

    def target(self, url: str) -> Upstream:
        """Return the upstream of a target-URL header; raise ``ForbiddenTarget`` for hosts not allowed.

        An origin that is an upstream already is that upstream. Others must be on the operator's list,
        and are reached on public addresses only.
        """
        try:
            upstream = parse_upstream("target", url, trusted=False)
        except ConfigError as error:
            raise Refused(f"the target URL cannot be used: {error.message}", error.hint) from None
        known = self._by_origin.get((upstream.scheme, upstream.host, upstream.port))
        if known is not None:
            return Upstream(
                known.name, known.scheme, known.host, known.port, upstream.base_path, known.host_header, known.trusted
            )
        if not any(_matches(upstream.host, allowed) for allowed in self._target_hosts):
            raise ForbiddenTarget(
                f"the host {upstream.host} is not one the operator allowed as a target",
                "set SPANHOUSE_PROXY_TARGET_HOSTS to the hosts that may be asked, e.g. api.example.com,*.example.org",
            )
        return upstream


def _below(upstream: Upstream, rest: bytes) -> Route:
    if upstream.base_path and climbs(rest):
        raise ForbiddenTarget(
            f"the path leaves the base URL of the upstream {upstream.name}",
            "ask for a path below the base URL, without .. in it",
        )
    return Route(upstream, rest)


def climbs(path: bytes) -> bool:
    """Tell whether a path, read as leniently as any server may, leads out of where it begins."""
    if b"." not in path and b"%" not in path:
        return False
    depth = 0
    for part in _SLASHES.split(unquote_to_bytes(unquote_to_bytes(path))):
        if part.partition(b";")[0] == b"..":
            depth -= 1
            if depth < 0:
                return True
        elif part not in (b"", b"."):
            depth += 1
    return False


def _matches(host: str, allowed: str) -> bool:
    """Tell whether a host is the allowed one, or below it where that begins with ``*.``."""
    if allowed.startswith("*."):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host.endswith(allowed[1:]) and len(host) > len(allowed) - 1
        return False
    return host == allowed
