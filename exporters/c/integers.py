"""What a convolution in integers (r2b_qconv) asks for: its fields and its workspace."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from r2b_edge.exporters.c.layout import chw
from r2b_edge.exporters.c.pack import align, window_fields
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import Op, QuantConv
from r2b_edge.ops.integers import LEVELS

BLOCK = 4
"""Output channels that a kernel computes together."""
RUN = 4
"""Weights of one of them that lie together."""
VECTOR_RUN = 16
"""The same of qconv_mve."""


def depth(channels: int) -> int:
    """Integers of a pixel: even, so that pairs of them are aligned."""
    return channels + channels % 2


def row(op: QuantConv, x: TensorType, y: TensorType) -> int:
    """Integers of a quantised row with its border: as many as the last window reads, in whole runs; even."""
    _, _, width = chw(x)
    reach = (chw(y)[2] - 1) * op.window.strides[1] + op.window.kernel[1]
    held = max(op.window.pads[1] + width, reach) * depth(x.channels) + RUN - 1
    return held + held % 2


def workspace(op: Op, x: TensorType, y: TensorType) -> int:
    """Bytes: a tile of whole blocks of floats, then the rows under the window, int16."""
    assert isinstance(op, QuantConv)
    return 4 * BLOCK * -(-y.channels // BLOCK) + 2 * op.window.kernel[0] * row(op, x, y)


def fields(op: Op, x: TensorType, y: TensorType) -> dict[str, int | float | Array | dict[str, int]]:
    """The members of an r2b_qconv."""
    assert isinstance(op, QuantConv)
    return {
        "window": window_fields(op.window, x, y),
        "depth": depth(x.channels),
        "row": row(op, x, y),
        "weights": weights(op.weight, depth(x.channels), RUN),
        "offsets": 0,
        "inverse": op.inverse,
        "low": -op.zero_point,
        "high": LEVELS - op.zero_point,
    }


def paired_fields(
    op: Op, x: TensorType, y: TensorType
) -> dict[str, int | float | Array | dict[str, int]]:
    """The same with each run of weights in the order 0, 2, 1, 3: pairs of bytes that SXTB16 takes out of a word."""
    assert isinstance(op, QuantConv)
    paired = weights(op.weight, depth(x.channels), RUN)[..., [0, 2, 1, 3]]
    return fields(op, x, y) | {"weights": np.ascontiguousarray(paired)}


def weights(weight: Array, depth: int, run: int) -> NDArray[np.int8]:
    """Weights [O, C, KH, KW] to [ceil(O / 4)][KH][ceil(KW D / run)][4 outputs][run of KW D], zeros where none are.

    D is the depth of C channels.
    """
    outputs, channels, height, _ = weight.shape
    filled = np.pad(weight.transpose(0, 2, 3, 1), [(0, 0), (0, 0), (0, 0), (0, depth - channels)])
    rows = filled.reshape(outputs, height, -1)
    padded = np.pad(rows, [(0, -outputs % BLOCK), (0, 0), (0, -rows.shape[2] % run)])
    split = padded.reshape(-1, BLOCK, height, padded.shape[2] // run, run)
    return np.ascontiguousarray(split.transpose(0, 2, 3, 1, 4), dtype=np.int8)


def vector_row(op: QuantConv, x: TensorType, y: TensorType) -> int:
    """Bytes of a quantised row with its border: as many as the last window reads, in whole runs."""
    _, _, width = chw(x)
    window = op.window.kernel[1] * x.channels
    last = (chw(y)[2] - 1) * op.window.strides[1] * x.channels
    return max((op.window.pads[1] + width) * x.channels, last + align(window, VECTOR_RUN))


def vector_workspace(op: Op, x: TensorType, y: TensorType) -> int:
    """Bytes: a tile of whole blocks of floats, then the rows under the window, int8."""
    assert isinstance(op, QuantConv)
    return 4 * align(y.channels, BLOCK) + align(op.window.kernel[0] * vector_row(op, x, y), 4)


def vector_fields(
    op: Op, x: TensorType, y: TensorType
) -> dict[str, int | float | Array | dict[str, int]]:
    """The members of an r2b_qconv for qconv_mve."""
    assert isinstance(op, QuantConv)
    sums = op.weight.reshape(len(op.weight), -1).sum(axis=1, dtype=np.int64)
    offsets = np.pad((128 - op.zero_point) * sums, (0, -len(sums) % BLOCK)).astype(np.int32)
    return fields(op, x, y) | {
        "depth": x.channels,
        "row": vector_row(op, x, y),
        "weights": weights(op.weight, x.channels, VECTOR_RUN),
        "offsets": offsets.view(np.uint32),
    }
