"""Ops on bits: the step that makes them and the convolution that reads them.

Bits are int8 in {-1, +1} here. A backend stores bit 0 for +1 and 1 for -1, so that with n valid taps
    dot = sum x*w = n - 2 * popcount(x xor w).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops.base import Floats, Op, per_channel
from r2b_edge.ops.windows import Window, check_weights, correlate

TINY = np.finfo(np.float32).tiny
"""The smallest normal float32."""


def normal_thresholds(threshold: Floats, direction: NDArray[np.int8]) -> Floats:
    """Thresholds with subnormal ones moved so that every normal x and 0 stay on their sides.

    TFLite's kernels and many cores flush subnormal numbers to zero, and would take 0 for greater than 0 where the
    threshold of `x > 0` is 1.4e-45. A rising step's goes up to 0 or TINY, a falling one's down to 0 or -TINY.
    """
    outward = threshold * direction > 0
    moved = np.where(outward, direction * TINY, np.float32(0))
    return np.where(np.abs(threshold) >= TINY, threshold, moved).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Step(Op):
    """Binarisation: +1 where x >= threshold (direction +1) or x <= threshold (direction -1), else -1.

    -inf and +inf make a channel constant. -0.0 equals +0.0. NaN gives -1 here and is unspecified in the backends.

    Args:
        threshold: float32 [C].
        direction: int8 [C], +1 or -1.
        ties: True if the model itself gives a third value (torch's sign(0) = 0) exactly at the threshold.
    """

    threshold: Floats
    direction: NDArray[np.int8]
    ties: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if self.threshold.shape != (x.channels,):
            raise ValueError(f"{self.threshold.shape[0]} thresholds for {x}")
        return TensorType(x.shape, "bits")

    def reference(self, *inputs: Array) -> Array:
        x = inputs[0].astype(np.float32)
        t = per_channel(self.threshold, x)
        rising = per_channel(self.direction, x) > 0
        return np.where(np.where(rising, x >= t, x <= t), 1, -1).astype(np.int8)

    def kinks(self, *inputs: Array) -> Sequence[Array]:
        return (inputs[0] - per_channel(self.threshold, inputs[0]),)


PIXEL = Window((1, 1))
"""The window of a dense layer."""


@dataclasses.dataclass(frozen=True, eq=False)
class BinaryConv(Op):
    """Convolution of bits with binary weights: the exact dot product, int32.

    On a vector [N, C] it is a dense layer, to [N, O]: a vector is a map of one pixel, and the window covers just that.

    Args:
        weight: int8 in {-1, +1}, [O, C/groups, KH, KW].
        window: geometry.
        pad_value: what the border holds, in {-1, 0, +1}.
        groups: channel groups.
    """

    weight: NDArray[np.int8]
    window: Window
    pad_value: int = 0
    groups: int = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if x.dtype != "bits":
            raise ValueError(f"a binary convolution on {x}")
        check_weights(self.weight.shape, self.window, self.groups, x)
        if not x.is_map:
            if self.window != PIXEL:
                raise ValueError(f"{self.window} on {x}")
            return TensorType((x.shape[0], self.weight.shape[0]), "int32")
        height, width = self.window.map_size(x)
        return TensorType((x.shape[0], self.weight.shape[0], height, width), "int32")

    def reference(self, *inputs: Array) -> Array:
        # float32 holds every integer below 2^24 exactly, and BLAS is fast in it.
        (x,) = inputs
        pixels = x if x.ndim == 4 else x[:, :, None, None]
        patches = self.window.patches(pixels.astype(np.float32), self.pad_value)
        dots = correlate(patches, self.weight.astype(np.float32), self.groups)
        return dots.reshape(*dots.shape[: x.ndim]).astype(np.int32)

    def macs(self, *inputs: TensorType) -> int:
        out = self.infer(*inputs)
        return int(np.prod(out.shape)) * int(np.prod(self.weight.shape[1:]))


@dataclasses.dataclass(frozen=True, eq=False)
class BinaryMaxPool(Op):
    """Maximum of bits over windows: +1 where one bit of the window is +1; the border never wins."""

    window: Window

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if x.dtype != "bits":
            raise ValueError(f"a binary pool on {x}")
        self.window.check_border()
        return TensorType((*x.shape[:2], *self.window.map_size(x)), "bits")

    def reference(self, *inputs: Array) -> Array:
        return np.asarray(self.window.patches(inputs[0], -1).max(axis=(4, 5)), dtype=np.int8)
