from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2b_edge.errors import DeviceError
from r2b_edge.runners import protocol
from r2b_edge.runners.protocol import Decoder, Frame, Op

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
frames = st.builds(Frame, u8, u16, u32, u32, st.binary(max_size=200), u8, u32)
# Noise that likes to look like a frame's beginning, but never holds a whole header.
noise = st.lists(
    st.sampled_from([b"R", b"R2", b"R2B", b"R2B\xa5", b"R2B\xa5\x01\x01", b"\x00", b"hello\n"]),
    max_size=6,
).map(b"".join)


def feed_in_parts(decoder: Decoder, data: bytes, part: int) -> list[Frame]:
    return [f for at in range(0, len(data), part) for f in decoder.feed(data[at : at + part])]


@given(st.lists(frames, max_size=4), st.integers(1, 64))
def test_round_trip(sent: list[Frame], part: int) -> None:
    decoder = Decoder()
    assert feed_in_parts(decoder, b"".join(map(protocol.encode, sent)), part) == sent
    assert decoder.noise == 0


@given(st.lists(st.tuples(noise, frames), max_size=4), st.integers(1, 64))
def test_noise_between_frames_is_skipped(sent: list[tuple[bytes, Frame]], part: int) -> None:
    decoder = Decoder()
    data = b"".join(before + protocol.encode(frame) for before, frame in sent)
    assert feed_in_parts(decoder, data, part) == [frame for _, frame in sent]
    assert decoder.noise == sum(len(before) for before, _ in sent)


@given(frames, frames, st.data())
def test_a_cut_frame_costs_only_itself(cut: Frame, whole: Frame, data: st.DataObject) -> None:
    # The header's end is the last place where the loss can be told at once; a payload that never comes
    # is told by the time limit.
    at = data.draw(st.integers(0, protocol.HEADER_BYTES - 1))
    decoder = Decoder()
    assert decoder.feed(protocol.encode(cut)[:at]) == []
    assert decoder.feed(protocol.encode(whole)) == [whole]


@given(frames, st.data())
def test_a_damaged_frame_is_never_taken_for_another(frame: Frame, data: st.DataObject) -> None:
    encoded = bytearray(protocol.encode(frame))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    assert Decoder().feed(bytes(encoded)) == []


def test_a_frame_after_a_damaged_payload_is_found() -> None:
    damaged = bytearray(protocol.encode(Frame(Op.LOAD, payload=b"abcd")))
    damaged[protocol.HEADER_BYTES] ^= 1
    assert Decoder().feed(bytes(damaged) + protocol.encode(Frame(Op.QUIT))) == [Frame(Op.QUIT)]


@pytest.mark.parametrize(
    "frame",
    [
        Frame(256),
        Frame(1, code=-1),
        Frame(1, a=1 << 32),
        Frame(1, payload=bytes(protocol.MAX_PAYLOAD + 1)),
    ],
)
def test_what_does_not_fit_is_refused(frame: Frame) -> None:
    with pytest.raises(ValueError, match=r"frame|payload"):
        protocol.encode(frame)


def test_a_length_beyond_all_tensors_is_noise() -> None:
    head = struct.pack("<4sBBHIIII", protocol.MAGIC, 1, 1, 0, 0, 0, 0, protocol.MAX_PAYLOAD + 1)
    crc = struct.pack("<I", zlib.crc32(head))
    decoder = Decoder()
    assert decoder.feed(head + crc) == []
    assert decoder.feed(protocol.encode(Frame(1))) == [Frame(1)]


def reply(request: Frame, **changed: object) -> Frame:
    return Frame(
        **{"op": request.op | 0x80, "tag": request.tag, "a": request.a, "b": request.b, **changed}
    )  # type: ignore[arg-type]


def test_a_fitting_reply_gives_its_payload() -> None:
    request = Frame(Op.READ, a=3)
    assert protocol.check_reply(request, reply(request, payload=b"xy")) == b"xy"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 1}, "protocol version 1, this tool 2"),
        ({"op": 0x81}, "answered op 0x81"),
        ({"a": 4}, "answered op"),
        ({"tag": 8}, "answered op"),
        ({"code": 3}, "refused READ .3, 0.: it has no such tensor"),
        ({"code": 0x102}, "not aligned"),
        ({"code": 999}, "status 0x3e7"),
    ],
)
def test_an_unfitting_reply(changed: dict[str, object], message: str) -> None:
    request = Frame(Op.READ, a=3, tag=7)
    with pytest.raises(DeviceError, match=message):
        protocol.check_reply(request, reply(request, **changed))


def info(*words: int) -> bytes:
    return bytes(16) + struct.pack(f"<{len(words)}I", *words)


def test_info() -> None:
    told = protocol.decode_info(info(1, 64, 16, 5, 2, 1, 1, 0, 1, 32, 32))
    assert (told.steps, told.inputs, told.outputs, told.tensor_bytes) == (5, (0,), (1,), (32, 32))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        info(1, 64, 16, 5, 2, 1, 1, 0, 1, 32),  # a word too few
        info(1, 64, 16, 5, 0xFFFFFFFF, 1, 1, 0, 1, 32, 32),  # a count that would be 16 GB
        info(1, 64, 16, 5, 2, 1, 1, 0, 2, 32, 32),  # an output that is no tensor
        info(1, 64, 16, 5, 2, 1, 1, 0, 1, 32, 65),  # a tensor larger than the arena
    ],
)
def test_info_that_contradicts_itself(payload: bytes) -> None:
    with pytest.raises(DeviceError, match="the program"):
        protocol.decode_info(payload)


@given(st.binary(max_size=100))
def test_info_from_anything_is_info_or_an_error(payload: bytes) -> None:
    try:
        told = protocol.decode_info(payload)
    except DeviceError:
        return
    assert len(payload) == 44 + 4 * (len(told.inputs) + len(told.outputs) + len(told.tensor_bytes))


@pytest.mark.parametrize(
    ("payload", "unit", "counts"),
    [
        (struct.pack("<I", 0), None, ()),
        (struct.pack("<I2Q", 1, 5, 1 << 40), "ns", (5, 1 << 40)),
        (struct.pack("<I2Q", 2, 7, 0), "cycles", (7, 0)),
    ],
)
def test_timing(payload: bytes, unit: str | None, counts: tuple[int, ...]) -> None:
    told = protocol.decode_timing(payload, 2)
    assert (told.unit, told.counts) == (unit, counts)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\0\0\0", "unknown unit"),
        (struct.pack("<I", 3), "unknown unit"),
        (struct.pack("<I", 2), "in 0 bytes"),
        (struct.pack("<IQ", 2, 7), "in 8 bytes"),
        (struct.pack("<I2Q", 0, 0, 0), "in 16 bytes"),  # no unit, and counts nevertheless
    ],
)
def test_timing_that_contradicts_itself(payload: bytes, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        protocol.decode_timing(payload, 2)


def test_the_last_words_of_a_firmware() -> None:
    decoder = Decoder()
    assert decoder.feed(b"boot\nr2b_runner: exception 0x00000003") == []
    assert decoder.words() is None  # the line may go on
    assert decoder.feed(b" at address 0x08000100\n") == []
    assert decoder.words() == "r2b_runner: exception 0x00000003 at address 0x08000100"
    inside = Frame(Op.READ, payload=b"r2b_runner: just data\n")
    other = Decoder()
    assert other.feed(protocol.encode(inside)) == [inside]
    assert other.words() is None
