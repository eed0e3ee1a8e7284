"""1x1 binary convolution that only makes signs (firmware_templates/kernels/r2b_bconv_1x1.h): constants, choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2b_edge.exporters.c import lut4, pack
from r2b_edge.exporters.c.layout import Words, chw
from r2b_edge.graph.graph import TensorType
from r2b_edge.ops import BinaryConv, Op

if TYPE_CHECKING:  # they import this
    from r2b_edge.exporters.c.kernel import Field
    from r2b_edge.exporters.c.select import Tile

MOST_CHANNELS = 64
"""Of the input: a sum is at most 128 + channels, in 8 bits; and the tables take 128 bytes for each."""
OUTPUTS = 32
"""That share tables."""


def halves(x: TensorType) -> int:
    """Sixteens of input channels."""
    return -(-x.channels // 16)


@dataclass(frozen=True)
class Pointwise:
    """What the registry asks of a family's kernel.

    Args:
        others: the family's kernel of r2b_lut4.h, to compare with.
    """

    others: lut4.Lut4

    def fits(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """True for windows of one pixel without a border, on few channels."""
        assert isinstance(op, BinaryConv)
        window = op.window
        pointwise = window.kernel == (1, 1) and not any(window.pads) and op.groups == 1
        return pointwise and x.is_map and x.channels <= MOST_CHANNELS

    def takes(self, op: Op, x: TensorType, y: TensorType, tiles: Sequence[Tile]) -> bool:
        """True if the epilogue is one comparison of integers for each channel."""
        assert isinstance(op, BinaryConv)
        return lut4.thresholds(op, x, y, tiles) is not None

    def wins(self, op: Op, x: TensorType, y: TensorType) -> bool:
        """False where tables of the input or carry-save adders should be faster: few pixels, few outputs."""
        assert isinstance(op, BinaryConv)
        outputs, height, width = chw(y)
        # Signs of each output's pixels, which take a dozen instructions for 8 of them, are the others' own business.
        own = -(-outputs // OUTPUTS) * halves(x) * (1600 + height * width * 60)
        return own < self.others.least(op, x, y) + 2 * math.prod(chw(y))

    def workspace(self, op: Op, x: TensorType, y: TensorType) -> int:
        """Bytes of the tables."""
        return halves(x) * 4 * 16 * OUTPUTS

    def fields(self, op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
        """The parameters that do not depend on the epilogue."""
        assert isinstance(op, BinaryConv)
        return {"window": pack.window_fields(op.window, x, y)}

    def fuse(self, op: Op, x: TensorType, y: TensorType, tiles: Sequence[Tile]) -> lut4.Fusion:
        """Weights and thresholds. Where a sign is inverted, the weights are: then that side differs which was equal."""
        assert isinstance(op, BinaryConv)
        signs = lut4.thresholds(op, x, y, tiles)
        assert signs is not None
        fields: dict[str, Field] = {
            "weights": weights(op, x, signs),
            "starts": starts(x, signs),
        }
        return lut4.Fusion(fields, 0, {})


def weights(op: BinaryConv, x: TensorType, signs: lut4.Thresholds) -> Words:
    """Weights to words [ceil(O / 32), input channels up to 16]: bit o of a word is an output's, 1 for -1."""
    outputs = op.weight.shape[0]
    bits = (op.weight[:, :, 0, 0] < 0) ^ signs.flip[:, None]
    padded = np.pad(bits, [(0, -outputs % OUTPUTS), (0, -x.channels % 16)])
    blocks = padded.reshape(-1, OUTPUTS, padded.shape[1]).astype(np.uint32)
    shifts = np.arange(OUTPUTS, dtype=np.uint32)[:, None]
    return np.asarray(np.bitwise_or.reduce(blocks << shifts, axis=1))


def starts(x: TensorType, signs: lut4.Thresholds) -> Words:
    """128 - m, so that differing + start has its top bit set where the output is -1; bytes [ceil(O / 32)][8][4].

    With e = channels mod 2: -1 where (channels - 2 * differing + e) / 2 < limit, so m = (channels + e) / 2 - limit + 1.
    Inverted, -1 where differing < m: channels - differing, which inverted weights give, is at least channels - m + 1.
    """
    m = (x.channels + 1) // 2 - signs.limit.astype(np.int64) + 1
    m = np.where(signs.flip, x.channels - m + 1, m)
    values = (128 - np.clip(m, 0, x.channels + 1)).astype(np.uint8)
    blocks = np.pad(values, (0, -values.size % OUTPUTS)).reshape(-1, 4, 8)  # output 8 b + j
    return np.asarray(
        np.ascontiguousarray(blocks.transpose(0, 2, 1)).view("<u4")[..., 0].astype(np.uint32)
    )
