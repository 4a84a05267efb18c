"""LiteLLM's gateway in a process of its own, called by an application with the OpenAI client."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import telemetry
from own import HEADERS

KEY = "sk-golden"
CONFIG = {
    "model_list": [
        {
            "model_name": "small",
            "litellm_params": {
                "model": "openai/gpt-4o-mini",
                "api_key": "none",
                "api_base": "os.environ/OPENAI_BASE_URL",
            },
        }
    ],
    "litellm_settings": {"callbacks": ["otel"]},
    "general_settings": {"master_key": KEY, "forward_client_headers_to_llm_api": True},
}


def set_up() -> Callable[[], None]:
    """Let only the gateway tell of its calls."""
    return telemetry.set_up()


@contextlib.contextmanager
def gateway() -> Iterator[openai.OpenAI]:
    """Run the gateway; give a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = Path("litellm.yaml").resolve()
    config.write_text(json.dumps(CONFIG))
    environ = os.environ | {"OTEL_EXPORTER": "otlp_http", "OTEL_ENDPOINT": os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]}
    command = [
        Path(sys.executable).with_name("litellm"),
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with subprocess.Popen(command, env=environ, stdout=sys.stderr) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(900):
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(url + "/health/liveliness").status_code == 200:
                        break
                time.sleep(0.1)
            yield openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)
            time.sleep(7)  # spans are sent every five seconds
        finally:
            process.terminate()


def chat() -> None:
    """Ask one question; half of the input comes from the cache, some output is reasoning."""
    with gateway() as client:
        client.chat.completions.create(
            model="small",
            messages=[
                {"role": "system", "content": "You answer in one sentence."},
                {"role": "user", "content": "Why is the sky blue, grüße 🌍?"},
            ],
            temperature=0.2,
            max_tokens=100,
            user="user-1",
            extra_headers=HEADERS,
        )
