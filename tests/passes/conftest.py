from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))  # small_onnx


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)
