"""What a convolution in integers (r2b_qconv) asks for: its fields and its workspace."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from r2b_edge.exporters.c.layout import chw
from r2b_edge.exporters.c.pack import window_fields
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import Op, QuantConv
from r2b_edge.ops.integers import LEVELS

BLOCK = 4
"""Output channels that a kernel computes together."""
RUN = 4
"""Weights of one of them that lie together."""


def row(op: QuantConv, x: TensorType, y: TensorType) -> int:
    """Integers of a quantised row with its border: as many as the last window reads, in whole runs; even."""
    channels, _, width = chw(x)
    reach = (chw(y)[2] - 1) * op.window.strides[1] + op.window.kernel[1]
    held = max(op.window.pads[1] + width, reach) * channels + RUN - 1
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
        "row": row(op, x, y),
        "weights": weights(op.weight),
        "inverse": op.inverse,
        "low": -op.zero_point,
        "high": LEVELS - op.zero_point,
    }


def weights(weight: Array) -> NDArray[np.int8]:
    """Weights [O, C, KH, KW] to [ceil(O / 4)][KH][ceil(KW C / 4)][4 outputs][4 of KW C], zeros where none are."""
    outputs, channels, height, width = weight.shape
    rows = weight.transpose(0, 2, 3, 1).reshape(outputs, height, width * channels)
    padded = np.pad(rows, [(0, -outputs % BLOCK), (0, 0), (0, -rows.shape[2] % RUN)])
    split = padded.reshape(-1, BLOCK, height, padded.shape[2] // RUN, RUN)
    return np.ascontiguousarray(split.transpose(0, 2, 3, 1, 4), dtype=np.int8)
