"""Weights of polyphase Winograd convolutions: what r2b_fconv_winograd_neon.h asks of the exporter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from r2b_edge.exporters.c import pack
from r2b_edge.exporters.c.kernel import Split
from r2b_edge.exporters.c.layout import chw
from r2b_edge.exporters.c.lut4 import Fusion
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import Clip, FloatConv, Op
from r2b_edge.ops.base import Floats

if TYPE_CHECKING:  # it imports the registry's kernels
    from r2b_edge.exporters.c.select import Tile

TILE = 4
"""Rows and columns of results that are made together."""
GROUP = 8
"""Tiles of a group, and output channels of a block."""
SPAN = 16
"""Tiles of a row whose inputs are there together."""
MOST_CHANNELS = 4
POINTS = {3: (1.0, -1.0, 2.0, 0.0), 7: (1.0, -1.0, 2.0, -2.0, -0.5, 0.0)}
"""By the kernel's size: the finite points, in order; infinity follows."""
SCALES = {-0.5: 2.0}
"""What a row of G is divided by, and of A^T multiplied with; elsewhere 1."""
LEAST_TILES = {3: 196, 7: 8}
"""Of a map, by kernel: with fewer, transforms and half-filled groups eat up what products are saved.

3x3 saves a fifth, for 9 times the weights and a workspace that would fill a small network's arena: images from 112 on.
"""


def fits(op: Op, x: TensorType, y: TensorType) -> bool:
    """Windows of 3x3 or 7x7, stride 2, on up to 4 channels; whole blocks of output channels."""
    assert isinstance(op, FloatConv)
    window = op.window
    return (
        window.kernel in ((3, 3), (7, 7))
        and window.strides == (2, 2)
        and window.dilations == (1, 1)
        and op.groups == 1
        and x.channels <= MOST_CHANNELS
        and y.channels % GROUP == 0
    )


def wins(op: Op, x: TensorType, y: TensorType) -> bool:
    """True if there are enough tiles, and output channels that share their transforms."""
    assert isinstance(op, FloatConv)
    _, height, width = chw(y)
    tiles = (height // TILE) * (width // TILE)
    return tiles >= LEAST_TILES[op.weight.shape[2]] and y.channels >= 2 * GROUP


def takes(op: Op, x: TensorType, y: TensorType, tiles: Sequence[Tile]) -> bool:
    """False where so little may be left of sums that their rounding is large beside it: a clip of both sides, tanh."""
    clips = [tile.node.op for tile in tiles if tile.node is not None and tile.kind == "CLIP"]
    bounded = any(
        isinstance(clip, Clip) and np.isfinite([clip.low, clip.high]).all() for clip in clips
    )
    return not bounded and not {"CALL", "SIGMOID"} & {tile.kind for tile in tiles}


def generator(size: int) -> NDArray[np.float64]:
    """G [points, taps of a parity] for a kernel of so many rows, as r2b_fconv_winograd_neon.h derives it."""
    points = np.array(POINTS[size])
    taps = (size + 1) // 2
    apart = points[:, None] - points + np.eye(len(points))
    scale = np.array([SCALES.get(a, 1.0) for a in POINTS[size]])
    rows = points[:, None] ** np.arange(taps) / (apart.prod(axis=1) * scale)[:, None]
    return np.concatenate([rows, np.eye(taps)[-1:]])


def steps(size: int, channels: int) -> int:
    """Products of a tile and an output channel, with the zero that makes them even."""
    finite = len(POINTS[size])
    return (4 * finite * finite + 4 * finite) * channels + pack.align(channels, 2)


def weights(weight: Array) -> Floats:
    """Weights [O, C, 3 or 7, 3 or 7] as the products want them: [O / 8, steps, 8], computed in double."""
    outputs, channels, size, _ = weight.shape
    g = generator(size)
    even = np.pad(weight.astype(np.float64), [(0, 0), (0, 0), (0, 1), (0, 1)])
    taps = even.reshape(outputs, channels, g.shape[1], 2, g.shape[1], 2)
    at_points = np.einsum("ia,ocapbq,jb->ijpqco", g, taps, g)  # iy, ix, py, px, channel, output
    finite = len(g) - 1
    parts = []
    for iy in range(finite + 1):
        for ix in range(finite + 1):
            rows, columns = (slice(2 if i < finite else 1) for i in (iy, ix))
            part = at_points[iy, ix, rows, columns].reshape(-1, outputs)
            parts.append(np.pad(part, [(0, len(part) % 2), (0, 0)]))
    packed = np.concatenate(parts).reshape(-1, outputs // GROUP, GROUP)
    return pack.floats(packed.transpose(1, 0, 2))


def fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Array | dict[str, int]]:
    """The members of r2b_fconv_blocks."""
    assert isinstance(op, FloatConv)
    return {
        "window": pack.window_fields(op.window, x, y),
        "weights": weights(op.weight),
        "bias": pack.floats(op.bias, y.channels),
    }


def workspace(op: Op, x: TensorType, y: TensorType) -> int:
    """Bytes of the planes, the inputs of a span of tiles, and what one task has."""
    assert isinstance(op, FloatConv)
    size = op.window.kernel[0]
    points = len(POINTS[size]) + 1
    across = pack.align(-(-chw(y)[2] // TILE), TILE)
    planes = (2 * points - 1) * 2 * x.channels * (TILE * across + TILE)
    inputs = steps(size, x.channels) * min(across, SPAN)
    return 4 * (planes + inputs) + _task(points)


def _task(points: int) -> int:
    """Bytes of the sums of a group and a block, and of their pixels."""
    return 4 * GROUP * GROUP * (points - 2 + 4 * points + TILE * TILE)


def share(op: Op, x: TensorType, y: TensorType, cores: int) -> Split:
    """Tasks share the blocks of output channels."""
    assert isinstance(op, FloatConv)
    tasks = min(cores, y.channels // GROUP)
    points = len(POINTS[op.window.kernel[0]]) + 1
    return Split({"tasks": tasks}, workspace=(tasks - 1) * _task(points))


def fuse(op: Op, x: TensorType, y: TensorType, tiles: Sequence[Tile]) -> Fusion:
    """Bytes of a group's pixels in all channels, where the epilogue may have no place for them."""
    kinds = [tile.kind for tile in tiles]
    while kinds and kinds[-1] in ("BITS", "MEAN"):
        kinds.pop()
    has_place = kinds[-1:] == ["STORE"] and not any(tile.reads_pixel for tile in tiles)
    return Fusion({}, 0 if has_place else 4 * TILE * TILE * GROUP * y.channels)
