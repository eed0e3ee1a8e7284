"""What bconv_neon asks of the exporter: blocks of output channels, and signs as limits of the dot products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r2b_edge.exporters.c import lut4, pack, split
from r2b_edge.exporters.c.kernel import Field, Split
from r2b_edge.exporters.c.layout import chw, pack_words
from r2b_edge.exporters.c.pack import align, window_fields
from r2b_edge.exporters.c.select import Tile
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import BinaryConv, Op


def fits(op: Op, x: TensorType, y: TensorType) -> bool:
    """Half a dot product has 16 bits."""
    assert isinstance(op, BinaryConv)
    return op.groups == 1 and op.weight[0].size < 2**16 - 3 and op.pad_value in (-1, 0, 1)


def workspace(op: Op, x: TensorType, y: TensorType) -> int:
    """Bytes: sums of 7 pixels, an epilogue's constants, and where the taps of a row begin and end."""
    assert isinstance(op, BinaryConv)
    outputs, channels, _, _ = op.weight.shape
    sums = 7 * 2 * align(outputs, pack.block_channels(channels))
    constants = 20 * align(outputs, 8)
    starts_and_columns = 16 * max(chw(y)[2], 7) + 8 * chw(y)[2]
    return sums + constants + starts_and_columns


def share(op: Op, x: TensorType, y: TensorType, cores: int) -> Split:
    """Rows, and runs of 128 channels where there are so few rows that their shares differ too much."""
    assert isinstance(op, BinaryConv)
    outputs, channels, _, _ = op.weight.shape
    _, height, width = chw(y)
    rows, runs = split.grid(height, -(-outputs // 128), cores)
    sums = 7 * 2 * align(outputs, pack.block_channels(channels))
    constants = 4 * max(0, rows * 8 - 40) * align(outputs, 8) // 8
    more = (rows - 1) * sums + constants + (rows * runs - 1) * 16 * max(width, 7)
    return Split({"row_tasks": rows, "channel_tasks": runs}, rows, more)


def fuse(op: Op, x: TensorType, y: TensorType, tiles: Sequence[Tile]) -> lut4.Fusion:
    """Signs behind constants and slopes become signs of the dot products, twice the sums, where these are even."""
    assert isinstance(op, BinaryConv)
    signs = lut4.thresholds(op, x, y, tiles) if x.channels % 2 == 0 else None
    if signs is None:
        return lut4.Fusion({}, 0)
    flip: dict[str, Array] = {"flip": pack_words(signs.flip)} if signs.flip.any() else {}
    return lut4.Fusion({}, 0, {"a": (2 * signs.limit).astype(np.float32), **flip})


def fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    """Members of r2b_bconv_blocks, but for its tasks."""
    assert isinstance(op, BinaryConv)
    return {
        "window": window_fields(op.window, x, y),
        "pad_value": op.pad_value,
        "weights": pack.block_weights(op.weight),
        "border": pack.border_counts(op.weight, op.pad_value) if op.pad_value else 0,
    }
