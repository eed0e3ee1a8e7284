from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from r2b_edge.checking.limits import TOLERANCE, slower
from r2b_edge.report import Report, read

sys.path.insert(0, str(Path(__file__).parents[1] / "c"))  # harness, watch

BASELINES = Path(__file__).resolve().parents[2] / "benchmarks" / "baselines"
OTHER_COMPILER = 0.10
"""What another version of the compiler may add: its schedules and registers differ, kernels in assembly do not."""


@pytest.fixture
def no_slower(update_golden: bool) -> Callable[[Report, str], None]:
    """no_slower(report, name) holds the instructions of a checked export against benchmarks/baselines/NAME.json.

    With --update-golden the report becomes the baseline; look at the difference.
    """

    def hold(report: Report, name: str) -> None:
        file = BASELINES / f"{name}.json"
        if update_golden:
            kept = report.revised(check=None, notes=(), speed=())
            file.write_text(kept.to_json(), "utf-8")
        baseline = read(file)
        tolerance = TOLERANCE if report.build == baseline.build else OTHER_COMPILER
        assert slower(report, baseline, tolerance) == []

    return hold
