"""Elementwise float32 functions by name: of one tensor, of two, of a tensor and a constant; softmax over the channels.

The tables give each function's meaning; an exporter has a table of the same names.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops.base import Floats, Op
from r2b_edge.ops.floating import Operands, same_type


def _gelu(x: Array) -> Array:
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return np.asarray(0.5 * x * (1 + erf(x * math.sqrt(0.5))))


def _hard_swish(x: Array) -> Array:
    return np.asarray(x * np.clip(x / 6 + 0.5, 0, 1))


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


UNARY: dict[str, Callable[[Array], Array]] = {
    "Abs": np.abs,
    "Ceil": np.ceil,
    "Elu": _elu,
    "Exp": np.exp,
    "Floor": np.floor,
    "Gelu": _gelu,
    "HardSwish": _hard_swish,
    "Log": np.log,
    "Reciprocal": np.reciprocal,
    "Round": np.rint,
    "Softplus": _softplus,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
}
"""Each is computed in double and rounded. Round takes halves to the even number."""

PAIRWISE: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Sub": np.subtract,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Unary(Op):
    """y = UNARY[kind](x), float32. Not for cones, which hold raw ops until the probe has seen them."""

    kind: str

    def infer(self, *inputs: TensorType) -> TensorType:
        return same_type(inputs[0])

    def reference(self, *inputs: Array) -> Array:
        with np.errstate(all="ignore"):
            return UNARY[self.kind](inputs[0].astype(np.float64)).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Pairwise(Operands):
    """y = PAIRWISE[kind](a, b) for Sub, Div, Max and Min; sums and products are ops of their own."""

    kind: str

    def reference(self, *inputs: Array) -> Array:
        a, b = self._aligned(*inputs)
        with np.errstate(all="ignore"):
            return np.asarray(PAIRWISE[self.kind](a, b), dtype=np.float32)

    def kinks(self, *inputs: Array) -> Sequence[Array]:
        a, b = self._aligned(*inputs)
        return (a - b,) if self.kind in ("Max", "Min") else ()


@dataclasses.dataclass(frozen=True, eq=False)
class ConstantMap(Op):
    """y = PAIRWISE[kind](x, value) with a constant that may vary over height and width.

    Not `elementwise`: a channel is no function of one variable where the constant varies over space.

    Args:
        kind: "Add", "Mul", "Max" or "Min".
        value: float32 [C or 1, H or 1, W or 1]; [C or 1, 1, 1] beside a vector.
    """

    kind: str
    value: Floats

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        sizes = x.shape[1:] if x.is_map else (x.channels, 1, 1)
        if self.kind not in ("Add", "Mul", "Max", "Min") or self.value.ndim != 3:
            raise ValueError(f"{self.kind} with a constant of shape {self.value.shape}")
        if any(n not in (1, size) for n, size in zip(self.value.shape, sizes, strict=True)):
            raise ValueError(f"a constant of shape {self.value.shape} on {x}")
        return same_type(x)

    def reference(self, *inputs: Array) -> Array:
        x = inputs[0]
        value = self.value if x.ndim == 4 else self.value.reshape(-1)
        return np.asarray(PAIRWISE[self.kind](x, value), dtype=np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Softmax(Op):
    """exp(x) / sum of exp(x) over the channels, at each pixel; with `log` its logarithm."""

    log: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        return same_type(inputs[0])

    def reference(self, *inputs: Array) -> Array:
        x = inputs[0].astype(np.float64)
        x = x - x.max(axis=1, keepdims=True)
        total = np.exp(x).sum(axis=1, keepdims=True)
        y = x - np.log(total) if self.log else np.exp(x) / total
        return np.asarray(y, dtype=np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelReduce(Op):
    """The channels' mean or maximum at each pixel: a map [N, C, H, W] to [N, 1, H, W], a vector to [N, 1].

    Args:
        kind: "Mean" or "Max".
    """

    kind: str

    def infer(self, *inputs: TensorType) -> TensorType:
        x = inputs[0]
        return TensorType((x.shape[0], 1, *x.shape[2:]))

    def reference(self, *inputs: Array) -> Array:
        x = inputs[0]
        if self.kind == "Max":
            return np.asarray(x.max(axis=1, keepdims=True), dtype=np.float32)
        return np.asarray(x.mean(axis=1, keepdims=True, dtype=np.float64), dtype=np.float32)
