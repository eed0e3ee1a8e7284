"""The table lookup convolution with MVE (firmware_templates/kernels/r2b_lut4_mve.h): what differs from lut4.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2b_edge.exporters.c import lut4
from r2b_edge.exporters.c.kernel import Field
from r2b_edge.exporters.c.layout import chw, pack_words
from r2b_edge.exporters.c.lut4 import Fusion, Geometry, Lut4, geometry
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import BinaryConv, Op

if TYPE_CHECKING:  # which imports this
    from r2b_edge.exporters.c.select import Tile

PIXELS = 32
LOOKUP = 4.0
"""Instructions of a lookup."""
MOST_SHIFT = 8
"""Pixels to either side; what is beyond needs guard words, of which there are so many."""
TABLE_BYTES = 256
JOB_BYTES = 32
VECTOR_LANES_BYTES = 64
SIGNS_CHANNELS = 6
"""R2B_LUT4_SIGNS: channels for whose lanes there is room."""

PAIR_KERNEL = 3
"""Rows of the kernel."""
PAIR_ROWS = 4
"""Rows of tables that two vectors share."""
PAIR_CHUNK, PAIR_FIRST = 16, 21
"""Groups of a run behind the first one, in blocks of 8, and the most that the first one can have: 63 lookups."""
PAIR_JOB_BYTES = 24
PAIR_SUMS_BYTES = 2 * 4 * (MOST_SHIFT + 8 + MOST_SHIFT)

BEFORE = ("AFFINE", "MUL_VECTOR", "PRELU", "ADD_MAP")
AFTER = frozenset({"STORE", "MEAN", "BITS"})
"""What R2B_LUT4_FLOATS does: each of BEFORE at most once, in this order, then each of AFTER at most once."""


def is_fused(kinds: Sequence[str]) -> bool:
    """True if these tile operations run on 4 channels of a pixel at a time."""
    left = list(kinds)
    for kind in BEFORE:
        if left and left[0] == kind:
            left.pop(0)
    return set(left) <= AFTER and len(left) == len(set(left))


def shared_bytes(finish: str, vectors: int, outputs: int) -> int:
    """What lut4_lay_out takes: octets, lanes, words, and constants or a tile."""
    blocks = -(-outputs // 4)
    octets, lanes = vectors * 64, vectors * VECTOR_LANES_BYTES
    words = vectors * 4 * PIXELS
    match finish:
        case "R2B_LUT4_TILES":
            return octets + 4 * blocks * (lanes + 4)
        case "R2B_LUT4_SIGNS":
            return octets + SIGNS_CHANNELS * lanes + words
        case _:
            return octets + 4 * lanes + words + 80 * blocks


@dataclass(frozen=True)
class Lut4Mve(Lut4):
    """What the registry asks of bconv_lut4_mve."""

    pixels: int = PIXELS
    cost: float | None = LOOKUP

    def fits(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """As the others, with shifts up to MOST_SHIFT pixels."""
        assert isinstance(op, BinaryConv)
        low, high = geometry(op, x, y, self.pixels).shifts
        return super().fits(op, x, y) and low >= -MOST_SHIFT and high <= MOST_SHIFT

    def wins(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """As the others, and where pairs of vectors do not."""
        return super().wins(op, x, y) and not Lut4PairMve().is_better(op, x, y)

    def workspace(self, op: Op, x: TensorType, y: TensorType) -> int:
        """Bytes that the kernel lays out before lut4_lay_out."""
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        tables = g.phases * g.vectors * g.lookups * TABLE_BYTES
        return tables + g.vectors * g.columns * g.chunks * (4 * (8 + MOST_SHIFT) + JOB_BYTES)

    def vectors(self, g: Geometry) -> int:
        """That are finished together."""
        return g.vectors

    def fuse(self, op: Op, x: TensorType, y: TensorType, tiles: Sequence[Tile]) -> Fusion:
        """How the epilogue is run: as thresholds of integers, on 4 channels at a time, or on tiles of all of them."""
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        even = x.channels % 2 == 0 and y.channels % 4 == 0
        signs = lut4.thresholds(op, x, y, tiles)
        starts: Array | int = 0
        arrays: dict[str, Array] | None = None
        if signs is not None:
            finish, starts = "R2B_LUT4_SIGNS", _starts(signs)
            arrays = {"flip": pack_words(signs.flip)} if signs.flip.any() else {}
        elif even and is_fused([tile.kind for tile in tiles]):
            finish = "R2B_LUT4_FLOATS"
        else:
            finish = "R2B_LUT4_TILES"
        more = shared_bytes(finish, self.vectors(g), y.channels)
        return Fusion({"finish": finish, "starts": starts}, more, arrays)


def _starts(signs: lut4.Thresholds) -> Array:
    """-limit, int16 twice in a word: sums are centred here."""
    lanes = -signs.limit.astype(np.int64) & 0xFFFF
    return (lanes << 16 | lanes).astype(np.uint32)


@dataclass(frozen=True)
class Lut4PairMve(Lut4Mve):
    """What the registry asks of bconv_lut4_pair_mve."""

    def fits(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """Three rows at stride 1; a row of the map in a vector."""
        assert isinstance(op, BinaryConv)
        w = op.window
        rows = (w.kernel[0], w.dilations[0], *w.strides) == (PAIR_KERNEL, 1, 1, 1)
        return rows and super().fits(op, x, y) and geometry(op, x, y, self.pixels).vectors == 1

    def is_better(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """True if there are rows for a second vector."""
        assert isinstance(op, BinaryConv)
        return self.fits(op, x, y) and chw(y)[1] > geometry(op, x, y, self.pixels).rows

    def wins(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """Where it is better than a vector at a time, and that is better than no tables."""
        return Lut4.wins(self, op, x, y) and self.is_better(op, x, y)

    def workspace(self, op: Op, x: TensorType, y: TensorType) -> int:
        """Bytes that the kernel lays out before lut4_lay_out."""
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        taps = g.columns * len(_runs(g))
        return g.groups * PAIR_ROWS * TABLE_BYTES + taps * (PAIR_SUMS_BYTES + PAIR_JOB_BYTES)

    def vectors(self, g: Geometry) -> int:
        """That are finished together."""
        return 2

    def fields(self, op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
        """The parameters that do not depend on the epilogue."""
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        runs = _runs(g)
        bits = lut4.weight_bits(op, g).transpose(0, 1, 3, 2, 4)  # [O, KW, groups, KH, 4]
        border: Array | int = 0
        if op.pad_value:
            equal = lut4.border_lookups(op, g).transpose(0, 1, 3, 2)
            in_order = equal.reshape(*equal.shape[:2], g.lookups)
            border = lut4.sums_of_runs(in_order, [PAIR_KERNEL * groups for groups in runs])
        return super().fields(op, x, y) | {
            "chunks": len(runs),
            "weights": lut4.packed(bits.reshape(*bits.shape[:2], g.lookups, 4)),
            "border": border,
        }


def _runs(g: Geometry) -> list[int]:
    """Groups of each run of a kernel column: all but the first in whole blocks."""
    behind = max(0, -(-(g.groups - PAIR_FIRST) // PAIR_CHUNK))
    return [g.groups - PAIR_CHUNK * behind, *[PAIR_CHUNK] * behind]
