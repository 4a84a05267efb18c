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
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fakes.provider import FakeProvider

HERE = Path(__file__).parent
PAYLOADS, EXPECTED, APPS = HERE / "payloads", HERE / "expected", HERE / "apps"

EXPORTER = "opentelemetry-exporter-otlp-proto-http==1.45.2"
CLIENTS = ["openai==3.54.0", "anthropic==2.12.0", EXPORTER]
ENVIRONMENTS: dict[str, list[str]] = {
    # Written for the clients of its time: later ones no longer bring httpx, which it imports.
    "otel": [
        "openai==2.54.0",
        EXPORTER,
        "opentelemetry-instrumentation-openai-v2==2.4b0",
        "opentelemetry-util-genai==0.4b0",
    ],
    "genai": [
        *CLIENTS,
        "opentelemetry-instrumentation-genai-openai==1.3b0",
        "opentelemetry-instrumentation-genai-anthropic==1.3b0",
    ],
    "openinference": [
        *CLIENTS,
        "openinference-instrumentation-openai==0.1.66",
        "openinference-instrumentation-anthropic==3.1.0",
        "openinference-instrumentation-langchain==0.1.80",
        "langchain==1.4.7",
        "langchain-openai==1.7.3",
    ],
    "openllmetry": [
        *CLIENTS,
        "opentelemetry-instrumentation-openai==0.62.4",
        "opentelemetry-instrumentation-anthropic==0.62.4",
    ],
    # The generations before: flattened prompts, and Anthropic input without its cached part.
    "openllmetry_old": [
        "openai==1.109.1",
        "anthropic==0.49.0",
        "opentelemetry-exporter-otlp-proto-http==1.33.1",
        "opentelemetry-instrumentation-openai==0.40.14",
        "opentelemetry-instrumentation-anthropic==0.40.14",
    ],
    "openinference_old": [
        "anthropic==0.49.0",
        EXPORTER,
        "openinference-instrumentation-anthropic==0.1.14",
        "wrapt==1.17.3",
    ],
}
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
LEGACY = {CONTENT: "true"}
LATEST = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental", CONTENT: "SPAN_ONLY"}
EVENTS = LATEST | {CONTENT: "EVENT_ONLY", "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": "true"}
NOTHING: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One recording: which instrumentation watches which scenario, and with what settings."""

    name: str
    environment: str
    instrumentation: str
    app: str
    scenario: str
    settings: dict[str, str] = field(default_factory=dict)


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
    add(
        "openinference_langchain",
        "openinference",
        "openinference_langchain",
        "langchain_app",
        "agent retriever",
        NOTHING,
    )
    add("openllmetry_openai", "openllmetry", "openllmetry_openai", openai, all_openai, NOTHING)
    add("openllmetry_old_openai", "openllmetry_old", "openllmetry_openai", openai, "chat tools stream", NOTHING)
    add("openllmetry_old_anthropic", "openllmetry_old", "openllmetry_anthropic", anthropic, "chat tools", NOTHING)
    add("openinference_old_anthropic", "openinference_old", "openinference_anthropic", anthropic, "chat tools", NOTHING)
    add("openllmetry_anthropic", "openllmetry", "openllmetry_anthropic", anthropic, all_anthropic, NOTHING)
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
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append((self.path.rpartition("/")[2], body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def environment_python(venvs: Path, name: str) -> Path:
    """Return the interpreter of an environment, made and filled on first use."""
    python = venvs / name / "bin" / "python"
    marker = venvs / name / "requirements.json"
    wanted = json.dumps(ENVIRONMENTS[name])
    if not marker.exists() or marker.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", venvs / name], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", *ENVIRONMENTS[name]], check=True, stderr=subprocess.DEVNULL
        )
        marker.write_text(wanted)
    return python


def versions(python: Path) -> dict[str, str]:
    """Return what is installed, by name."""
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True).stdout
    return {package["name"]: package["version"] for package in json.loads(listed)}


def record(case: Case, python: Path, provider: FakeProvider) -> None:
    """Run a case and write its bodies and the truth about it."""
    provider.forget()
    capture = Capture()
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OPENAI_", "ANTHROPIC_"))
    }
    environ |= case.settings | {
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": provider.openai_url,
        "ANTHROPIC_API_KEY": "none",
        "ANTHROPIC_BASE_URL": provider.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": capture.url,
        "LANGSMITH_TRACING": "false",
    }
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        shutil.copytree(APPS, folder, dirs_exist_ok=True)
        command = [python, "run.py", case.instrumentation, case.app, case.scenario]
        subprocess.run(command, cwd=folder, env=environ, check=True, timeout=120)
    capture.shutdown()
    target = PAYLOADS / case.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for number, (signal, body) in enumerate(capture.bodies, 1):
        (target / f"{number}-{signal}.pb").write_bytes(body)
    EXPECTED.mkdir(exist_ok=True)
    truth = [{key: value for key, value in asdict(served).items() if key != "headers"} for served in provider.served]
    (EXPECTED / f"{case.name}.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n")
    print(f"{case.name}: {len(capture.bodies)} bodies, {sum(len(body) for _, body in capture.bodies)} bytes")


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
                python = environment_python(arguments.venvs, case.environment)
                used[case.environment] = versions(python)
                record(case, python, provider)
    path = HERE / "versions.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | used, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
