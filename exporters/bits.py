"""Packed bits, as Larq Compute Engine and our C runtime store them.

Along the last axis (channels, NHWC), 32 to an int32 word, channel 32 w + b in bit b of word w. Bit 0 is +1 and bit
1 is -1. The unused bits of the last word are 0 in activations and in filters alike, so that they cancel in
`x xor w`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD = 32


def words(channels: int) -> int:
    """Number of int32 words that hold `channels` bits."""
    return -(-channels // WORD)


def pack(bits: NDArray[np.int8]) -> NDArray[np.int32]:
    """Pack +1 and -1 along the last axis: [..., C] to int32 [..., words(C)]."""
    channels = bits.shape[-1]
    spare = [(0, 0)] * (bits.ndim - 1) + [(0, words(channels) * WORD - channels)]
    octets = np.packbits(np.pad(bits < 0, spare), axis=-1, bitorder="little")
    return np.ascontiguousarray(octets).view("<i4").astype(np.int32)


def unpack(packed: NDArray[np.int32], channels: int) -> NDArray[np.int8]:
    """Undo `pack`: int32 [..., words(channels)] to +1 and -1 [..., channels]."""
    octets = np.ascontiguousarray(packed.astype("<i4")).view(np.uint8)
    negative = np.unpackbits(octets, axis=-1, bitorder="little")[..., :channels]
    return (1 - 2 * negative.astype(np.int8)).astype(np.int8)
