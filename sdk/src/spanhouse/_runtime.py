"""``init``, ``flush`` and ``shutdown``: puts the parts together and takes them down again."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling

from spanhouse import _logs, _scores, _settings
from spanhouse._content import ContentPolicy, Mask
from spanhouse._instrument import instrument_installed, remember_capture
from spanhouse._log import logger
from spanhouse._processor import SpanhouseProcessor, encode_span_batch, new_resource, span_complaint
from spanhouse._sender import Lane, Limits, Sender, Stats
from spanhouse._state import STATE
from spanhouse._transport import Transport
from spanhouse._version import __version__

EXIT_TIMEOUT_S = 5.0
#: OpenTelemetry keeps 128 attributes and drops the oldest, so a long conversation in OpenInference's
#: flattened form would lose its model and session first.
SPAN_ATTRIBUTE_LIMIT = 10_000

# Re-entrant: a signal handler may call `shutdown` while `init` or `shutdown` runs on the same thread.
_lock = threading.RLock()
_hooked_providers: list[Any] = []
_own_provider: list[TracerProvider] = []


@dataclass(frozen=True)
class Handle:
    """What ``init`` set up. ``instrumented`` names each library and the distribution that traces it."""

    endpoint: str
    tracer_provider: Any
    instrumented: dict[str, str] = field(default_factory=dict)

    @property
    def stats(self) -> Stats:
        """Return counts of what was sent and dropped so far."""
        return STATE.sender.stats if STATE.sender else Stats()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything recorded so far is sent; tell whether it is."""
        return flush(timeout_s)

    def shutdown(self, timeout_s: float = EXIT_TIMEOUT_S) -> bool:
        """Send what is left and stop recording."""
        return shutdown(timeout_s)


_handle: Handle | None = None


def init(
    endpoint: str | None = None,
    api_key: str | None = None,
    service_name: str | None = None,
    project: str | None = None,
    environment: str | None = None,
    release: str | None = None,
    capture_content: bool | None = None,
    mask: Mask | None = None,
    instrument: bool | Iterable[str] = True,
    sample_rate: float | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Handle:
    """Start recording and sending. Calling it again while it is in force changes nothing.

    ``endpoint``: base address of the Spanhouse server, by default http://127.0.0.1:4318.
    ``api_key``, ``project``: needed where the server asks for keys; the key names the project.
    ``service_name``, ``environment``, ``release``: shown with every trace and usable in filters.
    ``capture_content``: ``False`` keeps prompts, answers, arguments and results from leaving.
    ``mask``: called with attribute name and value of everything that is content; returns what to send.
    ``instrument``: ``True`` for every installed GenAI instrumentation, a list of library names, or ``False``.
    ``sample_rate``: share of traces to record, 0 to 1.
    ``headers``: further HTTP headers. ``timeout_s``: of one request.
    Every argument but ``mask`` and ``instrument`` can come from ``SPANHOUSE_…`` variables instead.
    """
    global _handle
    with _lock:
        if _handle is not None:
            logger.debug("init was called again; the first call stays in force")
            return _handle
        settings = _settings.resolve(
            endpoint,
            api_key,
            service_name,
            project,
            environment,
            release,
            capture_content,
            sample_rate,
            headers,
            timeout_s,
        )
        if _settings.is_disabled():
            logger.info("OTEL_SDK_DISABLED is set: nothing is recorded")
            return Handle(settings.endpoint, trace.get_tracer_provider())
        provider = _activate(settings, mask)
        _handle = Handle(settings.endpoint, provider)
        # Also without `instrument`: the application may switch instrumentations on by itself.
        logger_provider = _logs.install()
        if instrument is not False:
            wanted = None if instrument is True else list(instrument)
            _handle.instrumented.update(instrument_installed(wanted, provider, logger_provider))
        return _handle


def _activate(settings: _settings.Settings, mask: Mask | None) -> Any:
    sender = Sender(
        lambda: Transport(
            {"user-agent": f"spanhouse-python/{__version__}", **settings.headers},
            settings.timeout_s,
            settings.verify,
            settings.cert,
        ),
        _limits(),
    )
    batch = int(_settings.number_setting("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512))
    protobuf = "application/x-protobuf"
    STATE.lanes = {
        "spans": Lane("spans", settings.traces_url, protobuf, encode_span_batch, batch, span_complaint),
        "logs": Lane("log records", settings.logs_url, protobuf, _logs.encode_log_batch, batch),
        "scores": Lane(
            "scores", settings.scores_url, "application/json", _scores.encode_scores, 100, all_or_nothing=True
        ),
    }
    STATE.settings = settings
    STATE.sender = sender
    STATE.policy = ContentPolicy(settings.capture_content, mask)
    STATE.capture = settings.capture_content
    remember_capture(settings.capture_content)
    provider = _provider(settings)
    tracer: Any = provider.get_tracer("spanhouse", __version__)
    STATE.tracer = tracer
    if not STATE.sampler_decides and isinstance(getattr(tracer, "sampler", None), sampling.Sampler):
        # Decorators and context managers decide before a span exists, which is much cheaper for those
        # that are not recorded; here it remains to follow that decision.
        tracer.sampler = sampling.ALWAYS_ON
    STATE.active = True
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    return provider


def _provider(settings: _settings.Settings) -> Any:
    """Return the provider to record with: the host's where it has one, else a new global one."""
    existing = trace.get_tracer_provider()
    STATE.sample_rate = 1.0 if settings.sample_rate is None else settings.sample_rate
    own = bool(_own_provider) and existing is _own_provider[0]
    if isinstance(existing, TracerProvider) or hasattr(existing, "add_span_processor"):
        provider: Any = existing
    else:
        sampler = None if os.environ.get("OTEL_TRACES_SAMPLER") else _OwnSampler()
        provider = TracerProvider(sampler, new_resource(), shutdown_on_exit=False, span_limits=_span_limits())
        trace.set_tracer_provider(provider)
        _own_provider[:] = [provider]
        own = True
    environment_decides = settings.sample_rate is None and bool(os.environ.get("OTEL_TRACES_SAMPLER"))
    STATE.sampler_decides = not own or environment_decides
    if not any(hooked is provider for hooked in _hooked_providers):
        provider.add_span_processor(SpanhouseProcessor())
        _hooked_providers.append(provider)
    return provider


class _OwnSampler(sampling.Sampler):
    """Samples roots of automatic instrumentation by the rate in force, also after a second ``init``.

    Tracers keep the sampler object of the day they were made, so that one has to stay the same.
    """

    def should_sample(self, *args: Any, **kwargs: Any) -> sampling.SamplingResult:
        """Follow the parent's decision; decide by trace id where there is none."""
        return sampling.ParentBased(sampling.TraceIdRatioBased(STATE.sample_rate)).should_sample(*args, **kwargs)

    def get_description(self) -> str:
        """Return a name for logs."""
        return f"Spanhouse{{{STATE.sample_rate}}}"


def _span_limits() -> SpanLimits:
    if os.environ.get("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT") or os.environ.get("OTEL_ATTRIBUTE_COUNT_LIMIT"):
        return SpanLimits()
    return SpanLimits(max_span_attributes=SPAN_ATTRIBUTE_LIMIT)


def _limits() -> Limits:
    defaults = Limits()
    number = _settings.number_setting
    return Limits(
        queue_items=int(number("OTEL_BSP_MAX_QUEUE_SIZE", defaults.queue_items)),
        queue_bytes=int(number("SPANHOUSE_QUEUE_MB", defaults.queue_bytes / 1024**2) * 1024**2),
        body_bytes=defaults.body_bytes,
        delay_s=number("OTEL_BSP_SCHEDULE_DELAY", defaults.delay_s * 1000) / 1000,
    )


def flush(timeout_s: float = 10.0) -> bool:
    """Wait until everything recorded so far is sent (or refused); ``False`` when the time is up."""
    sender = STATE.sender
    return True if sender is None else sender.flush(timeout_s)


def shutdown(timeout_s: float = EXIT_TIMEOUT_S) -> bool:
    """Send what is left, within ``timeout_s``, and stop recording; ``init`` may be called again."""
    global _handle
    with _lock:
        sender, _handle = STATE.sender, None
        STATE.active = False
        STATE.sender = None
        finished = True if sender is None else sender.close(timeout_s)
    atexit.unregister(_at_exit)
    return finished


def _at_exit() -> None:
    shutdown(EXIT_TIMEOUT_S)


def _new_lock_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    # Another thread of the parent may have held it.
    os.register_at_fork(after_in_child=_new_lock_in_child)
