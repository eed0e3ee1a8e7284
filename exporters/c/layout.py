"""Layouts: how a graph tensor's values lie in memory, with pack and unpack for each.

A layout belongs to a tensor, not to a kernel family: kernels say which layouts they read and write, negotiate.py
gives every tensor one, and where a reader wants another one a Repack step stands between.

To add one: a Layout here, its value in r2b.h, and a kernel that repacks it from and to its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2b_edge.exporters.bits import pack, unpack, words
from r2b_edge.graph.graph import Array, TensorType

Words = NDArray[np.uint32]

NO_INTEGER = np.iinfo(np.int32).min


@dataclass(frozen=True)
class Layout:
    """One way to store a map [1, C, H, W] or a vector [1, C] (stored as a 1x1 map).

    Args:
        name: for messages.
        c_dtype: the r2b_dtype in C.
        c_layout: the r2b_layout in C.
        bits: True if it stores bits, False if it stores real values and integers.
        size: bytes of a tensor (c, h, w).
        encode: [H, W, C] to bytes.
        decode: bytes and (c, h, w) to [H, W, C].
    """

    name: str
    c_dtype: str
    c_layout: str
    bits: bool
    size: Callable[[int, int, int], int]
    encode: Callable[[Array], bytes]
    decode: Callable[[bytes, int, int, int], Array]

    def nbytes(self, kind: TensorType) -> int:
        """Bytes that a tensor of this type takes."""
        return self.size(*chw(kind))

    def pack(self, values: Array, kind: TensorType) -> bytes:
        """Store an array.

        Args:
            values: [1, C, H, W] or [1, C] as in the graph's interpreter: +-1 for bits, else numbers.
            kind: its type.

        Raises:
            ValueError: the shape differs from the type's.
        """
        if values.shape != kind.shape:
            raise ValueError(f"an array of shape {values.shape} is no {kind}")
        return self.encode(values.reshape(chw(kind)).transpose(1, 2, 0))

    def unpack(self, data: bytes, kind: TensorType) -> Array:
        """Read an array back, in the type's shape: int8 +-1 for bits, int32 for integers, else float32.

        What should be an integer and is none comes as the smallest int32.
        """
        if len(data) != self.nbytes(kind):
            raise ValueError(f"{len(data)} bytes are no {kind} in layout {self.name}")
        values = self.decode(data, *chw(kind)).transpose(2, 0, 1).reshape(kind.shape)
        if kind.dtype == "int32":
            whole = np.abs(values) < 2**31
            whole &= np.rint(values) == values
            return np.where(whole, values, NO_INTEGER).astype(np.int32)
        return np.ascontiguousarray(values)


def chw(kind: TensorType) -> tuple[int, int, int]:
    """Channels, height and width; a vector is a 1x1 map."""
    return (kind.shape[1], kind.shape[2], kind.shape[3]) if kind.is_map else (kind.shape[1], 1, 1)


def pack_words(negative: Array) -> Words:
    """Pack along the last axis: [..., C] booleans (True stands for -1) to [..., ceil(C / 32)] words; see bits.py."""
    return pack(np.where(negative, -1, 1).astype(np.int8)).view(np.uint32)


def _encode_floats(values: Array) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _decode_floats(data: bytes, c: int, h: int, w: int) -> Array:
    return np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(h, w, c)


def _encode_bytes(values: Array) -> bytes:
    with np.errstate(invalid="ignore"):
        stored = values.astype(np.uint8)
    if not np.array_equal(stored, values):
        raise ValueError("values that are no whole numbers from 0 to 255, of a tensor of bytes")
    return stored.tobytes()


def _decode_bytes(data: bytes, c: int, h: int, w: int) -> Array:
    return np.frombuffer(data, dtype=np.uint8).astype(np.float32).reshape(h, w, c)


def _encode_bits(values: Array) -> bytes:
    return pack_words(values < 0).astype("<u4").tobytes()


def _decode_bits(data: bytes, c: int, h: int, w: int) -> Array:
    return np.asarray(unpack(np.frombuffer(data, dtype="<i4").reshape(h, w, words(c)), c))


def _encode_chunks(values: Array) -> bytes:
    height, width, channels = values.shape
    lanes = pack_words(values < 0)
    if channels <= 64:
        lanes = np.tile(lanes, 4 // words(channels))
    spare = -lanes.shape[2] % 4
    padded = np.pad(lanes, [(0, 0), (0, 0), (0, spare)]).reshape(height, width, -1, 4)
    return padded.transpose(0, 2, 1, 3).astype("<u4").tobytes()


def _decode_chunks(data: bytes, c: int, h: int, w: int) -> Array:
    lanes = np.frombuffer(data, dtype="<i4").reshape(h, -1, w, 4).transpose(0, 2, 1, 3)
    return np.asarray(unpack(lanes.reshape(h, w, -1)[..., : words(c)], c))


NHWC = Layout(
    name="nhwc",
    c_dtype="R2B_FLOAT32",
    c_layout="R2B_LAYOUT_NHWC",
    bits=False,
    size=lambda c, h, w: 4 * c * h * w,
    encode=_encode_floats,
    decode=_decode_floats,
)

BYTES = Layout(
    name="bytes",
    c_dtype="R2B_UINT8",
    c_layout="R2B_LAYOUT_NHWC",
    bits=False,
    size=lambda c, h, w: c * h * w,
    encode=_encode_bytes,
    decode=_decode_bytes,
)
"""NHWC in uint8: inputs whose values are whole numbers from 0 to 255, see Graph.uint8_inputs."""

BITS32 = Layout(
    name="bits32",
    c_dtype="R2B_BITS",
    c_layout="R2B_LAYOUT_BITS32",
    bits=True,
    size=lambda c, h, w: 4 * words(c) * h * w,
    encode=_encode_bits,
    decode=_decode_bits,
)

BITS128 = Layout(
    name="bits128",
    c_dtype="R2B_BITS",
    c_layout="R2B_LAYOUT_BITS128",
    bits=True,
    size=lambda c, h, w: 16 * -(-c // 128) * h * w,
    encode=_encode_chunks,
    decode=_decode_chunks,
)
"""For vector registers: a row of the map holds a chunk of 128 channels of all its pixels, 16 bytes each, then the next
chunk. Up to 64 channels are stored twice, up to 32 four times: one vector meets the weights of as many output channels
at once."""

LAYOUTS = (NHWC, BYTES, BITS32, BITS128)
