"""Functions of few values, and what they choose."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops.base import Floats, Op


@dataclasses.dataclass(frozen=True, eq=False)
class Staircase(Op):
    """A piecewise constant function per channel: y = values[c, k], k thresholds[c] being <= x.

    Quantised activations, and signs that something else than a binary convolution reads. -0.0 equals +0.0. NaN gives
    the first value.

    Args:
        thresholds: float32 [C, K], ascending, K >= 1; +inf where a channel has fewer.
        values: float32 [C, K + 1].
    """

    thresholds: Floats
    values: Floats

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        channels, count = self.thresholds.shape
        if x.dtype != "float32" or channels != x.channels or count < 1:
            raise ValueError(f"stairs {self.thresholds.shape} on {x}")
        if self.values.shape != (channels, count + 1):
            raise ValueError(f"{self.values.shape} values for {self.thresholds.shape} thresholds")
        return TensorType(x.shape)

    def reference(self, *inputs: Array) -> Array:
        (x,) = inputs
        column = (1, -1) + (1,) * (x.ndim - 2)
        y = np.broadcast_to(self.values[:, 0].reshape(column), x.shape)
        for threshold, value in zip(self.thresholds.T, self.values.T[1:], strict=True):
            y = np.where(x >= threshold.reshape(column), value.reshape(column), y)
        return np.asarray(y, dtype=np.float32)

    def kinks(self, *inputs: Array) -> Sequence[Array]:
        (x,) = inputs
        column = (1, -1) + (1,) * (x.ndim - 2)
        with np.errstate(invalid="ignore"):
            return tuple(x - threshold.reshape(column) for threshold in self.thresholds.T)

    @property
    def elementwise(self) -> bool:
        return True


@dataclasses.dataclass(frozen=True, eq=False)
class Select(Op):
    """One of two values by a condition on a third: y = a where the condition on x holds, else b.

    Inputs: x, then a and b as far as they are no constants; all of one shape.

    Args:
        condition: of x: a Staircase with the values 1 (holds) and 0.
        a: float32 [C], or None for a tensor.
        b: likewise.
    """

    condition: Staircase
    a: Floats | None = None
    b: Floats | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        x = inputs[0]
        given = [value for value in (self.a, self.b) if value is not None]
        if len(inputs) + len(given) != 3 or any(value.shape != (x.channels,) for value in given):
            raise ValueError(f"a choice of {len(inputs) - 1} tensors and {len(given)} constants")
        if any(t.shape != x.shape or t.dtype != "float32" for t in inputs):
            raise ValueError(f"a choice by {', '.join(map(str, inputs))}")
        return self.condition.infer(x)

    def constants(self) -> dict[str, Array]:
        own = {"a": self.a, "b": self.b} | self.condition.constants()
        return {name: value for name, value in own.items() if value is not None}

    def reference(self, *inputs: Array) -> Array:
        x, *rest = inputs
        tensors = iter(rest)
        column = (1, -1) + (1,) * (x.ndim - 2)
        a, b = (next(tensors) if v is None else v.reshape(column) for v in (self.a, self.b))
        return np.where(self.condition.reference(x) != 0, a, b).astype(np.float32)
