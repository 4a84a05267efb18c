"""Every Python block of the README runs as it stands, and the settings it lists exist."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spanhouse
from tests.fakes.provider import FakeProvider

README = Path(__file__).parents[3] / "sdk" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
#: What the block on masks hides. All of it: ids and times are long enough to hold any four digits.
CARD = "4111111111111111"


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blocks_run_and_are_traced(server, number):
    with FakeProvider() as provider:
        environment = {
            **os.environ,
            "SPANHOUSE_ENDPOINT": server.url,
            "OPENAI_BASE_URL": provider.openai_url,
            "OPENAI_API_KEY": "sk-any",
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", BLOCKS[number]],
            capture_output=True, text=True, timeout=60, env=environment,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert server.spans
    assert CARD not in repr(server.spans)


def test_everything_public_is_mentioned():
    text = README.read_text()
    for name in set(spanhouse.__all__) - {"Handle", "LlmCall", "Span", "__version__"}:
        assert re.search(rf"\b{name}\b", text), name
    for name in inspect.signature(spanhouse.init).parameters:
        assert f"`{name}`" in text, name
    extras = re.search(
        r"\[project.optional-dependencies\]\n(.*?)\n\n", (README.parent / "pyproject.toml").read_text(), re.DOTALL
    )
    for extra in re.findall(r"^([\w-]+) =", extras.group(1), re.MULTILINE):
        assert extra in text, extra
