"""Float weights in blocks of 8 output channels: what r2b_fconv_blocks.h asks of the exporter, for dsp and neon."""

from __future__ import annotations

from r2b_edge.exporters.c import pack
from r2b_edge.exporters.c.anchors import BytesConv
from r2b_edge.exporters.c.kernel import Split
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import Dense, FloatConv, Op

BLOCK = 8
"""Output channels of a block."""


def conv_fits(op: Op, x: TensorType, y: TensorType) -> bool:
    """The taps of a window must lie side by side in a row of the map."""
    assert isinstance(op, FloatConv)
    side_by_side = op.window.dilations[1] == 1 or op.window.kernel[1] == 1
    return op.groups == 1 and side_by_side and _few_spare(y.channels)


def bytes_fits(op: Op, x: TensorType, y: TensorType) -> bool:
    """As without bytes."""
    assert isinstance(op, BytesConv)
    return conv_fits(op.conv, x, y)


def dense_fits(op: Op, x: TensorType, y: TensorType) -> bool:
    """Any that fills its blocks."""
    return _few_spare(y.channels)


def _few_spare(outputs: int) -> bool:
    """True if whole blocks hold at most a quarter more weights than there are."""
    return 4 * pack.align(outputs, BLOCK) <= 5 * outputs


def workspace(pixels: int, op: Op, x: TensorType, y: TensorType) -> int:
    """Bytes of so many pixels' results, in whole blocks."""
    return 4 * pixels * pack.align(y.channels, BLOCK)


def bytes_workspace(pixels: int, op: Op, x: TensorType, y: TensorType) -> int:
    """The same, and the rows under the window."""
    assert isinstance(op, BytesConv)
    return workspace(pixels, op, x, y) + pack.rows_bytes(op.window, x)


def bytes_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Array | dict[str, int]]:
    """The members of r2b_fconv_blocks, for bytes."""
    assert isinstance(op, BytesConv)
    return {**conv_fields(op.conv, x, y), **pack.affine(op.scale, op.offset, x.channels)}


def conv_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Array | dict[str, int]]:
    """The members of r2b_fconv_blocks."""
    assert isinstance(op, FloatConv)
    return {
        "window": pack.window_fields(op.window, x, y),
        "weights": pack.stored(pack.conv_blocks(op.weight, BLOCK), op.half),
        "bias": pack.block_bias(op.bias, y.channels, BLOCK),
    }


def dense_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Array | int]:
    """The members of r2b_dense, in blocks."""
    assert isinstance(op, Dense)
    return {
        "in_channels": x.channels,
        "out_channels": y.channels,
        "weights": pack.stored(pack.conv_blocks(op.weight[:, :, None, None], BLOCK), op.half),
        "bias": pack.block_bias(op.bias, y.channels, BLOCK),
    }


def dense_split(op: Op, x: TensorType, y: TensorType, cores: int) -> Split:
    """Shares of the pairs of blocks."""
    pairs = -(-y.channels // (2 * BLOCK))
    return Split({"tasks": min(cores, pairs)})
