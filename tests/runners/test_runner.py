"""The runner itself, built for the host, for the host with sanitizers, for a Pi and for a bare board in QEMU."""

from __future__ import annotations

import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from r2b_edge import targets
from r2b_edge.errors import DeviceError
from r2b_edge.runners import Session, connect, protocol
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.protocol import Decoder, Frame, Op
from r2b_edge.toolchain.build import Build

BUILDS: dict[str, dict[str, str | bool]] = {
    "host": {"target_name": "host"},
    "host-clang": {"target_name": "host", "compiler": "clang"},
    "host-sanitized": {"target_name": "host", "sanitize": True},
    "rpi4": {"target_name": "rpi4"},
    "stm32f405": {"target_name": "stm32f405"},
}
FOUR = struct.pack("<4f", 1.0, -2.0, 3.5, 0.0)


@pytest.fixture(params=BUILDS)
def session(request: pytest.FixtureRequest, tiny_build: Callable[..., Build]) -> Iterator[Session]:
    chosen = BUILDS[request.param]
    built = tiny_build(**chosen)
    device = connect("emulator", targets.load(str(chosen["target_name"])), time_limit_s=60.0)
    assert device.kind == ("host" if request.param.startswith("host") else "emulated")
    with device.open(built.runner) as opened:
        yield opened


def test_info(session: Session) -> None:
    info = session.info()
    assert info.hash == b"0123456789abcde\0"
    assert (info.arena_bytes, info.arena_alignment, info.steps) == (48, 16, 2)
    assert (info.inputs, info.outputs, info.tensor_bytes) == ((0,), (2,), (16, 16, 16))


def test_many_runs_in_one_program(session: Session, request: pytest.FixtureRequest) -> None:
    on_board = "stm32f405" in request.node.name
    for value in (0.0, 1.5, -3.0):
        session.load(0, struct.pack("<4f", value, 1.0, 2.0, 3.0))
        took = session.run(0, 1)
        if on_board:  # QEMU's cycle counter stands still, which is told
            assert (took.unit, took.counts) == (None, ())
        else:
            assert took.unit == "ns"
            assert len(took.counts) == 2
            assert all(0 < ns < 10**9 for ns in took.counts)
        assert struct.unpack("<4f", session.read(1)) == (2 * value, 2.0, 4.0, 6.0)
        assert struct.unpack("<4f", session.read(2)) == (2 * value + 1, 3.0, 5.0, 7.0)


def test_a_step_is_replayed_on_given_inputs(session: Session) -> None:
    session.load(1, FOUR)
    session.run(1, 1)
    assert struct.unpack("<4f", session.read(2)) == (2.0, -1.0, 4.5, 1.0)


def test_fill_reaches_the_whole_arena(session: Session) -> None:
    """The tensors are the arena, end to end; after it, steps compute as before."""
    for byte in (0xFF, 0, 0x7F):
        session.fill(byte)
        assert [session.read(i) for i in range(3)] == [bytes([byte]) * 16] * 3
    session.load(1, FOUR)
    session.run(1, 1)
    assert struct.unpack("<4f", session.read(2)) == (2.0, -1.0, 4.5, 1.0)
    assert session.read(0) == b"\x7f" * 16


def test_marked_steps_compute_the_same(session: Session) -> None:
    session.load(0, FOUR)
    session.run_marked(0, 1)
    assert struct.unpack("<4f", session.read(2)) == (3.0, -3.0, 8.0, 1.0)


def test_any_number_of_threads_computes_the_same(
    session: Session, request: pytest.FixtureRequest
) -> None:
    for threads in (1, 3, 4, 1):
        if threads > 1 and "stm32f405" in request.node.name:
            with pytest.raises(DeviceError, match="cannot do that"):
                session.threads(threads)
        else:
            session.threads(threads)
        session.load(0, FOUR)
        session.run(0, 1)
        assert struct.unpack("<4f", session.read(2)) == (3.0, -3.0, 8.0, 1.0)


def test_stack_is_that_of_the_deepest_step(
    session: Session, request: pytest.FixtureRequest
) -> None:
    if "host-sanitized" in request.node.name:
        with pytest.raises(DeviceError, match="cannot do that"):
            session.stack()
        return
    depth = session.stack()
    assert 5000 < depth < 5600  # the step's own 5000 bytes, and a few frames
    assert session.stack() == depth


@pytest.mark.parametrize("tensor", [-1, 3])
def test_indices_and_sizes_are_checked_before_sending(session: Session, tensor: int) -> None:
    with pytest.raises(ValueError, match="tensor"):
        session.read(tensor)
    with pytest.raises(ValueError, match="17 were given"):
        session.load(0, bytes(17))
    for first, last in ((0, 2), (1, 0), (-1, 0)):
        with pytest.raises(ValueError, match="steps"):
            session.run(first, last)


def raw_answers(program: Path, sent: bytes, count: int) -> list[Frame]:
    channel = ProcessChannel([program])
    try:
        deadline = time.monotonic() + 20.0
        channel.write(sent, deadline)
        decoder = Decoder()
        answers: list[Frame] = []
        while len(answers) < count:
            answers += decoder.feed(channel.read(deadline))
        assert decoder.noise == 0
        return answers
    finally:
        channel.close()


@pytest.mark.parametrize(
    ("request_frame", "status"),
    [
        (Frame(Op.INFO, version=3), 1),
        (Frame(Op.LOAD, a=0, payload=FOUR, version=3), 1),
        (Frame(99), 2),
        (Frame(Op.READ, code=1), 2),
        (Frame(Op.RUN, code=2, b=1), 2),
        (Frame(Op.READ, a=3), 3),
        (Frame(Op.LOAD, a=0xFFFFFFFF, payload=FOUR), 3),
        (Frame(Op.RUN, a=0, b=2), 3),
        (Frame(Op.RUN, a=1, b=0), 3),
        (Frame(Op.LOAD, a=0, payload=bytes(15)), 4),
        (Frame(Op.LOAD, a=0, payload=bytes(100_000)), 4),
        (Frame(Op.STACK, payload=b"x"), 4),
        (Frame(Op.FILL, a=256), 3),
        (Frame(Op.FILL, code=1), 2),
        (Frame(Op.FILL, payload=b"x"), 4),
        (Frame(Op.THREADS, a=0), 3),
        (Frame(Op.THREADS, a=257), 3),
    ],
)
def test_the_program_checks_too(
    request_frame: Frame, status: int, tiny_build: Callable[..., Build]
) -> None:
    sent = protocol.encode(request_frame) + protocol.encode(Frame(Op.QUIT))
    refused, done = raw_answers(tiny_build("host", sanitize=True).runner, sent, 2)
    assert (refused.op, refused.code, refused.payload) == (request_frame.op | 0x80, status, b"")
    assert refused.version == protocol.VERSION
    assert (done.op, done.code) == (Op.QUIT | 0x80, 0)


def test_the_program_finds_its_way_back_after_noise(tiny_build: Callable[..., Build]) -> None:
    damaged = bytearray(protocol.encode(Frame(Op.LOAD, a=0, payload=FOUR)))
    damaged[protocol.HEADER_BYTES + 1] ^= 0x40
    broken_header = bytearray(protocol.encode(Frame(Op.QUIT)))
    broken_header[9] ^= 1
    sent = b"".join(
        [
            b"login: R2B\xa5R2R2B\xa5\x01" + bytes(range(256)),
            bytes(broken_header),
            protocol.encode(Frame(Op.LOAD, a=0, payload=FOUR)),
            bytes(damaged),
            b"R2B",
            protocol.encode(Frame(Op.READ, a=2)),
        ]
    )
    loaded, refused, read = raw_answers(tiny_build("host", sanitize=True).runner, sent, 3)
    assert (loaded.op, loaded.code) == (Op.LOAD | 0x80, 0)
    assert (refused.op, refused.code) == (Op.LOAD | 0x80, 5)
    assert (read.op, read.payload) == (Op.READ | 0x80, bytes(16))


def test_the_program_ends_with_its_input(tiny_build: Callable[..., Build]) -> None:
    done = subprocess.run([tiny_build("host").runner], input=b"R2B", timeout=20, check=False)
    assert done.returncode == 0


def test_a_write_beyond_the_arena_is_caught(tiny_build: Callable[..., Build]) -> None:
    built = tiny_build("host", sanitize=True, c_flags="-DTINY_OVERRUN=1")
    device = connect("host", targets.load("host"), time_limit_s=60.0)
    with device.open(built.runner) as session:
        session.run(0, 0)
        with pytest.raises(DeviceError, match="SUMMARY: AddressSanitizer: heap-buffer-overflow"):
            session.run(1, 1)
