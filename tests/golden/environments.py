"""The environments recordings are made in: isolated, with pinned packages, made on first use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.golden.frameworks import ENVIRONMENTS as FRAMEWORK_ENVIRONMENTS

EXPORTER = "opentelemetry-exporter-otlp-proto-http==1.45.2"
CLIENTS = ["openai==3.54.0", "anthropic==2.12.0", EXPORTER]
#: LangChain with all that builds on its core, each named since the core is installed without its requirements.
LANGCHAIN = [
    "langchain==1.5.0",
    "langchain-core==1.8.2",
    "langchain-openai==1.7.4",
    "langgraph==1.2.22",
    "langgraph-checkpoint==4.3.2",
    "langgraph-prebuilt==1.1.2",
    "langgraph-sdk==0.4.14",
]
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
    "langfuse": ["langfuse==5.0.4", "openai==3.54.0", EXPORTER],
    "logfire": ["logfire==5.2.0", *CLIENTS],
    "logfire_sdk": ["logfire-sdk==5.4.0", *CLIENTS],  # the same, by its name of today
    "pydantic_ai": ["pydantic-ai-slim[openai,anthropic]==2.68.0", *CLIENTS],
    "mlflow": ["mlflow-tracing==3.17.2", *CLIENTS],
    "chroma": ["chromadb==1.5.9", "opentelemetry-instrumentation-chromadb==0.62.4", EXPORTER],
    "engines": [
        "openai==2.54.0",
        "msgspec==0.22.0",
        EXPORTER,
        "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
        "opentelemetry-instrumentation-openai-v2==2.4b0",
        "opentelemetry-util-genai==0.4b0",
    ],
    # What its images add: the releases of OpenTelemetry that LiteLLM names for running the gateway.
    "litellm_proxy": [
        "litellm[proxy]==1.109.1",
        "opentelemetry-sdk==1.45.1",
        "opentelemetry-exporter-otlp-proto-http==1.45.1",
        "opentelemetry-instrumentation-fastapi==0.66b1",
        "opentelemetry-instrumentation-genai-openai==1.3b0",
    ],
    "langsmith": ["langsmith==0.15.0", *CLIENTS],
    # One environment for all that watch LangChain; a recording switches one of them on.
    "langchain": [
        *LANGCHAIN,
        *CLIENTS,
        "langsmith==0.15.0",
        "openinference-instrumentation-langchain==0.1.80",
        "opentelemetry-instrumentation-langchain==0.62.4",
    ],
    **FRAMEWORK_ENVIRONMENTS,
}
#: Packages of an environment that require releases of others that some indexes have not (litellm, Haystack, Logfire
#: and LangChain's core want certifi of a day later), and what requires these packages in its turn: they are installed
#: without, and what they require with whatever release there is.
UNMET: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "litellm": (("litellm",), ("certifi",)),
    "litellm_proxy": (("litellm[proxy]",), ("certifi", "litellm-proxy-extras", "litellm-enterprise")),
    "haystack": (("haystack-ai",), ("certifi",)),
    "logfire_sdk": (("logfire-sdk",), ("certifi",)),
    "langchain": (tuple(package.partition("==")[0] for package in LANGCHAIN), ("certifi",)),
}
#: Packages of an environment that are installed alone: of a serving engine only its tracing is used, not what computes.
ALONE = {"engines": ["vllm==0.33.0", "sglang==0.5.23"]}
NODE_TELEMETRY = [
    "@opentelemetry/api@1.9.1",
    "@opentelemetry/exporter-trace-otlp-proto@0.223.1",
    "@opentelemetry/sdk-trace-node@2.12.0",
    "zod@4.6.7",
]
#: Environments of Node, installed with npm.
NODE_ENVIRONMENTS: dict[str, list[str]] = {
    "vercel_legacy": ["ai@6.0.326", "@ai-sdk/openai@3.0.141", "@ai-sdk/anthropic@3.0.139", *NODE_TELEMETRY],
    "genkit": [
        "genkit@1.42.0",
        "@genkit-ai/compat-oai@1.42.0",
        "@opentelemetry/exporter-trace-otlp-proto@0.52.1",
        "@opentelemetry/sdk-trace-base@1.25.1",
    ],
    "openinference_js": [
        "openai@7.57.0",
        "@arizeai/openinference-instrumentation-openai@4.2.7",
        *NODE_TELEMETRY,
    ],
    # The newest client it watches, and the SDK of OpenTelemetry's third generation.
    "otel_js": [
        "openai@6.49.0",
        "@opentelemetry/instrumentation-openai@0.22.0",
        "@opentelemetry/api@1.10.0",
        *(f"@opentelemetry/{name}@3.1.1" for name in ("context-async-hooks", "resources", "sdk-logs", "sdk-trace")),
        "@opentelemetry/exporter-trace-otlp-proto@0.301.1",
        "@opentelemetry/exporter-logs-otlp-proto@0.301.0",
    ],
    "langfuse_js": [
        "openai@7.57.0",
        *(f"@langfuse/{name}@5.11.1" for name in ("openai", "otel", "tracing")),
        *NODE_TELEMETRY,
    ],
    "claude_code": ["@anthropic-ai/claude-code@2.1.197"],
    "vercel_latest": [
        *("ai@7.0.173", "@ai-sdk/openai@4.0.118", "@ai-sdk/anthropic@4.0.105", "@ai-sdk/otel@1.0.173"),
        *NODE_TELEMETRY,
    ],
}
_NAME = re.compile(r"[\w.-]+")
_LIST_REQUIREMENTS = """
import sys
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement
wanted = Requirement(sys.argv[1])
for text in requires(wanted.name) or []:
    requirement = Requirement(text)
    marker = requirement.marker
    if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
        requirement.marker = None
        print(requirement)
"""


def environment_python(venvs: Path, name: str) -> Path:
    """Return the interpreter of an environment, made and filled on first use."""
    python = venvs / name / "bin" / "python"
    marker = venvs / name / "requirements.json"
    wanted = json.dumps(ENVIRONMENTS[name] + ALONE.get(name, []))
    if not marker.exists() or marker.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", venvs / name], check=True)
        requirements, pinned = list(ENVIRONMENTS[name]), []
        if name in UNMET:
            packages, unmet = UNMET[name]
            pinned = [each for each in requirements if each.partition("==")[0] in packages]
            _pip(python, "--no-deps", *pinned)
            told = {_NAME.match(each)[0] for each in (*packages, *unmet)}
            required = [each for package in packages for each in _requirements(python, package)]
            requirements = [each for each in requirements if each not in pinned]
            requirements += [each for each in required if _NAME.match(each)[0] not in told]
            requirements += unmet
        _pip(python, *requirements)
        if pinned:  # pip may have taken another release, for what builds on it
            _pip(python, "--no-deps", *pinned)
        if name in ALONE:
            _pip(python, "--no-deps", *ALONE[name])
        marker.write_text(wanted)
    return python


def environment_node(folder: Path, name: str) -> Path:
    """Return the folder of a Node environment, made and filled on first use."""
    target = folder / name
    marker = target / "requirements.json"
    wanted = json.dumps(NODE_ENVIRONMENTS[name])
    if not marker.exists() or marker.read_text() != wanted:
        target.mkdir(parents=True, exist_ok=True)
        (target / "package.json").write_text('{"private": true}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--save-exact", *NODE_ENVIRONMENTS[name]]
        subprocess.run(command, cwd=target, check=True, stdout=subprocess.DEVNULL)
        marker.write_text(wanted)
    return target


def node_versions(folder: Path) -> dict[str, str]:
    """Return what npm installed, by name."""
    installed = json.loads((folder / "node_modules" / ".package-lock.json").read_text())["packages"]
    return {path.rpartition("node_modules/")[2]: package["version"] for path, package in sorted(installed.items())}


def versions(python: Path) -> dict[str, str]:
    """Return what is installed, by name."""
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True).stdout
    return {package["name"]: package["version"] for package in json.loads(listed)}


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "-q", *arguments], check=True, stderr=subprocess.DEVNULL)


def _requirements(python: Path, package: str) -> list[str]:
    """Return what an installed package requires here, without its extras."""
    listed = subprocess.run([python, "-c", _LIST_REQUIREMENTS, package], check=True, capture_output=True, text=True)
    return listed.stdout.splitlines()
