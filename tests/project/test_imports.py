"""Data goes one way: a room imports only rooms of its own stage or of earlier ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

STAGE = {
    "errors": 0,
    "version": 0,
    "wording": 0,
    "targets": 0,
    "firmware_templates": 0,
    "frontend": 1,
    "graph": 2,
    "ops": 2,
    "passes": 3,
    "exporters": 4,
    "toolchain": 5,
    "runners": 6,
    "report": 7,
}
# They join the stages, so they may import all of them, and no stage may import them.
JOINTS = {
    "__init__",
    "__main__",
    "checking",
    "cli",
    "inspection",
    "options",
    "pipeline",
    "progress",
}
# Rooms that may not import each other although both belong to one stage.
STRANGERS = [("exporters.c", "exporters.tflite")]

# Import names of the mapped top-level folders.
FOLDERS = {
    "r2b_edge": "r2b_edge",
    "r2b_edge.exporters": "exporters",
    "r2b_edge.targets": "targets",
    "r2b_edge.firmware_templates": "firmware_templates",
}


def module_files() -> dict[str, Path]:
    """Every module of the package: its import name -> its file."""
    modules = {}
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join((package, *parts)).removesuffix(".__init__")
            modules[name] = path
    return modules


MODULES = module_files()


def room_of(module: str) -> str:
    """The room of a module's import name: r2b_edge.exporters.c.plan -> exporters."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(module: str, source: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Lines and import names of what a module imports from r2b_edge, inside functions too."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "r2b_edge":
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            if origin.split(".")[0] != "r2b_edge":
                continue
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else origin


def violations(module: str, source: str, *, is_package: bool) -> list[str]:
    """What a module imports although its stage may not see it, one line each."""
    room = room_of(module)
    if room in JOINTS:
        return []
    found = []
    for line, imported in imports(module, source, is_package=is_package):
        other = room_of(imported)
        if other in JOINTS or STAGE[other] > STAGE[room]:
            found.append(f"{module}:{line} imports {imported}, which belongs to a later stage")
        for pair in STRANGERS:
            ours, theirs = (f"r2b_edge.{name}" for name in pair)
            for a, b in ((ours, theirs), (theirs, ours)):
                if f"{module}.".startswith(f"{a}.") and f"{imported}.".startswith(f"{b}."):
                    found.append(f"{module}:{line} imports {imported}: the two are strangers")
    return found


def test_every_module_has_a_stage() -> None:
    unknown = {room_of(module) for module in MODULES} - set(STAGE) - JOINTS
    assert not unknown, f"give these a stage in {Path(__file__).name}: {sorted(unknown)}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_module_imports_only_earlier_stages(module: str) -> None:
    path = MODULES[module]
    source = path.read_text(encoding="utf-8")
    assert not violations(module, source, is_package=path.name == "__init__.py")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("r2b_edge.graph.verify", "from r2b_edge.passes import fold"),
        ("r2b_edge.graph.verify", "def f():\n    import r2b_edge.report.html"),
        ("r2b_edge.graph.verify", "from ..cli import main"),
        ("r2b_edge.report.html", "from r2b_edge import export"),
        ("r2b_edge.exporters.c.plan", "from r2b_edge.exporters.tflite import write"),
        ("r2b_edge.targets.loader", "from .. import frontend"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert len(violations(module, source, is_package=False)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("r2b_edge.passes.fold", "from r2b_edge.graph import Graph\nfrom .. import errors"),
        ("r2b_edge.exporters.c.plan", "from . import layout\nfrom r2b_edge.ops import binary"),
        ("r2b_edge.pipeline", "from . import frontend, report"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert violations(module, source, is_package=False) == []
