"""Binary convolution by table lookup (firmware_templates/kernels/r2b_lut4.h): geometry, constants, thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2b_edge.exporters.c import pack
from r2b_edge.exporters.c.layout import Words, chw, pack_words
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import BinaryConv, ChannelAffine, Clip, Op, PReLU, Step
from r2b_edge.ops.base import Floats

if TYPE_CHECKING:  # they import this
    from r2b_edge.exporters.c.kernel import Field
    from r2b_edge.exporters.c.select import Tile

MOST_LOOKUPS = 63
"""Of a run: each adds up to 4 to a byte."""
RUN_WORDS = 7
"""Of weights, 8 lookups each, in a run that is not the first of its column."""
HALF_LIMIT = 2**14
"""Half the bits of a window: a difference of two such numbers has 16 bits."""

ELEMENTWISE = frozenset({
    "AFFINE", "PRELU", "CLIP", "ADD_MAP", "MUL_MAP", "ADD_VECTOR", "MUL_VECTOR", "STORE", "BITS", "MEAN",
})  # fmt: skip
"""Tile operations that R2B_LUT4_FLOATS does."""


@dataclass(frozen=True)
class Geometry:
    """How a convolution lies in vectors of pixels; see r2b_lut4.h.

    Args:
        groups: of 4 input channels.
        lookups: of a kernel column.
        rows: of the output that share a vector.
        vectors: of a row.
        phases: of columns.
        chunks: runs of lookups of a kernel column.
        columns: of the kernel.
        shifts: the least and the greatest x-shift of a kernel column.
    """

    groups: int
    lookups: int
    rows: int
    vectors: int
    phases: int
    chunks: int
    columns: int
    shifts: tuple[int, int]

    @property
    def words(self) -> int:
        """Of a kernel column's weights."""
        return -(-self.lookups // 8)

    @property
    def half(self) -> int:
        """Half the bits that the lookups of a window compare, the channels filled up."""
        return 2 * self.lookups * self.columns

    @property
    def chunk_words(self) -> list[int]:
        """Words of each chunk of a kernel column."""
        return [
            self.words // self.chunks + (i < self.words % self.chunks) for i in range(self.chunks)
        ]


def geometry(op: BinaryConv, x: TensorType, y: TensorType, pixels: int) -> Geometry:
    """The geometry for vectors of so many pixels."""
    channels, _, width = chw(x)
    (_, _, out_width), window = chw(y), op.window
    (kernel_y, kernel_x), stride = window.kernel, window.strides[1]
    columns = max(-(-width // stride), out_width)
    rows = next((r for r in (4, 2) if columns * r <= pixels), 1)
    groups = -(-channels // 4)
    lookups = kernel_y * groups
    starts = [(k * window.dilations[1] - window.pads[1]) // stride for k in (0, kernel_x - 1)]
    return Geometry(
        groups=groups,
        lookups=lookups,
        rows=rows,
        vectors=-(-columns // pixels),
        phases=min(stride // math.gcd(stride, window.dilations[1]), kernel_x),
        chunks=1 if lookups <= MOST_LOOKUPS else -(-lookups // (8 * RUN_WORDS)),
        columns=kernel_x,
        shifts=(starts[0], starts[1]),
    )


def _align(size: int) -> int:
    return -(-size // 16) * 16


@dataclass(frozen=True)
class Fusion:
    """What the kernel makes of an epilogue.

    Args:
        fields: its parameters.
        workspace: bytes beside those of `workspace`.
        arrays: where the whole epilogue is in the parameters: what its last operation still needs. Else None.
    """

    fields: dict[str, Field]
    workspace: int
    arrays: dict[str, Array] | None = None


def weights(op: BinaryConv, g: Geometry) -> Words:
    """Weights to words [O, KW, words]: 4 bits a lookup, bit 1 for -1, each run of lookups ending at a word's end."""
    bits = weight_bits(op, g)
    return packed(bits.reshape(*bits.shape[:2], g.lookups, 4))


def packed(bits: Array) -> Words:
    """Bits [O, KW, lookups, 4] to words [O, KW, words]."""
    nibbles = (bits << np.arange(4)).sum(axis=3)
    padded = np.pad(nibbles, [(0, 0), (0, 0), (-nibbles.shape[2] % 8, 0)])
    shifts = np.arange(0, 32, 4, dtype=np.uint32)
    lanes = padded.reshape(*padded.shape[:2], -1, 8).astype(np.uint32)
    return np.asarray(np.bitwise_or.reduce(lanes << shifts, axis=3))


def weight_bits(op: BinaryConv, g: Geometry) -> Array:
    """Weights as bits [O, KW, KH, groups, 4]; channels beyond the last have 0, 1, 0: their signs add up to 0 or +1."""
    outputs, channels, kernel_y, kernel_x = op.weight.shape
    bits = np.zeros((outputs, kernel_x, kernel_y, 4 * g.groups), dtype=bool)
    bits[..., :channels] = op.weight.transpose(0, 3, 2, 1) < 0
    bits[..., channels + 1 : channels + 2] = True
    return bits.reshape(outputs, kernel_x, kernel_y, g.groups, 4)


def border(op: BinaryConv, g: Geometry) -> Words:
    """Equal bits of a run whose input is all pad_value: bytes [O, KW, chunks], four to a word."""
    equal = border_lookups(op, g)
    lookups = [8 * words for words in g.chunk_words]
    lookups[0] -= 8 * g.words - g.lookups
    return sums_of_runs(equal.reshape(*equal.shape[:2], g.lookups), lookups)


def border_lookups(op: BinaryConv, g: Geometry) -> Array:
    """Equal bits [O, KW, KH, groups] of each lookup whose input is all pad_value."""
    x = np.zeros(4 * g.groups, dtype=bool)
    x[: op.weight.shape[1]] = op.pad_value < 0
    return np.asarray((weight_bits(op, g) == x.reshape(g.groups, 4)).sum(axis=4))


def sums_of_runs(equal: Array, lookups: Sequence[int]) -> Words:
    """Sums over runs of so many of the last axis of [O, KW, lookups], as bytes, four to a word."""
    sums = np.add.reduceat(equal, np.cumsum([0, *lookups[:-1]]), axis=2)
    flat = sums.astype(np.uint8).reshape(-1)
    return np.asarray(np.pad(flat, (0, -flat.size % 4)).view("<u4").astype(np.uint32))


@dataclass(frozen=True)
class Thresholds:
    """A sign as a comparison of integers: -1 where (dot + excess) / 2 < limit, inverted by flip.

    Args:
        limit: int32 [C].
        flip: bool [C].
    """

    limit: Array
    flip: Array


def thresholds(
    op: BinaryConv, x: TensorType, y: TensorType, tiles: Sequence[Tile]
) -> Thresholds | None:
    """The thresholds of an epilogue that only makes signs, by constants; None for any other.

    Every value that a dot product can have goes through the operations in float32, one rounding each, as
    r2b_epilogue_tile has it without fused multiply-adds; the signs must change at most once. Nothing is solved for, so
    that ties and roundings are those of the arithmetic itself.
    """
    *before, last = tiles
    constants = all(t.node and t.kind in ("AFFINE", "PRELU", "CLIP") for t in before)
    if last.kind != "BITS" or last.node is None or not constants:
        return None
    excess = _excess(op, x)
    if excess is None:
        return None
    most = (op.weight[0].size + excess) // 2 + 1  # beyond what (dot + excess) / 2 reaches
    values = np.arange(-most, most + 1)
    t = np.repeat((2 * values - excess).astype(np.float32)[:, None], y.channels, axis=1)
    for tile in before:
        assert tile.node is not None
        t = _apply(tile, t)
    assert isinstance(last.node.op, Step)
    limit, flips = pack.thresholds(last.node.op)
    negative = t < limit  # [values, channels]
    changes = (negative[1:] != negative[:-1]).sum(axis=0)
    if changes.max() > 1:
        return None
    falls = negative[0] & ~negative[-1]  # -1 below the limit, as in the kernel
    rises = ~negative[0] & negative[-1]
    constant = changes == 0
    below = np.where(rises, ~negative, negative).sum(axis=0)  # values below the change
    at = np.where(constant, np.where(negative[0], most + 1, -most), below - most)
    assert (falls | rises | constant).all()
    flip = np.unpackbits(flips.view(np.uint8), bitorder="little")[: y.channels].astype(bool)
    return Thresholds(at.astype(np.int32), flip ^ rises)


def _apply(tile: Tile, t: Floats) -> Floats:
    """An operation of r2b_epilogue_tile on values [n, channels]."""
    assert tile.node is not None
    channels = t.shape[1]
    match tile.node.op:
        case ChannelAffine(scale=scale, offset=offset):
            return pack.floats(scale, channels) * t + pack.floats(offset, channels)
        case PReLU(slope=slope):
            return np.where(t >= 0, t, pack.floats(slope, channels) * t)
        case Clip(low=low, high=high):
            raised = np.where(t < np.float32(low), np.float32(low), t)
            return np.where(raised > np.float32(high), np.float32(high), raised)
        case other:
            raise AssertionError(f"{type(other).__name__} is none of AFFINE, PRELU, CLIP")


def _excess(op: BinaryConv, x: TensorType) -> int | None:
    """What an odd number of channels leaves in the sum, the taps inside the map; None where pixels differ in it."""
    if x.channels % 2 == 0:
        return 0
    kernel_y, kernel_x = op.window.kernel
    return None if any(op.window.pads) and op.pad_value == 0 else kernel_y * kernel_x


def starts(thresholds: Thresholds, g: Geometry) -> Words:
    """What the merge starts from: -half - limit, int16 twice in a word."""
    lanes = (-g.half - thresholds.limit).astype(np.int64) & 0xFFFF
    return (lanes << 16 | lanes).astype(np.uint32)


def _instructions(op: BinaryConv, g: Geometry, y: TensorType, lookup: float, run: float) -> float:
    """Of the layer, to a tenth or so of what is measured; the outputs' own are left out."""
    outputs, height, _ = chw(y)
    (kernel_y, kernel_x), stride = op.window.kernel, op.window.strides[0]
    made = min(kernel_y, g.rows * stride)  # rows of tables for the next rows of the output
    tables = g.phases * g.vectors * made * (100 * g.groups + 300)
    vector = kernel_x * (lookup * g.lookups + run * g.chunks) + 30
    return float(-(-height // g.rows) * (outputs * (g.vectors * vector + 50) + tables))


def _carry_save_instructions(op: BinaryConv, x: TensorType, y: TensorType) -> float:
    """What popcounts with carry-save adders take, the outputs' own left out: 9 for 32 products, 15 for their sum."""
    words = op.weight[0, 0].size * -(-x.channels // 32)
    return float(math.prod(chw(y)) * (9 * words + 15))


@dataclass(frozen=True)
class Lut4:
    """What the registry asks of a family's kernel.

    Args:
        pixels: of a vector.
        cost: instructions of a lookup; None wins always.
        run: instructions of a run of lookups, its merge included, beside them.
    """

    pixels: int
    cost: float | None
    run: float = 40.0

    def fits(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """True if it can be computed: counts have 16 bits, and one border vector on either side is enough."""
        assert isinstance(op, BinaryConv)
        if op.groups != 1 or not x.is_map or op.pad_value not in (-1, 0, 1):
            return False
        g = geometry(op, x, y, self.pixels)
        low, high = g.shifts
        return g.half < HALF_LIMIT and low >= -self.pixels and high <= self.pixels * 3 // 4

    def wins(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """False where carry-save adders should be faster: on maps of few pixels, with few outputs or short windows."""
        assert isinstance(op, BinaryConv)
        return self._own(op, x, y) < _carry_save_instructions(op, x, y)

    def least(self, op: BinaryConv, x: TensorType, y: TensorType) -> float:
        """Instructions, about, of it or of carry-save adders, whatever takes fewer; inf where it wins always."""
        if self.cost is None:
            return math.inf
        return min(self._own(op, x, y), _carry_save_instructions(op, x, y))

    def _own(self, op: BinaryConv, x: TensorType, y: TensorType) -> float:
        if self.cost is None:
            return 0.0
        return _instructions(op, geometry(op, x, y, self.pixels), y, self.cost, self.run)

    def workspace(self, op: Op, x: TensorType, y: TensorType) -> int:
        """Bytes that lut4_begin lays out whatever the epilogue is, for pointers of 8 bytes.

        A list of jobs takes 24 bytes a job then; the chain of r2b_lut4_v7m.h takes as much, and 8 more.
        """
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        taps = g.columns * g.chunks
        tables = g.phases * g.vectors * g.lookups * 16 * (self.pixels // 2)
        sums = taps * (g.vectors + 2) * self.pixels
        return tables + sums + _align(24 * g.vectors * (taps + 1) + 8) + _align(16 * taps)

    def fields(self, op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
        """The parameters that do not depend on the epilogue."""
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        return {
            "window": pack.window_fields(op.window, x, y),
            "pad_value": op.pad_value,
            "rows": g.rows,
            "vectors": g.vectors,
            "phases": g.phases,
            "chunks": g.chunks,
            "weights": weights(op, g),
            "border": border(op, g) if op.pad_value else 0,
        }

    def fuse(self, op: Op, x: TensorType, y: TensorType, tiles: Sequence[Tile]) -> Fusion:
        """How the epilogue is run."""
        assert isinstance(op, BinaryConv)
        g = geometry(op, x, y, self.pixels)
        lanes = g.vectors * 2 * self.pixels
        runs = 24 * g.vectors * (self.pixels // min(8, self.pixels // g.rows))
        kinds = [tile.kind for tile in tiles]
        if not set(kinds) <= ELEMENTWISE or kinds.count("BITS") > 1:
            more = y.channels * lanes + _align(4 * y.channels) + runs
            return Fusion({"finish": "R2B_LUT4_TILES", "starts": 0}, more)
        more = lanes + g.vectors * self.pixels + runs + 20 * y.channels
        signs = thresholds(op, x, y, tiles)
        if signs is None:
            return Fusion({"finish": "R2B_LUT4_FLOATS", "starts": 0}, more)
        flip: dict[str, Array] = {"flip": pack_words(signs.flip)} if signs.flip.any() else {}
        return Fusion({"finish": "R2B_LUT4_SIGNS", "starts": starts(signs, g)}, more, flip)
