"""Rules and channels as YAML files: what is wrong is told by file, line and field.

A channel's secrets are named, not written: ``url: {env: OPS_WEBHOOK}`` takes the variable of whoever applies the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spanhouse_server.errors import BadRequest

MAX_FILE_BYTES = 1024 * 1024
#: The rules that are shipped, and the word that stands for their file.
DEFAULT_RULES = Path(__file__).with_name("defaults.yaml")
DEFAULTS = "defaults"
_FIELD = re.compile(r"(?:(?:params|secrets|options)\.)?([A-Za-z_]\w*)")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


@dataclass(frozen=True, slots=True)
class Written:
    """One rule or channel of a file: its fields, and the line (from 1) of itself, of each field and of what is in it."""

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


@dataclass(frozen=True, slots=True)
class AlertFile:
    """What one file asks for."""

    rules: Sequence[Written] = ()
    channels: Sequence[Written] = ()


def path_of(name: str) -> Path:
    """Return the file that a command names: ``defaults`` are the rules that are shipped."""
    return DEFAULT_RULES if name == DEFAULTS else Path(name)


def read_rules(path: Path) -> list[Written]:
    """Return the rules of a file. Raises ``BadRequest``."""
    return list(read_file(path).rules)


def read_file(path: Path) -> AlertFile:
    """Return what a file asks for: a mapping with lists ``rules`` and ``channels``, or a list of rules alone.

    Raises ``BadRequest``.
    """
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


def secrets_of(written: Written, environment: Mapping[str, str]) -> dict[str, str]:
    """Return a channel's secrets from the variables that it names; raise ``BadRequest`` beginning with the field."""
    named = written.fields.get("secrets", {})
    if not isinstance(named, Mapping):
        raise BadRequest("secrets: must be a mapping", _HOW)
    found = {}
    for name, source in named.items():
        variable = source.get("env") if isinstance(source, Mapping) and len(source) == 1 else None
        if not isinstance(variable, str) or not _ENV.fullmatch(variable):
            raise BadRequest(f"secrets.{str(name)[:60]}: secrets are not written in files", _HOW)
        if not environment.get(variable):
            raise BadRequest(f"secrets.{str(name)[:60]}: the environment variable {variable} is not set", "set it")
        found[str(name)] = environment[variable]
    return found


_HOW = "name an environment variable: url: {env: OPS_WEBHOOK_URL}"


def _read(path: Path, loader: yaml.SafeLoader) -> AlertFile:
    root = loader.get_single_node()
    if root is None:
        return AlertFile()
    lists: dict[str, yaml.Node | None] = {"rules": None, "channels": None}
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if not isinstance(key, yaml.ScalarNode) or key.value not in lists:
                raise BadRequest(
                    f"{_at(path, key)}: {str(key.value)[:60]!r} is unknown", "a file holds rules: […] and channels: […]"
                )
            if lists[key.value] is not None:
                raise BadRequest(f"{_at(path, key)}: {key.value!r} is given twice", "put both lists together")
            lists[key.value] = value
        if lists["rules"] is None and lists["channels"] is None:
            raise BadRequest(f"{path}: there is no list of rules", "begin with rules:")
    else:
        lists["rules"] = root
    return AlertFile(
        *(
            [] if found is None else [_item(path, loader, node, name) for node in _items(path, found, name)]
            for name, found in lists.items()
        )
    )


def _items(path: Path, found: yaml.Node, name: str) -> Sequence[yaml.Node]:
    if not isinstance(found, yaml.SequenceNode):
        raise BadRequest(f"{_at(path, found)}: there is no list of {name}", f"begin with {name}:")
    items: Sequence[yaml.Node] = found.value
    return items


def _item(path: Path, loader: yaml.SafeLoader, node: yaml.Node, name: str) -> Written:
    what = name.removesuffix("s")
    if not isinstance(node, yaml.MappingNode):
        raise BadRequest(f"{_at(path, node)}: a {what} is a mapping of fields", "for example - name: Busy")
    lines: dict[str, int] = {}
    _note_lines(node, "", lines, lambda key: BadRequest(f"{_at(path, key)}: {key.value!r} is given twice"))
    fields = loader.construct_document(node)
    if not all(isinstance(field, str) for field in fields):
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
