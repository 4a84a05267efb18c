"""The environments recordings are made in: isolated, with pinned packages, made on first use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.golden.frameworks import ENVIRONMENTS as FRAMEWORK_ENVIRONMENTS

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
    "litellm_proxy": ["litellm[proxy]==1.109.1", "opentelemetry-sdk==1.45.2", EXPORTER],
    "langsmith": [
        "langsmith==0.15.0",
        "langchain==1.4.7",
        "langchain-openai==1.7.3",
        *CLIENTS,
    ],
    **FRAMEWORK_ENVIRONMENTS,
}
#: A package of an environment that requires releases of others that some indexes have not (litellm, Haystack and
#: Logfire want certifi of a day later): it is installed without, and what it requires with whatever release there is.
UNMET: dict[str, tuple[str, tuple[str, ...]]] = {
    "litellm": ("litellm", ("certifi",)),
    "litellm_proxy": ("litellm[proxy]", ("certifi", "litellm-proxy-extras", "litellm-enterprise")),
    "haystack": ("haystack-ai", ("certifi",)),
    "logfire_sdk": ("logfire-sdk", ("certifi",)),
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
    "claude_code": ["@anthropic-ai/claude-code@2.1.197"],
    "vercel_latest": [
        *("ai@7.0.173", "@ai-sdk/openai@4.0.118", "@ai-sdk/anthropic@4.0.105", "@ai-sdk/otel@1.0.173"),
        *NODE_TELEMETRY,
    ],
}
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
        requirements = list(ENVIRONMENTS[name])
        pinned = ""
        if name in UNMET:
            package, unmet = UNMET[name]
            [pinned] = [each for each in requirements if each.startswith(package)]
            _pip(python, "--no-deps", pinned)
            requirements.remove(pinned)
            requirements += [each for each in _requirements(python, package) if not each.startswith(unmet)]
            requirements += unmet
        _pip(python, *requirements)
        if pinned:  # pip may have taken another release, for what builds on it
            _pip(python, "--no-deps", pinned)
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
