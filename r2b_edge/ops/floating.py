"""Ops on float32: everything between two binarisations, and the layers that stay real."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops.base import Floats, Op, per_channel
from r2b_edge.ops.windows import Window, check_weights, correlate


def same_type(x: TensorType) -> TensorType:
    """float32 in the shape of `x`."""
    return TensorType(x.shape, "float32")


@dataclasses.dataclass(frozen=True, eq=False)
class _Unary(Op):
    """An elementwise function of one tensor."""

    def infer(self, *inputs: TensorType) -> TensorType:
        for value in self.constants().values():
            if value.shape not in ((inputs[0].channels,), (1,)):
                raise ValueError(f"constants of shape {value.shape} on {inputs[0]}")
        return same_type(inputs[0])

    @property
    def elementwise(self) -> bool:
        return True


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelAffine(_Unary):
    """y = scale[c] * x + offset[c]; x float32 or int32. Both constants float32 [C]."""

    scale: Floats
    offset: Floats

    def reference(self, *inputs: Array) -> Array:
        x = inputs[0].astype(np.float32)
        return x * per_channel(self.scale, x) + per_channel(self.offset, x)


@dataclasses.dataclass(frozen=True, eq=False)
class PReLU(_Unary):
    """y = x where x >= 0, else slope[c] * x. slope: float32 [C], any sign."""

    slope: Floats

    def reference(self, *inputs: Array) -> Array:
        x = inputs[0]
        return np.where(x >= 0, x, x * per_channel(self.slope, x)).astype(np.float32)

    def kinks(self, *inputs: Array) -> Sequence[Array]:
        return (inputs[0],)


@dataclasses.dataclass(frozen=True, eq=False)
class Clip(_Unary):
    """y = min(max(x, low), high); ReLU is low = 0, high = inf."""

    low: float
    high: float

    def reference(self, *inputs: Array) -> Array:
        return np.clip(inputs[0], np.float32(self.low), np.float32(self.high))

    def kinks(self, *inputs: Array) -> Sequence[Array]:
        return tuple(inputs[0] - np.float32(b) for b in (self.low, self.high) if np.isfinite(b))


@dataclasses.dataclass(frozen=True, eq=False)
class Sigmoid(_Unary):
    """y = 1 / (1 + exp(-x))."""

    def reference(self, *inputs: Array) -> Array:
        x = np.clip(inputs[0], -88.0, 88.0).astype(np.float32)  # exp stays finite in float32
        return (1 / (1 + np.exp(-x))).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Operands(Op):
    """An elementwise function of two tensors of one shape, or of one and a smaller operand.

    Beside a map that is a vector [N, C] along its channels, or a map [N, 1, H, W] over its pixels; beside both a vector
    [N, 1] of one value.
    """

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = inputs
        if a.shape == b.shape:
            return same_type(a)
        for full, other in ((a, b), (b, a)):
            one, pixels = (full.shape[0], 1), (full.shape[0], 1, *full.shape[2:])
            if other.shape == one or (full.is_map and other.shape in (full.shape[:2], pixels)):
                return same_type(full)
        raise ValueError(f"{a} and {b} do not fit")

    @property
    def elementwise(self) -> bool:
        return True

    @staticmethod
    def _aligned(a: Array, b: Array) -> tuple[Array, Array]:
        rank = max(a.ndim, b.ndim)
        a, b = (x.reshape(x.shape + (1,) * (rank - x.ndim)) for x in (a, b))
        return a, b


@dataclasses.dataclass(frozen=True, eq=False)
class Add(Operands):
    """y = a + b: skips."""

    def reference(self, *inputs: Array) -> Array:
        a, b = self._aligned(*inputs)
        return np.asarray(a + b, dtype=np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Mul(Operands):
    """y = a * b: gates (a map and a vector), XNOR-Net's K (a map and a map of one channel), and maps."""

    def reference(self, *inputs: Array) -> Array:
        a, b = self._aligned(*inputs)
        return np.asarray(a * b, dtype=np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class FloatConv(Op):
    """Convolution in float32. weight [O, C/groups, KH, KW], bias [O].

    `pad_value` is what the border holds: 0 in every graph that the passes let through. `half`: every weight is a value
    that IEEE half precision has, and a backend may store it in 16 bits.
    """

    weight: Floats
    bias: Floats
    window: Window
    groups: int = 1
    pad_value: float = 0.0
    half: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_weights(self.weight.shape, self.window, self.groups, x)
        if self.bias.shape != self.weight.shape[:1]:
            raise ValueError(f"a bias of shape {self.bias.shape}, weights {self.weight.shape}")
        height, width = self.window.map_size(x)
        return TensorType((x.shape[0], self.weight.shape[0], height, width))

    def reference(self, *inputs: Array) -> Array:
        sums = correlate(self.window.patches(inputs[0], self.pad_value), self.weight, self.groups)
        return np.asarray(sums + per_channel(self.bias, sums), dtype=np.float32)

    def macs(self, *inputs: TensorType) -> int:
        return int(np.prod(self.infer(*inputs).shape)) * int(np.prod(self.weight.shape[1:]))


@dataclasses.dataclass(frozen=True, eq=False)
class Dense(Op):
    """y = x @ weight.T + bias; x [N, I], weight [O, I], bias [O], all float32; `half` as in FloatConv."""

    weight: Floats
    bias: Floats
    half: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if x.is_map or x.channels != self.weight.shape[1]:
            raise ValueError(f"weights {self.weight.shape} on {x}")
        return TensorType((x.shape[0], self.weight.shape[0]))

    def reference(self, *inputs: Array) -> Array:
        return np.asarray(inputs[0] @ self.weight.T + self.bias, dtype=np.float32)

    def macs(self, *inputs: TensorType) -> int:
        return int(np.prod(self.weight.shape))


@dataclasses.dataclass(frozen=True, eq=False)
class MaxPool(Op):
    """Maximum over windows; the border never wins."""

    window: Window

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        self.window.check_border()
        return TensorType((*x.shape[:2], *self.window.map_size(x)))

    def reference(self, *inputs: Array) -> Array:
        return np.asarray(
            self.window.patches(inputs[0], -np.inf).max(axis=(4, 5)), dtype=np.float32
        )


@dataclasses.dataclass(frozen=True, eq=False)
class AvgPool(Op):
    """Mean over windows. With count_include_pad the border counts as zeros, else it does not count.

    Args:
        window: geometry.
        count_include_pad: whether the border counts.
        overhang: rows at the bottom and columns at the right of the border that never count: what ceil_mode adds.
    """

    window: Window
    count_include_pad: bool = False
    overhang: tuple[int, int] = (0, 0)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        self.window.check_border()
        if min(self.overhang) < 0 or any(
            over > pad for over, pad in zip(self.overhang, self.window.pads[2:], strict=True)
        ):
            raise ValueError(f"an overhang of {self.overhang} with pads {self.window.pads}")
        size = self.window.map_size(x)
        if min(self.counts(axis, x.shape[2 + axis]).min() for axis in (0, 1)) == 0:
            raise ValueError("a mean of nothing")
        return TensorType((*x.shape[:2], *size))

    def reference(self, *inputs: Array) -> Array:
        x = inputs[0]
        sums = self.window.patches(x, 0.0).sum(axis=(4, 5), dtype=np.float32)
        rows, columns = (self.counts(axis, x.shape[2 + axis]) for axis in (0, 1))
        return np.asarray(sums / np.outer(rows, columns), dtype=np.float32)

    def counts(self, axis: int, size: int) -> Array:
        """How many taps of each window count along one axis of a map of this size: float32 [outputs]."""
        window = self.window
        before, after = window.pads[axis], window.pads[axis + 2]
        line = np.full(before + size + after, float(self.count_include_pad), np.float32)
        line[before : before + size] = 1
        line[line.size - self.overhang[axis] :] = 0
        extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
        view = np.lib.stride_tricks.sliding_window_view(line, extent)
        return np.asarray(view[:: window.strides[axis], :: window.dilations[axis]].sum(axis=1))


@dataclasses.dataclass(frozen=True, eq=False)
class GlobalAvgPool(Op):
    """Mean over height and width: a map [N, C, H, W] to a vector [N, C]."""

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if not x.is_map:
            raise ValueError(f"a global pool on {x}")
        return TensorType(x.shape[:2])

    def reference(self, *inputs: Array) -> Array:
        return np.asarray(inputs[0].mean(axis=(2, 3), dtype=np.float64), dtype=np.float32)
