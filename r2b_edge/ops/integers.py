"""Layers in 8-bit integers: real inputs, quantised on the way in, times integer weights, summed exactly.

A real value x stands for the integer

    q = min(max(round(x * inverse), -zero_point), 255 - zero_point),

where the product is rounded to float32, and round takes halves to the even neighbour. So q + zero_point is a byte, and
0 stands for 0: a border of zeros is one of integers, too. The op gives the sum of weight * q in the integers; the
ChannelAffine behind it, with the steps of inputs and weights as its scale, makes a real value of it. The bound of the
sums is EXACT_INTEGERS, as of a BinaryConv's, so that whoever adds them in float32 is exact as well.

ONNX's QuantizeLinear divides by the step instead. A product takes no division of a machine without an FPU; model.onnx
states it as a Mul before a QuantizeLinear of step 1, so that onnxruntime rounds the same number.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops.base import Op
from r2b_edge.ops.binary import PIXEL
from r2b_edge.ops.windows import Window, check_weights, correlate

Weights = NDArray[np.int8]
LEVELS = 255
"""The largest byte."""
LARGEST_WEIGHT = 127
"""Weights are symmetric, -127 to 127."""
EXACT_INTEGERS = 2**24
"""float32 holds every integer below it."""


def quantise(x: Array, inverse: float, zero_point: int) -> NDArray[np.float64]:
    """The integers q of the module's docstring, in double, in which sums of products with weights are exact."""
    with np.errstate(over="ignore"):
        scaled = np.rint(x.astype(np.float32) * np.float32(inverse))
    return np.asarray(np.clip(scaled.astype(np.float64), -zero_point, LEVELS - zero_point))


def largest_sum(weight: Array, zero_point: int) -> int:
    """A bound of the magnitude of all sums, partial ones too: weight int8 [O, ...]."""
    rows = np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(axis=1)
    return int(rows.max(initial=0)) * max(zero_point, LEVELS - zero_point)


@dataclasses.dataclass(frozen=True, eq=False)
class QuantConv(Op):
    """Convolution in integers of a real map with a border of 0, or of a vector (kernel 1x1, a dense layer); int32.

    Args:
        weight: int8 [O, C, KH, KW], -127 to 127.
        inverse: of the input's step; a float32.
        zero_point: 0 to 255.
        window: geometry, without dilations.
    """

    weight: Weights
    inverse: float
    zero_point: int
    window: Window = PIXEL

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_weights(self.weight.shape, self.window, 1, x)
        if x.dtype != "float32" or self.weight.dtype != np.int8:
            raise ValueError(f"weights of {self.weight.dtype} on {x}")
        if self.window.dilations != (1, 1):
            raise ValueError("dilations")
        if not 0 <= self.zero_point <= LEVELS or not 0 < self.inverse < np.inf:
            raise ValueError(
                f"a zero point of {self.zero_point}, an inverse step of {self.inverse}"
            )
        if np.abs(self.weight.astype(np.int64)).max(initial=0) > LARGEST_WEIGHT:
            raise ValueError("a weight of -128")
        if largest_sum(self.weight, self.zero_point) >= EXACT_INTEGERS:
            raise ValueError("sums of 2^24 and more")
        outputs = self.weight.shape[0]
        if not x.is_map:
            if self.window != PIXEL:
                raise ValueError(f"{self.window} on {x}")
            return TensorType((x.shape[0], outputs), "int32")
        return TensorType((x.shape[0], outputs, *self.window.map_size(x)), "int32")

    def reference(self, *inputs: Array) -> Array:
        q = quantise(inputs[0], self.inverse, self.zero_point)
        weight = self.weight.astype(np.float64)
        if q.ndim == 2:
            return np.asarray(q @ weight[:, :, 0, 0].T).astype(np.int32)
        return correlate(self.window.patches(q, 0.0), weight, 1).astype(np.int32)

    def macs(self, *inputs: TensorType) -> int:
        return int(np.prod(self.infer(*inputs).shape)) * int(np.prod(self.weight.shape[1:]))
