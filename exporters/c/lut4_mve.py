"""The table lookup convolution with MVE (firmware_templates/kernels/r2b_lut4_mve.h): what differs from lut4.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from r2b_edge.exporters.c.lut4 import Fusion, Lut4, geometry
from r2b_edge.graph.graph import TensorType
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

    def workspace(self, op: Op, x: TensorType, y: TensorType) -> int:
        """Bytes that lut4_begin lays out before the lanes."""
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        tables = g.phases * g.vectors * g.lookups * TABLE_BYTES
        return tables + g.vectors * g.columns * g.chunks * (4 * (8 + MOST_SHIFT) + JOB_BYTES)

    def fuse(self, op: Op, x: TensorType, y: TensorType, tiles: Sequence[Tile]) -> Fusion:
        """How the epilogue is run: on 4 channels at a time, or on tiles of all of them."""
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        even = x.channels % 2 == 0 and y.channels % 4 == 0
        lanes = g.vectors * VECTOR_LANES_BYTES
        if even and is_fused([tile.kind for tile in tiles]):
            return Fusion({"finish": "R2B_LUT4_FLOATS", "starts": 0}, 4 * lanes)
        channels = -(-y.channels // 4) * 4
        return Fusion({"finish": "R2B_LUT4_TILES", "starts": 0}, channels * (lanes + 4))
