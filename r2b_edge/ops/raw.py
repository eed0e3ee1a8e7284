"""Elementwise ONNX ops as they come, before a pass has said what they mean.

Only what a cone before a binarisation may hold, with its breakpoints; what is left after the passes and has no
meaning in the graph's own ops is refused.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops.base import Op


def _round_toward_zero(x: Array, dtype: str) -> Array:
    if dtype == "bool":
        return np.asarray(x != 0)
    if dtype == "int64":
        return np.trunc(x).astype(np.int64)
    return np.asarray(x).astype(np.float32)


def _where(c: Array, a: Array, b: Array) -> Array:
    return np.where(c, a, b)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "Abs": np.abs,
    "Add": np.add,
    "And": np.logical_and,
    "Ceil": np.ceil,
    "Div": np.divide,
    "Equal": np.equal,
    "Erf": np.vectorize(math.erf, otypes=[np.float64]),
    "Exp": np.exp,
    "Floor": np.floor,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Or": np.logical_or,
    "Pow": np.power,
    "Reciprocal": np.reciprocal,
    "Round": np.rint,
    "Sign": np.sign,
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Tanh": np.tanh,
    "Trunc": np.trunc,
    "Where": _where,
    "Xor": np.logical_xor,
}
"""Each is monotone or smooth between its kinks, so that a bisection finds every breakpoint of a cone."""

ROUNDS = {"Ceil": 0.0, "Floor": 0.0, "Round": 0.5, "Trunc": 0.0}
"""Where they jump, past each whole number. Round takes halves to the even neighbour, as ONNX does."""
MOST_JUMPS = 17
"""Whole numbers on each side of 0 whose jumps are looked at: more levels than a quantised activation has."""
_LOGICAL = {"And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Xor"}
_COMPARES = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min"}


@dataclasses.dataclass(frozen=True, eq=False)
class Elementwise(Op):
    """An ONNX elementwise op.

    Args:
        kind: the ONNX op type, a key of FUNCTIONS, or "Cast". "Trunc" is a Cast to integers, which stay float32 here.
        operands: one entry an ONNX input: a constant that broadcasts along axis 1 ([C] or [1]), or None for a
            tensor of the graph, in order.
        to: the dtype that Cast gives.
    """

    kind: str
    operands: tuple[Array | None, ...]
    to: str = "float32"

    def infer(self, *inputs: TensorType) -> TensorType:
        shapes = {t.shape for t in inputs}
        if len(shapes) != 1:
            raise ValueError(f"{self.kind} of {', '.join(map(str, inputs))}")
        channels = inputs[0].channels
        for value in self.operands:
            if value is not None and value.size not in (1, channels):
                raise ValueError(f"{self.kind} of {inputs[0]} with {value.size} constants")
        dtype = self.to if self.kind == "Cast" else "bool" if self.kind in _LOGICAL else "float32"
        return TensorType(inputs[0].shape, dtype)

    def _arguments(self, inputs: tuple[Array, ...]) -> list[Array]:
        ndim = inputs[0].ndim
        rest = iter(inputs)
        return [
            next(rest) if value is None else value.reshape((1, -1) + (1,) * (ndim - 2))
            for value in self.operands
        ]

    def reference(self, *inputs: Array) -> Array:
        arguments = self._arguments(inputs)
        if self.kind == "Cast":
            return _round_toward_zero(arguments[0], self.to)
        value = FUNCTIONS[self.kind](*arguments)
        return value if value.dtype == bool else value.astype(np.float32)

    def kinks(self, *inputs: Array) -> Sequence[Array]:
        arguments = self._arguments(inputs)
        if self.kind in _COMPARES:
            return (np.subtract(arguments[0], arguments[1], dtype=np.float32),)
        if self.kind in ("Sign", "Abs", "Reciprocal"):
            return (arguments[0],)
        if self.kind in ROUNDS:
            jumps = np.arange(-MOST_JUMPS, MOST_JUMPS + 1) + ROUNDS[self.kind]
            return tuple(arguments[0] - np.float32(jump) for jump in jumps)
        if self.kind == "Cast" and arguments[0].dtype != bool and self.to != "float32":
            return (arguments[0],)
        return ()

    @property
    def jumps(self) -> bool:
        """True if it is not continuous."""
        return self.kind in {"Sign", "Cast", *ROUNDS, *_LOGICAL}

    def constants(self) -> dict[str, Array]:
        return {f"operand{i}": v for i, v in enumerate(self.operands) if v is not None}

    @property
    def elementwise(self) -> bool:
        return True


@dataclasses.dataclass(frozen=True, eq=False)
class Reshape(Op):
    """The same values in another shape, in NCHW order."""

    shape: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        if int(np.prod(inputs[0].shape)) != int(np.prod(self.shape)):
            raise ValueError(f"{inputs[0]} does not fit into {self.shape}")
        return TensorType(self.shape, inputs[0].dtype)

    def reference(self, *inputs: Array) -> Array:
        return inputs[0].reshape((inputs[0].shape[0], *self.shape[1:]))
