"""Every test asserts something: by itself, or by a helper of the tests that does."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
#: Calls that fail by themselves.
JUDGES = {"raises", "fail", "warns", "check_returncode"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def asserts_itself(function: Function) -> bool:
    """Tell whether a function has an ``assert``, a ``raise``, or a call that fails by itself."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in JUDGES:
            return True
    return False


def called(function: Function) -> set[str]:
    """Return the plain names that a function calls. Methods are not followed: their names tell too little."""
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return {func.id for func in calls if isinstance(func, ast.Name)}


class Module:
    """The functions of one file, and where the names it imports from other tests come from."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self.functions = {node.name: node for node in ast.walk(tree) if isinstance(node, Function)}
        self.imported = {
            (alias.asname or alias.name): (node.module, alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests.")
            for alias in node.names
        }


class Judgement:
    """Which functions of some modules (by dotted name) assert, followed through the helpers they call."""

    def __init__(self, modules: dict[str, Module]) -> None:
        self._modules = modules
        self._known: dict[tuple[str, str], bool] = {}

    def asserts(self, module: str, name: str) -> bool:
        """Tell whether a function asserts."""
        key = (module, name)
        if key not in self._known:
            self._known[key] = False  # while it is looked at: one that only calls itself asserts nothing
            self._known[key] = self._look(module, name)
        return self._known[key]

    def silent_tests(self) -> list[str]:
        """Return the tests that assert nothing, as ``module:line name``."""
        return [
            f"{module}:{function.lineno} {name}"
            for module, found in sorted(self._modules.items())
            for name, function in found.functions.items()
            if name.startswith("test_") and not self.asserts(module, name)
        ]

    def _look(self, module: str, name: str) -> bool:
        found = self._modules.get(module)
        if found is None:
            return False
        if name not in found.functions:
            return name in found.imported and self.asserts(*found.imported[name])
        function = found.functions[name]
        return asserts_itself(function) or any(self.asserts(module, each) for each in called(function))


def test_it_finds_what_it_should() -> None:
    helpers = Module("def check(x):\n    assert x\ndef look(x):\n    return x\n")
    tests = Module(
        "from tests.helpers import check as checked, look\n"
        "def test_a(): assert 1\n"
        "def test_b(): checked(1)\n"
        "def test_c(): look(1)\n"
        "def test_d(): again()\n"
        "def again(): again()\n"
        "def test_e():\n    with pytest.raises(ValueError): look(1)\n"
        "def test_f(): thing.check(1)\n"
        "async def test_g(): print(1)\n"
    )
    silent = Judgement({"tests.helpers": helpers, "tests.unit": tests}).silent_tests()
    assert [each.split()[1] for each in silent] == ["test_c", "test_d", "test_f", "test_g"]


def test_every_test_asserts_something() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): Module(path.read_text(encoding="utf-8"))
        for path in TESTS.rglob("*.py")
    }
    silent = [each for each in Judgement(modules).silent_tests() if not each.startswith("tests.bench.")]
    assert not silent, "these tests assert nothing: " + ", ".join(silent)
