"""Rules as YAML files: what is wrong is told by file, line and field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spanhouse_server.errors import BadRequest

MAX_FILE_BYTES = 1024 * 1024
#: The rules that are shipped, and the word that stands for their file.
DEFAULT_RULES = Path(__file__).with_name("defaults.yaml")
DEFAULTS = "defaults"
_FIELD = re.compile(r"(?:params\.)?([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Written:
    """One rule of a file: its fields, and the line (from 1) of the rule, of each field and of each parameter."""

    file: str
    line: int
    fields: Mapping[str, Any]
    lines: Mapping[str, int]

    def at_fault(self, message: str) -> str:
        """Return ``file:line: message`` for a message that begins with the field at fault."""
        found = _FIELD.match(message)
        line = self.line
        if found:
            line = self.lines.get(found.group(0), self.lines.get(found.group(1), self.line))
        return f"{self.file}:{line}: {message}"


def path_of(name: str) -> Path:
    """Return the file that a command names: ``defaults`` are the rules that are shipped."""
    return DEFAULT_RULES if name == DEFAULTS else Path(name)


def read_rules(path: Path) -> list[Written]:
    """Return the rules of a file: a mapping with a list ``rules``, or that list alone. Raises ``BadRequest``."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadRequest(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadRequest(f"{path}: is not UTF-8 text") from None
    try:
        loader = yaml.SafeLoader(text)
        try:
            return _read(path, loader)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadRequest(f"{path}:{line}: {error.problem or 'cannot be read as YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadRequest(f"{path}: cannot be read as YAML: {str(error).splitlines()[0][:200]}") from None


def _read(path: Path, loader: yaml.SafeLoader) -> list[Written]:
    root = loader.get_single_node()
    if root is None:
        return []
    if isinstance(root, yaml.MappingNode):
        found = None
        for key, value in root.value:
            if key.value != "rules":
                raise BadRequest(f"{_at(path, key)}: {str(key.value)[:60]!r} is unknown", "a file holds rules: […]")
            found = value
        root = found
    if not isinstance(root, yaml.SequenceNode):
        raise BadRequest(f"{_at(path, root) if root else path}: there is no list of rules", "begin with rules:")
    return [_rule(path, loader, node) for node in root.value]


def _rule(path: Path, loader: yaml.SafeLoader, node: yaml.Node) -> Written:
    if not isinstance(node, yaml.MappingNode):
        raise BadRequest(f"{_at(path, node)}: a rule is a mapping of fields", "for example - name: Busy")
    lines: dict[str, int] = {}
    _note_lines(node, "", lines, lambda key: BadRequest(f"{_at(path, key)}: {key.value!r} is given twice"))
    fields = loader.construct_document(node)
    if not all(isinstance(name, str) for name in fields):
        raise BadRequest(f"{_at(path, node)}: names of fields are texts")
    return Written(str(path), node.start_mark.line + 1, fields, lines)


def _note_lines(
    node: yaml.MappingNode, prefix: str, lines: dict[str, int], twice: Callable[[yaml.Node], BadRequest]
) -> None:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if name in lines:
            raise twice(key)
        lines[name] = key.start_mark.line + 1
        if not prefix and isinstance(value, yaml.MappingNode):
            _note_lines(value, f"{key.value}.", lines, twice)


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"
