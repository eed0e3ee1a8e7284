"""Fixtures of the networks' tests, and the summary that stands at the end: one line a network."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .executors import Compiler

sys.path.insert(0, str(Path(__file__).parents[1] / "c"))  # harness

ROW = "net"
"""The user property under which a test leaves its network's row, as JSON (it must survive pytest-xdist)."""
EXECUTORS = ("graph", "tflite", "C sanitized", "C aarch64")


@pytest.fixture(scope="session")
def compilers(
    tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., None]
) -> dict[str, Compiler]:
    """The machines that the C runtime is built for, by the name that the summary shows."""
    from harness import TOOLCHAINS

    from .executors import Compiler

    toolchains = {t.name: t for t in TOOLCHAINS}
    shown = {"C sanitized": toolchains["gcc-sanitized"], "C aarch64": toolchains["aarch64"]}
    for toolchain in shown.values():
        require_tool(*toolchain.tools)
    return {name: Compiler(t, tmp_path_factory.mktemp(t.name)) for name, t in shown.items()}


@pytest.fixture
def row(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """row(**columns) leaves the network's line of the summary."""
    return lambda **columns: record_property(ROW, json.dumps(columns))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print, per network, the binary layers found and made, and how each executor compares with onnxruntime.

    The float error is the largest of all steps and executors, relative to the largest value of its tensor.
    """
    rows = [
        json.loads(str(value))
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for key, value in getattr(report, "user_properties", ())
        if key == ROW and report.when == "call"
    ]
    if not rows:
        return
    write = terminalreporter.write_line
    terminalreporter.section("networks: binary layers, and steps equal to onnxruntime")
    write(_line("network", "found/made", EXECUTORS, "margin ties", "float error"))
    for row in sorted(rows, key=lambda row: str(row["name"])):
        count = f"{row.get('found', '?')}/{row['made']}"
        equal = [row["equal"].get(name, "-") for name in EXECUTORS]
        write(_line(row["name"], count, equal, str(row["ties"]), f"{row['error']:.1e}"))


def _line(name: str, count: str, equal: Sequence[str], ties: str, error: str) -> str:
    return (
        f"{name:28} {count:>10} {''.join(f'{text:>12}' for text in equal)} {ties:>12} {error:>12}"
    )
