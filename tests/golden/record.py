"""Record the golden payloads: real libraries, real instrumentations, a fake provider, exact bytes.

    python -m tests.golden.record                    # everything
    python -m tests.golden.record openai_v2          # the cases whose name contains this

Each environment is a virtual environment of its own under ``--venvs`` (kept between runs). What the
provider truly served is written to ``expected/<case>.json``, so that the tests compare our reading
with the truth and not with itself. CI runs the tests on the committed files; it never records.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fakes.provider import FakeProvider
from tests.golden.environments import NODE_ENVIRONMENTS, environment_node, environment_python, node_versions, versions
from tests.golden.frameworks import LITELLM, RESOURCE, ROWS

HERE = Path(__file__).parent
PAYLOADS, EXPECTED, APPS = HERE / "payloads", HERE / "expected", HERE / "apps"

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
LEGACY = {CONTENT: "true"}
LATEST = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental", CONTENT: "SPAN_ONLY"}
EVENTS = LATEST | {CONTENT: "EVENT_ONLY", "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": "true"}
NOTHING: dict[str, str] = {}
#: MLflow wants a place for what it does not trace, and never asks it anything here.
MLFLOW = RESOURCE | {
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "MLFLOW_EXPERIMENT_ID": "0",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}
#: Its traces are a preview; everything else it would talk to is switched off.
CLAUDE_CODE = RESOURCE | {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_LOG_USER_PROMPTS": "1",
    "OTEL_LOG_TOOL_DETAILS": "1",
    "OTEL_LOG_TOOL_CONTENT": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
}
GENKIT = RESOURCE | {"OTEL_NODE_RESOURCE_DETECTORS": "env"}
LANGSMITH = {
    "LANGSMITH_TRACING": "true",
    "LANGSMITH_TRACING_MODE": "otel",
    "LANGSMITH_API_KEY": "golden",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One recording: which instrumentation watches which scenario, and with what settings."""

    name: str
    environment: str
    instrumentation: str
    app: str
    scenario: str
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Return what of the requests is not kept: a product's own long instructions are not ours to publish."""
        return ("system", "tools", "metadata") if self.environment == "claude_code" else ()


def _cases() -> list[Case]:
    cases: list[Case] = []

    def add(
        prefix: str, environment: str, instrumentation: str, app: str, scenarios: str, settings: dict[str, str]
    ) -> None:
        cases.extend(
            Case(f"{prefix}_{scenario}", environment, instrumentation, app, scenario, settings)
            for scenario in scenarios.split()
        )

    openai, anthropic = "openai_app", "anthropic_app"
    all_openai = "chat stream stream_without_usage tools vision embeddings error"
    all_anthropic = "chat stream thinking tools error"
    add("openai_v2_legacy", "otel", "openai_v2", openai, all_openai, LEGACY)
    add("openai_v2_latest", "otel", "openai_v2", openai, all_openai, LATEST)
    add("openai_v2_events", "otel", "openai_v2", openai, "chat tools stream", EVENTS)
    add("openai_v2_no_content", "otel", "openai_v2", openai, "chat tools", NOTHING)
    add("genai_openai", "genai", "genai_openai", openai, all_openai + " responses", LATEST)
    add("genai_openai_events", "genai", "genai_openai", openai, "chat tools", EVENTS)
    add("genai_anthropic", "genai", "genai_anthropic", anthropic, all_anthropic, LATEST)
    add("anthropic_sdk", "genai", "none", anthropic, "chat tools", LATEST)
    add("openinference_openai", "openinference", "openinference_openai", openai, all_openai + " responses", NOTHING)
    add("openinference_anthropic", "openinference", "openinference_anthropic", anthropic, all_anthropic, NOTHING)
    for watcher in ("openinference_langchain", "openllmetry_langchain"):
        add(watcher, "langchain", watcher, "langchain_app", "agent retriever stream error", NOTHING)
    add("openllmetry_openai", "openllmetry", "openllmetry_openai", openai, all_openai, NOTHING)
    add("openllmetry_old_openai", "openllmetry_old", "openllmetry_openai", openai, "chat tools stream", NOTHING)
    add("openllmetry_old_anthropic", "openllmetry_old", "openllmetry_anthropic", anthropic, "chat tools", NOTHING)
    add("openinference_old_anthropic", "openinference_old", "openinference_anthropic", anthropic, "chat tools", NOTHING)
    add("openllmetry_anthropic", "openllmetry", "openllmetry_anthropic", anthropic, all_anthropic, NOTHING)
    common = "chat stream tools vision embeddings error responses"
    add("langfuse", "langfuse", "own", "langfuse_app", common + " agent", RESOURCE)
    add("logfire", "logfire", "own", "logfire_app", common + " stream_without_usage feedback", RESOURCE)
    add(
        "logfire",
        "logfire",
        "own",
        "logfire_app",
        "anthropic_chat anthropic_thinking anthropic_tools anthropic_stream anthropic_request_stream",
        RESOURCE,
    )
    add(
        "logfire_sdk",
        "logfire_sdk",
        "own",
        "logfire_app",
        "chat stream tools responses anthropic_chat anthropic_stream anthropic_request_stream",
        RESOURCE,
    )
    add("pydantic_ai", "pydantic_ai", "own", "pydantic_ai_app", "chat tools stream vision error", NOTHING)
    add("pydantic_ai", "pydantic_ai", "own", "pydantic_ai_app", "anthropic_chat anthropic_thinking", NOTHING)
    add("pydantic_ai_v2", "pydantic_ai", "own", "pydantic_ai_app", "tools vision", {"GOLDEN_FORMAT": "2"})
    add("pydantic_ai_v6", "pydantic_ai", "own", "pydantic_ai_app", "tools", {"GOLDEN_FORMAT": "6"})
    add("mlflow", "mlflow", "own", "mlflow_app", common + " agent anthropic_chat", MLFLOW)
    add("langsmith", "langsmith", "own", "langsmith_app", "chat stream tools vision error anthropic_chat", LANGSMITH)
    add("langsmith", "langsmith", "own", "langsmith_app", "responses pipeline", LANGSMITH)
    add("langsmith", "langchain", "own", "langsmith_app", "langchain", LANGSMITH)
    for generation in ("legacy", "latest"):
        environment = f"vercel_{generation}"
        scenarios = common + " anthropic_chat" + (" object" if generation == "legacy" else "")
        add(environment, environment, generation, "vercel_app", scenarios, NOTHING)
    unfailing = all_openai.removesuffix(" error")  # it never ends the span of a call that fails
    add("openinference_js", "openinference_js", "openinference_js", "openai_app", unfailing + " responses", NOTHING)
    add("otel_js", "otel_js", "own", "otel_js_app", all_openai + " responses", NOTHING)
    add("langfuse_js", "langfuse_js", "langfuse_js", "openai_app", all_openai + " responses", NOTHING)
    add("claude_code", "claude_code", "own", "claude_code_app", "chat agent", CLAUDE_CODE)
    add("genkit", "genkit", "own", "genkit_app", "chat stream vision embeddings error agent", GENKIT)
    add("openllmetry_chroma", "chroma", "chroma", "chroma_app", "retriever", RESOURCE)
    add("engines", "engines", "own", "engines_app", "vllm_chat sglang_chat", RESOURCE)
    gateway = "chat stream stream_without_usage tools embeddings error responses responses_stream fallback cache_hit"
    gateway += " anthropic_chat anthropic_stream anthropic_tools anthropic_error anthropic_bridged responses_bridged"
    gateway += " watched watched_joined"
    for version, settings in (("litellm_proxy", NOTHING), ("litellm_proxy_v2", LATEST | {"LITELLM_OTEL_V2": "true"})):
        add(version, "litellm_proxy", "own", "litellm_proxy_app", gateway, RESOURCE | LITELLM | settings)
    newest = "chat stream tools embeddings anthropic_chat"
    add("litellm_proxy_latest", "litellm_proxy", "own", "litellm_proxy_app", newest, RESOURCE | LITELLM | LATEST)
    for row in ROWS:
        add(*row)
    return cases


CASES = _cases()


class Capture(ThreadingHTTPServer):
    """An OTLP receiver that keeps every body as it came, after gzip."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the endpoint to export to."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Capture

    def do_POST(self) -> None:
        body = b"".join(self._pieces())
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        signal = self.path.rpartition("/")[2]
        if signal in ("traces", "logs"):  # vendors' clients also ask for other things
            self.server.bodies.append((signal, body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _pieces(self) -> Iterator[bytes]:
        """Yield the body: at once where its length is told, else piece by piece (Node's exporter)."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers["Content-Length"]))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def do_GET(self) -> None:
        """Answer the questions vendors' clients ask about their credentials."""
        body = b'{"project_name": "golden", "project_url": "http://127.0.0.1/golden"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def anonymous(case: Case, python: Path, body: bytes) -> bytes:
    """Return a body without what tells of this machine.

    Some emitters name its kernel, whatever they are told, and stack traces where libraries lie.
    """
    home = python.parent if case.environment in NODE_ENVIRONMENTS else python.parents[2]
    return without(body, platform.release(), str(home), sys.base_prefix)


def truth_of(provider: FakeProvider) -> list[dict[str, Any]]:
    """Return what the provider served, but for the headers."""
    return [{key: value for key, value in asdict(served).items() if key != "headers"} for served in provider.served]


def record(case: Case, python: Path, provider: FakeProvider) -> None:
    """Run a case and write its bodies and the truth about it.

    ``python`` is the interpreter of its environment, or the folder of a Node environment.
    """
    provider.forget()
    capture = Capture()
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        shutil.copytree(APPS, folder, dirs_exist_ok=True)
        run(case, python, provider, capture, Path(folder))
    capture.shutdown()
    target = PAYLOADS / case.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for number, (signal, body) in enumerate(capture.bodies, 1):
        (target / f"{number}-{signal}.pb").write_bytes(anonymous(case, python, body))
    EXPECTED.mkdir(exist_ok=True)
    truth = truth_of(provider)
    for served in truth:
        served["request"] = {key: value for key, value in served["request"].items() if key not in case.left_out}
    (EXPECTED / f"{case.name}.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n")
    print(f"{case.name}: {len(capture.bodies)} bodies, {sum(len(body) for _, body in capture.bodies)} bytes")


def run(case: Case, python: Path, provider: FakeProvider, capture: Capture, folder: Path) -> None:
    """Run a case's app in the folder it was put into, between the provider and what captures its telemetry."""
    environ = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OTEL_", "OPENAI_", "ANTHROPIC_", "GOOGLE_"))
    }
    environ |= {
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": provider.openai_url,
        "ANTHROPIC_API_KEY": "none",
        "ANTHROPIC_BASE_URL": provider.url,
        "GOOGLE_API_KEY": "none",
        "GOOGLE_GEMINI_BASE_URL": provider.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": capture.url,
        "LANGSMITH_TRACING": "false",
    } | case.settings
    command = [python, "run.py", case.instrumentation, case.app, case.scenario]
    if case.environment in NODE_ENVIRONMENTS:
        (folder / "node_modules").symlink_to(python / "node_modules")
        command = ["node", f"{case.app}.mjs", case.instrumentation, case.scenario]
    subprocess.run(command, cwd=folder, env=environ, check=True, timeout=300)


def without(body: bytes, *names: str) -> bytes:
    """Return a body with zeros in place of names of this machine, as many, since their length is written before."""
    for name in names:
        body = body.replace(name.encode(), b"0" * len(name))
    return body


def main() -> None:
    """Record the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wanted", nargs="*", help="record only cases whose name contains one of these")
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "spanhouse-golden-venvs")
    arguments = parser.parse_args()
    wanted = arguments.wanted or [""]
    used: dict[str, dict[str, str]] = {}
    with FakeProvider() as provider:
        for case in CASES:
            if any(part in case.name for part in wanted):
                if case.environment in NODE_ENVIRONMENTS:
                    environment = environment_node(arguments.venvs, case.environment)
                    used[case.environment] = node_versions(environment)
                else:
                    environment = environment_python(arguments.venvs, case.environment)
                    used[case.environment] = versions(environment)
                record(case, environment, provider)
    path = HERE / "versions.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | used, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
