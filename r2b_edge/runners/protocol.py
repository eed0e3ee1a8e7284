r"""The frames that the tool and the runner exchange: pure functions, no I/O.

A frame, both ways, little-endian:

    magic "R2B\xA5" | version u8 | op u8 | code u16 | tag u32 | a u32 | b u32 | length u32 | header CRC-32 u32
    | payload, `length` bytes | payload CRC-32 u32

The header's CRC covers the 24 bytes before it. `code` holds flags in a request and a status in a reply;
a reply's op has bit 7 set, and it repeats tag, a and b: by the tag a late reply is told from the one that is
waited for. The ops are told at the top of
firmware_templates/project/runner.c, the other end of the line.
"""

from __future__ import annotations

import enum
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from r2b_edge.errors import DeviceError

VERSION = 2
MAGIC = b"R2B\xa5"
REPLY = 0x80
FLAG_MARK = 1
MAX_PAYLOAD = 1 << 28  # far above any tensor here; a greater length is nonsense

MAX_WORDS = 256
_WORDS = re.compile(rb"(r2b_runner: [ -~]{1,120})\n")
_HEADER = struct.Struct("<4sBBHIIII")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
_INFO = struct.Struct("<16s7I")


class Op(enum.IntEnum):
    """What a request asks for."""

    INFO = 1
    LOAD = 2
    RUN = 3
    READ = 4
    STACK = 5
    QUIT = 6
    FILL = 7
    THREADS = 8


_STATUS = {
    1: "it speaks another protocol version",
    2: "it does not know this request",
    3: "it has no such tensor or step, that is no byte, or too many threads",
    4: "the payload has the wrong length",
    5: "the payload arrived damaged, or not all of it",
    6: "this build of it cannot do that",
    0x101: "the model was called with a wrong argument",
    0x102: "the arena is not aligned as the model needs",
}


@dataclass(frozen=True)
class Frame:
    """One request or reply; the meaning of `code`, `a` and `b` depends on `op`."""

    op: int
    code: int = 0
    a: int = 0
    b: int = 0
    payload: bytes = b""
    version: int = VERSION
    tag: int = 0


Unit = Literal["ns", "cycles"]
_UNITS: tuple[Unit | None, ...] = (None, "ns", "cycles")
"""By the number that a RUN reply gives (r2b_unit in firmware_templates/project/port.h)."""


@dataclass(frozen=True)
class Timing:
    """What steps took.

    Attributes:
        unit: of `counts`; None where the program has no counter, or one that stands still: QEMU's DWT does.
        counts: one a step; empty where there is no unit.
    """

    unit: Unit | None
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Info:
    """What a runner tells about its model.

    Attributes:
        hash: the first 16 bytes of the program's SHA-256.
        runtime_version: R2B_RUNTIME_VERSION of the C runtime.
        arena_bytes: size of the arena.
        arena_alignment: its alignment in bytes, a power of two.
        steps: number of steps.
        inputs: tensor indices of the model's inputs.
        outputs: tensor indices of its outputs.
        tensor_bytes: size of each tensor.
    """

    hash: bytes
    runtime_version: int
    arena_bytes: int
    arena_alignment: int
    steps: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensor_bytes: tuple[int, ...]


def encode(frame: Frame) -> bytes:
    """The bytes of a frame.

    Raises:
        ValueError: a field is out of its range.
    """
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload of {len(frame.payload)} bytes is too long")
    try:
        head = _HEADER.pack(
            *(MAGIC, frame.version, frame.op, frame.code, frame.tag, frame.a, frame.b),
            len(frame.payload),
        )
    except struct.error as error:
        raise ValueError(f"{frame} does not fit a frame: {error}") from error
    crc = _CRC.pack(zlib.crc32(head))
    return b"".join((head, crc, frame.payload, _CRC.pack(zlib.crc32(frame.payload))))


class Decoder:
    """Finds the frames in a stream of bytes that may hold noise.

    Attributes:
        noise: bytes skipped so far: before, between and in place of frames.
    """

    def __init__(self) -> None:
        self.noise = 0
        self._words = bytearray()
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data`, after all that came before, completes.

        A frame whose payload is damaged is skipped as noise, its header only: what follows is searched.
        """
        self._pending += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def words(self) -> str | None:
        """What a firmware says before it stops: the last line among the noise that begins with r2b_runner."""
        lines = _WORDS.findall(self._words)
        return lines[-1].decode() if lines else None

    def _next(self) -> Frame | None:
        while True:
            self._skip_to_magic()
            if len(self._pending) < HEADER_BYTES:
                return None
            head = bytes(self._pending[: _HEADER.size])
            _, version, op, code, tag, a, b, length = _HEADER.unpack(head)
            (crc,) = _CRC.unpack_from(self._pending, _HEADER.size)
            if crc != zlib.crc32(head) or length > MAX_PAYLOAD:
                self._drop(1)
                continue
            end = HEADER_BYTES + length
            if len(self._pending) < end + _CRC.size:
                return None
            payload = bytes(self._pending[HEADER_BYTES:end])
            if _CRC.unpack_from(self._pending, end) != (zlib.crc32(payload),):
                self._drop(HEADER_BYTES)
                continue
            del self._pending[: end + _CRC.size]
            return Frame(op, code, a, b, payload, version, tag)

    def _skip_to_magic(self) -> None:
        at = self._pending.find(MAGIC)
        if at < 0:
            # Keep what may be the beginning of a magic.
            tails = range(min(len(MAGIC) - 1, len(self._pending)), -1, -1)
            kept = next(n for n in tails if self._pending.endswith(MAGIC[:n]))
            at = len(self._pending) - kept
        self._drop(at)

    def _drop(self, count: int) -> None:
        self._words = (self._words + self._pending[:count])[-MAX_WORDS:]
        del self._pending[:count]
        self.noise += count


def check_reply(request: Frame, reply: Frame) -> bytes:
    """The payload of a reply that fits its request and reports success.

    Raises:
        DeviceError: another version, another request's reply, or a status that is not 0.
    """
    if reply.version != VERSION:
        raise DeviceError(
            f"the program speaks protocol version {reply.version}, this tool {VERSION}",
            "export and build it again",
        )
    asked = (request.op | REPLY, request.tag, request.a, request.b)
    if (reply.op, reply.tag, reply.a, reply.b) != asked:
        raise DeviceError(f"the program answered op {reply.op:#x} to a request for {request.op:#x}")
    if reply.code != 0:
        reason = _STATUS.get(reply.code, f"status {reply.code:#x}")
        raise DeviceError(
            f"the program refused {Op(request.op).name} ({request.a}, {request.b}): {reason}"
        )
    return reply.payload


def decode_timing(payload: bytes, steps: int) -> Timing:
    """The payload of a RUN reply about so many steps.

    Raises:
        DeviceError: it is none.
    """
    number, counts = int.from_bytes(payload[:4], "little"), payload[4:]
    if len(payload) < 4 or number >= len(_UNITS):
        raise DeviceError(f"the program timed {steps} steps in an unknown unit")
    unit = _UNITS[number]
    if len(counts) != (0 if unit is None else 8 * steps):
        raise DeviceError(f"the program timed {steps} steps in {len(counts)} bytes")
    return Timing(unit, struct.unpack(f"<{len(counts) // 8}Q", counts))


def decode_info(payload: bytes) -> Info:
    """The payload of an INFO reply.

    Raises:
        DeviceError: it contradicts itself.
    """
    if len(payload) < _INFO.size:
        raise DeviceError(f"the program described its model in {len(payload)} bytes, too few")
    digest, runtime, arena, alignment, steps, tensors, ins, outs = _INFO.unpack_from(payload)
    if len(payload) != _INFO.size + 4 * (tensors + ins + outs):
        raise DeviceError(f"the program described {tensors} tensors in {len(payload)} bytes")
    words = struct.unpack_from(f"<{tensors + ins + outs}I", payload, _INFO.size)
    inputs, outputs, sizes = words[:ins], words[ins : ins + outs], words[ins + outs :]
    if any(index >= tensors for index in inputs + outputs):
        raise DeviceError(f"the program named inputs or outputs beyond its {tensors} tensors")
    if any(size > arena for size in sizes):
        raise DeviceError(f"the program named a tensor larger than its arena of {arena} bytes")
    return Info(digest, runtime, arena, alignment, steps, inputs, outputs, sizes)
