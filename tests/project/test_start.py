"""`r2b-edge --help` answers at once, because what is heavy is imported where it is used."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "ai_edge_litert",
    "jinja2",
    "larq_compute_engine",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "tensorflow",
    "torch",
}
COMMAND = Path(sys.executable).with_name("r2b-edge")


def cpu_seconds_of_help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_help_takes_less_than_300_ms() -> None:
    # CPU time, best of several: the wall time on an idle machine, whatever else runs on this one.
    best = min(cpu_seconds_of_help() for _ in range(5))
    assert best < 0.3, f"r2b-edge --help took {best:.2f} s"


@pytest.mark.parametrize(
    "statement",
    ["import r2b_edge", "import r2b_edge.cli", "from r2b_edge.cli import main; main(['--help'])"],
)
def test_nothing_heavy_is_imported(statement: str) -> None:
    code = (
        "import json, sys\n"
        f"try:\n    {statement}\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stderr)}
    assert "r2b_edge" in loaded
    assert not loaded & HEAVY
