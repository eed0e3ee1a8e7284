"""Ops that move values and compute nothing: exact on every backend."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops.base import Op

Indices = NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class Gather(Op):
    """y[c, h, w] = x[channels[c], rows[h], columns[w]], or `fill` where one of the three indices is -1.

    Slices with any step, splits, constant and reflected padding, cropping, channel shuffles, repetition. A vector
    counts as a 1x1 map; without rows and columns it stays a vector.

    Args:
        channels: int32 [C'], -1 or an index along the channels.
        rows: int32 [H'], likewise; None on a vector that stays one.
        columns: int32 [W'], likewise.
        fill: what stands where there is no source.
    """

    channels: Indices
    rows: Indices | None = None
    columns: Indices | None = None
    fill: float = 0.0

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if x.dtype != "float32":
            raise ValueError(f"values of {x} cannot be moved")
        if (self.rows is None) != (self.columns is None) or (x.is_map and self.rows is None):
            raise ValueError(f"rows or columns of {x} are not given")
        shape = x.shape if x.is_map else (*x.shape, 1, 1)
        for size, indices in zip(shape[1:], self.indices, strict=False):
            if not indices.size or indices.min() < -1 or not 0 <= indices.max() < size:
                raise ValueError(f"{indices.size} indices that do not fit {x}")
        return TensorType((x.shape[0], *(i.size for i in self.indices)))

    @property
    def indices(self) -> tuple[Indices, ...]:
        """Those that are given: channels, rows, columns."""
        if self.rows is None or self.columns is None:
            return (self.channels,)
        return self.channels, self.rows, self.columns

    def reference(self, *inputs: Array) -> Array:
        y = inputs[0]
        if y.ndim == 2 and self.rows is not None:
            y = y[:, :, None, None]
        for axis, indices in enumerate(self.indices, 1):
            absent = (indices < 0).reshape((-1,) + (1,) * (y.ndim - 1 - axis))
            y = np.where(absent, np.float32(self.fill), y.take(indices, axis=axis))
        return y


@dataclasses.dataclass(frozen=True, eq=False)
class Concat(Op):
    """The inputs side by side along the channels: maps of one size, or vectors; an input may come twice."""

    def infer(self, *inputs: TensorType) -> TensorType:
        first = inputs[0]
        for x in inputs:
            if x.dtype != "float32" or x.shape[2:] != first.shape[2:] or x.is_map != first.is_map:
                raise ValueError(f"{', '.join(map(str, inputs))} do not fit side by side")
        return TensorType((first.shape[0], sum(x.channels for x in inputs), *first.shape[2:]))

    def reference(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=1)
