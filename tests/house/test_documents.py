"""What the documents say is what the code does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spanhouse_server.config import SETTINGS, settings_markdown
from spanhouse_server.show.openapi import document

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "DECISIONS.md", "CHANGELOG.md", "sdk/README.md"]


def test_settings_page_is_current() -> None:
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == settings_markdown(), (
        "run: spanhouse settings --markdown > docs/settings.md"
    )


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_a_flag_of_serve(setting) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "spanhouse_server.cli", "serve", "--help"], capture_output=True, text=True, timeout=60
    ).stdout
    assert setting.flag in shown
    assert setting.env in re.sub(r"\s+", "", shown) or setting.env in shown


def test_openapi_document_of_the_page_is_current() -> None:
    committed = json.loads((ROOT / "web/openapi.json").read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(document())), "run: make openapi"


@pytest.mark.parametrize("page", DOCUMENTS)
def test_linked_files_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://")):
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_make_help_lists_the_targets_the_readme_names() -> None:
    named = set(re.findall(r"`make ([a-z0-9]+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    offered = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    assert named
    for target in named:
        assert f"make {target}" in offered


def test_python_in_the_readme_compiles() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")
