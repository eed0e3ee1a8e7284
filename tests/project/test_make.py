"""The entry points that the README names exist, and the scripts behind them parse."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "target", ["setup", "demo", "test", "soak", "lint", "format", "clean", "help"]
)
def test_make_knows_the_target(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), f"make {target} does nothing"


@pytest.mark.parametrize(
    "script", ["scripts/setup.sh", "scripts/lint.sh", "scripts/typecheck.sh", ".ci/run"]
)
def test_script_parses_and_is_executable(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-n", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
