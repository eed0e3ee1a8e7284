from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [
    str(TESTS / "c"),  # harness
    str(TESTS / "checking"),
    str(TESTS / "graph"),
    str(TESTS / "runners"),
]  # checking_nets, exactness, small_onnx, serial_board
