"""What was found of each Conv, Gemm and MatMul: binary, binary weights, or float, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Weights = Literal["binary", "two values", "ternary", "few values", "real"]
"""Of each output channel: +-alpha; two values that are not opposite; -alpha, 0, +alpha; up to 16 values; more."""
Verdict = Literal["binary", "binary weights", "float"]


@dataclass(frozen=True)
class LayerFinding:
    """What the probe said of one Conv, Gemm or MatMul of the model.

    Args:
        name: the ONNX node.
        kind: the op that it became.
        binary: computed with bits.
        reason: why it stays float, or "".
        output: the ONNX tensor that it writes.
        note: what to know of a binary layer, or "".
        input_values: how many values its input takes: 2 where it is binary, 3 to 16 where it is coarser than real
            numbers; 0: real, or not known.
        weights: what each output channel's weights are.
        zero_weights: weights that are exactly 0, in channels that are not all 0.
        weight_count: all weights.
        border: what its padding holds, in units of its own input; None without padding.
        ties: its input's sign(0) is 0, which counts as +1.
    """

    name: str
    kind: str
    binary: bool
    reason: str
    output: str
    note: str = ""
    input_values: int = 0
    weights: Weights = "real"
    zero_weights: int = 0
    weight_count: int = 0
    border: float | None = None
    ties: bool = False

    @property
    def verdict(self) -> Verdict:
        """In two words: what a table says."""
        if self.binary:
            return "binary"
        return "binary weights" if self.weights == "binary" else "float"

    @property
    def suspect(self) -> bool:
        """Float although its input is binary: probably meant to be binary."""
        return not self.binary and self.input_values == 2
