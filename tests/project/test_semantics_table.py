"""docs/semantics.md: every row names a test, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows() -> list[str]:
    """The table's rows without heads and rules."""
    lines = (ROOT / "docs/semantics.md").read_text().splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith("| case ")]


def functions(file: Path) -> set[str]:
    return {
        node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)
    }


def test_every_row_names_a_test() -> None:
    assert len(rows()) >= 35
    assert [row for row in rows() if not NAMED.search(row.split("|")[3])] == []


def test_every_named_test_is_there() -> None:
    named = {match for row in rows() for match in NAMED.findall(row)}
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if name not in functions(ROOT / "tests" / path)
    ]
    assert missing == []


def test_the_cells_are_three() -> None:
    """A stray bar would hide a test from the two tests above."""
    assert [row for row in rows() if row.count("|") != 4] == []
