"""Float weights in blocks of 4 output channels, the lanes of a vector: what the kernels of family mve ask for."""

from __future__ import annotations

from r2b_edge.exporters.c import pack
from r2b_edge.exporters.c.anchors import BytesConv
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import Dense, FloatConv, Op

LANES = 4
"""Floats of a vector, and output channels of a block."""
PIXELS = 3
"""Of a tile of the convolution."""


def conv_fits(op: Op, x: TensorType, y: TensorType) -> bool:
    """Any window, without groups."""
    assert isinstance(op, FloatConv)
    return op.groups == 1


def conv_workspace(op: Op, x: TensorType, y: TensorType) -> int:
    """Bytes of a tile's results, and of copies of its windows where these may not lie in the map as they are."""
    assert isinstance(op, FloatConv)
    within = not any(op.window.pads) and op.window.dilations == (1, 1)
    return 4 * PIXELS * (pack.align(y.channels, LANES) + (0 if within else op.weight[0].size))


def bytes_fits(op: Op, x: TensorType, y: TensorType) -> bool:
    """As without bytes."""
    assert isinstance(op, BytesConv)
    return conv_fits(op.conv, x, y)


def bytes_workspace(op: Op, x: TensorType, y: TensorType) -> int:
    """The same, and the rows under the window."""
    assert isinstance(op, BytesConv)
    return conv_workspace(op.conv, x, y) + pack.rows_bytes(op.window, x)


def bytes_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Array | dict[str, int]]:
    """The members of r2b_fconv_blocks, for bytes."""
    assert isinstance(op, BytesConv)
    return {**conv_fields(op.conv, x, y), **pack.affine(op.scale, op.offset, x.channels)}


def conv_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Array | dict[str, int]]:
    """The members of r2b_fconv_blocks."""
    assert isinstance(op, FloatConv)
    return {
        "window": pack.window_fields(op.window, x, y),
        "weights": pack.stored(pack.conv_blocks(op.weight, LANES), op.half),
        "bias": pack.block_bias(op.bias, y.channels, LANES),
    }


def dense_workspace(op: Op, x: TensorType, y: TensorType) -> int:
    """Bytes of the results, in whole blocks."""
    return 4 * pack.align(y.channels, LANES)


def dense_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Array | int]:
    """The members of r2b_dense."""
    assert isinstance(op, Dense)
    return {
        "in_channels": x.channels,
        "out_channels": y.channels,
        "weights": pack.stored(pack.conv_blocks(op.weight[:, :, None, None], LANES), op.half),
        "bias": pack.block_bias(op.bias, y.channels, LANES),
    }
