from __future__ import annotations

import sys
from pathlib import Path

import pytest

from r2b_edge.checking.lce import LceExecutor

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def lce(require_lce: None) -> type[LceExecutor]:
    """LceExecutor, where it can run."""
    return LceExecutor
