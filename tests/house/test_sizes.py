"""Files stay small enough to be read whole."""

from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
HARD_LIMIT = 600
SOFT_LIMIT = 400
FOLDERS = ("server/src", "sdk/src", "collector/src", "web/src", "migrations", "tests")
SUFFIXES = {".py", ".ts", ".tsx", ".css", ".sql", ".mjs"}
#: Written by tools.
GENERATED = {"web/src/api/schema.ts"}


def sources() -> list[Path]:
    found = []
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            relative = path.relative_to(ROOT).as_posix()
            if path.suffix in SUFFIXES and relative not in GENERATED and "_web" not in path.parts:
                found.append(path)
    return found


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_is_too_long(path: Path) -> None:
    assert lines(path) <= HARD_LIMIT, f"{path.relative_to(ROOT)} has {lines(path)} lines: split it"


def test_most_files_are_short() -> None:
    lengths = [lines(path) for path in sources() if path.name != "__init__.py"]
    assert median(lengths) <= 150
    assert sum(length > SOFT_LIMIT for length in lengths) <= len(lengths) // 20
