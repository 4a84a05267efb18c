"""Record golden payloads with large images, sound and files: real libraries, a fake provider, exact bytes.

    python -m tests.golden.media.record                    # everything
    python -m tests.golden.media.record openinference      # the cases whose name contains this

As ``tests.golden.record``, with two differences. Payloads are kept as ``pack`` makes them, and in ``expected`` a file
stands as ``{image.png}`` where its base64 was. What Langfuse's SDK uploads beside its spans is kept as a hash.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.fakes.media import NAMES, file
from tests.fakes.provider import FakeProvider
from tests.golden.environments import NODE_ENVIRONMENTS, environment_node, environment_python
from tests.golden.frameworks import LITELLM, RESOURCE
from tests.golden.media.pack import pack
from tests.golden.record import (
    APPS,
    GENKIT,
    LANGSMITH,
    LATEST,
    LEGACY,
    MLFLOW,
    NOTHING,
    Capture,
    Case,
    _Handler,
    anonymous,
    run,
    truth_of,
)

HERE = Path(__file__).parent
PAYLOADS, EXPECTED, MEDIA_APPS = HERE / "payloads", HERE / "expected", HERE / "apps"
#: Kept whole, as it came.
WHOLE = ("openinference_openai_sound",)

_OPENAI = "image sound files responses"
_STREAMS = "sound_stream responses_stream"
_IMAGES = "drawing dalle"
#: By itself it leaves out images whose base64 is longer than 32,000 characters.
IMAGES = {"OPENINFERENCE_BASE64_IMAGE_MAX_LENGTH": "10000000"}


LITELLM_V2 = LITELLM | LATEST | RESOURCE | {"LITELLM_OTEL_V2": "true"}
_LITELLM = "image sound files drawing redrawing"


def _cases() -> list[Case]:
    openai, anthropic = "openai_media", "anthropic_media"
    rows: list[tuple[str, str, str, str, str, dict[str, str]]] = [
        (
            "openinference_openai",
            "openinference",
            "openinference_openai",
            openai,
            f"{_OPENAI} {_STREAMS} {_IMAGES} drawing_stream redrawing",
            IMAGES,
        ),
        ("openinference_default_openai", "openinference", "openinference_openai", openai, "image", NOTHING),
        ("openinference_anthropic", "openinference", "openinference_anthropic", anthropic, "documents", IMAGES),
        ("genai_openai", "genai", "genai_openai", openai, f"{_OPENAI} {_STREAMS}", LATEST),
        ("genai_anthropic", "genai", "genai_anthropic", anthropic, "documents", LATEST),
        ("openai_v2_legacy", "otel", "openai_v2", openai, "image sound sound_stream", LEGACY),
        ("openllmetry_openai", "openllmetry", "openllmetry_openai", openai, f"{_OPENAI} {_STREAMS}", NOTHING),
        ("openllmetry_anthropic", "openllmetry", "openllmetry_anthropic", anthropic, "documents", NOTHING),
        ("google_genai", "google", "google_genai", "gemini_media", "parts sound parts_stream", LATEST),
        ("langfuse", "langfuse", "own", "langfuse_media", f"{_OPENAI} {_STREAMS}", RESOURCE),
        (
            "logfire",
            "logfire",
            "own",
            "logfire_media",
            f"{_OPENAI} documents {_STREAMS} {_IMAGES} drawing_stream redrawing",
            RESOURCE,
        ),
        ("langsmith", "langsmith", "own", "langsmith_media", f"{_OPENAI} documents {_STREAMS}", LANGSMITH),
        ("mlflow", "mlflow", "own", "mlflow_media", f"{_OPENAI} documents {_STREAMS} {_IMAGES} drawing_stream", MLFLOW),
        ("pydantic_ai", "pydantic_ai", "own", "pydantic_ai_media", "image documents", NOTHING),
        ("vercel_latest", "vercel_latest", "latest", "vercel_media", "image files", NOTHING),
        ("vercel_legacy", "vercel_legacy", "legacy", "vercel_media", "image files", NOTHING),
        ("langfuse_js", "langfuse_js", "langfuse_js", "openai_app", _IMAGES + " redrawing", NOTHING),
        ("openlit", "openlit", "own", "openlit_media", f"{_OPENAI} documents {_STREAMS} {_IMAGES} redrawing", {}),
        ("litellm", "litellm", "own", "litellm_media", _LITELLM + " documents sound_stream", LITELLM),
        ("litellm_v2", "litellm", "own", "litellm_media", _LITELLM, LITELLM_V2),
        ("litellm_proxy", "litellm_proxy", "own", "litellm_proxy_media", _LITELLM, RESOURCE | LITELLM),
        ("litellm_proxy_v2", "litellm_proxy", "own", "litellm_proxy_media", _LITELLM, LITELLM_V2),
        ("genkit", "genkit", "own", "genkit_media", "image files drawing", GENKIT),
        ("adk", "adk", "own", "adk_media", "sound parts", {}),
        ("adk_latest", "adk", "own", "adk_media", "sound parts", LATEST),
        (
            "openinference_google",
            "openinference_google",
            "openinference_google",
            "gemini_media",
            "parts sound parts_stream",
            IMAGES,
        ),
    ]
    return [Case(f"{row[0]}_{scenario}", *row[1:4], scenario, row[5]) for row in rows for scenario in row[4].split()]


CASES = _cases()


class MediaCapture(Capture):
    """An OTLP receiver that also takes Langfuse's uploads, and keeps the SHA-256 (hex) of each."""

    def __init__(self) -> None:
        self.uploads: list[str] = []
        super().__init__()
        self.RequestHandlerClass = _MediaHandler


class _MediaHandler(_Handler):
    server: MediaCapture

    def do_POST(self) -> None:
        if not self.path.endswith("/media"):
            super().do_POST()
            return
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        media_id = said["sha256Hash"].replace("+", "-").replace("/", "_")[:22]
        body = json.dumps({"mediaId": media_id, "uploadUrl": f"{self.server.url}/upload"}).encode()
        self._answer(body)

    def do_PUT(self) -> None:
        self.server.uploads.append(sha256(b"".join(self._pieces())).hexdigest())
        self._answer(b"")

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def named(value: Any) -> Any:
    """Return a request with the names of files in the place of their base64."""
    if isinstance(value, dict):
        return {key: named(item) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item) for item in value]
    if isinstance(value, str) and len(value) > 1000:
        for name in NAMES:
            value = value.replace(base64.b64encode(file(name)).decode(), f"{{{name}}}")
            value = value.replace(base64.urlsafe_b64encode(file(name)).decode(), f"{{{name}}}")
    return value


def record(case: Case, python: Path, provider: FakeProvider) -> None:
    """Run a case and write its bodies and the truth about it."""
    provider.forget()
    capture = MediaCapture()
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        for apps in (APPS, MEDIA_APPS):
            shutil.copytree(apps, folder, dirs_exist_ok=True)
        for name in NAMES:
            (Path(folder) / name).write_bytes(file(name))
        run(case, python, provider, capture, Path(folder))
    capture.shutdown()
    target = PAYLOADS / case.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for number, (signal, whole) in enumerate(capture.bodies, 1):
        body = anonymous(case, python, whole)
        if case.name in WHOLE:
            (target / f"{number}-{signal}.pb").write_bytes(body)
        else:
            (target / f"{number}-{signal}.pb.zst").write_bytes(pack(body))
    written = {"served": named(truth_of(provider)), "uploads": sorted(capture.uploads)}
    EXPECTED.mkdir(exist_ok=True)
    (EXPECTED / f"{case.name}.json").write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    size = sum(len(body) for _, body in capture.bodies)
    packed = sum(path.stat().st_size for path in target.iterdir())
    print(f"{case.name}: {len(capture.bodies)} bodies, {size} bytes, {packed} kept")


def main() -> None:
    """Record the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wanted", nargs="*", help="record only cases whose name contains one of these")
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "spanhouse-golden-venvs")
    arguments = parser.parse_args()
    with FakeProvider() as provider:
        for case in CASES:
            if any(part in case.name for part in arguments.wanted or [""]):
                of_node = case.environment in NODE_ENVIRONMENTS
                make = environment_node if of_node else environment_python
                record(case, make(arguments.venvs, case.environment), provider)


if __name__ == "__main__":
    main()
