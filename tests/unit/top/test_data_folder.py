"""The small files of a data folder, also after a kill in the middle of writing them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spanhouse_server.config import Settings
from spanhouse_server.house import INSTANCE_FILE, instance_of, put_in_place

#: Dies when the file is open and nothing is written.
KILLED = """
import os, pathlib, sys
from spanhouse_server.house import put_in_place

class Dies(pathlib.PosixPath):
    def write_text(self, *_):
        self.open("w")
        os.kill(os.getpid(), 9)

put_in_place(Dies(sys.argv[1]), "new")
"""


def test_a_folder_keeps_its_name(tmp_path: Path) -> None:
    settings = Settings.load({"data_dir": tmp_path}, env={})
    name = instance_of(settings)
    assert len(name) == 16
    assert instance_of(settings) == name
    assert [path.name for path in tmp_path.iterdir()] == [INSTANCE_FILE]


def test_a_name_that_was_never_written_is_given_anew(tmp_path: Path) -> None:
    (tmp_path / INSTANCE_FILE).touch()
    settings = Settings.load({"data_dir": tmp_path}, env={})
    name = instance_of(settings)
    assert len(name) == 16
    assert instance_of(settings) == name


@pytest.mark.parametrize("old", [None, "old"])
def test_a_kill_leaves_a_file_whole(tmp_path: Path, old: str | None) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_text(old)
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (path.read_text() if path.is_file() else None) == old
    put_in_place(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]
