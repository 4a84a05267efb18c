"""Imports between rooms go one way, and heavy libraries live in one room each."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server/src/spanhouse_server"

#: Library -> the only places that may import it.
HOMES = {
    "clickhouse_connect": ("store/columnar",),
    "chdb": ("store/columnar",),
    "sqlalchemy": ("store/records",),
    "alembic": ("store/records",),
    "fastapi": ("receive", "show", "entrance.py"),
    "grpc": ("receive",),
    "genai_prices": ("price",),
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def test_rooms_import_only_to_their_right() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("library", HOMES)
def test_heavy_libraries_stay_in_their_room(library: str) -> None:
    strays = []
    for path in SERVER.rglob("*.py"):
        place = path.relative_to(SERVER).as_posix()
        used = any(name == library or name.startswith(library + ".") for name in imports(path))
        if used and not place.startswith(HOMES[library]):
            strays.append(place)
    assert not strays


@pytest.mark.parametrize("folder", ["sdk/src", "collector/src"])
def test_clients_import_nothing_of_the_server(folder: str) -> None:
    strays = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*.py")
        if any(name.split(".")[0] == "spanhouse_server" for name in imports(path))
    ]
    assert not strays
