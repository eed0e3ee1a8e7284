"""The runner on every emulated board, and what goes wrong there: each fault is one clear error."""

from __future__ import annotations

import re
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from serial_board import serial, uart_runner

from r2b_edge import targets
from r2b_edge.errors import DeviceError
from r2b_edge.runners import Session, connect, protocol
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.protocol import Decoder, Frame, Op
from r2b_edge.runners.qemu import command
from r2b_edge.runners.session import StreamSession
from r2b_edge.toolchain import elf
from r2b_edge.toolchain.build import Build, build

BOARDS = [name for name in targets.names() if targets.load(name).os == "none"]
M4 = "stm32f405"
FLAGS = " ".join(targets.load(M4).flags)
FOUR = struct.pack("<4f", 1.0, -2.0, 3.5, 0.0)


# What QEMU 7.2 does not have: their programs for the UART are linked, and not run.
NO_BOARD = {"nrf52840", "rp2040", "rp2350", "stm32f746", "stm32h743"}


def uses(session: Session) -> None:
    """A tensor in, two steps, a tensor out, the stack."""
    session.load(0, FOUR)
    session.run(0, 1)
    assert struct.unpack("<4f", session.read(2)) == (3.0, -3.0, 8.0, 1.0)
    assert 5000 < session.stack() < 5200  # the second step's own 5000 bytes, and a few frames


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_boots_and_computes(name: str, tiny_build: Callable[..., Build]) -> None:
    """Over semihosting; over its own UART, where the emulated board has it."""
    target, built = targets.load(name), tiny_build(name)
    assert target.emulator is not None
    with connect("emulator", target, time_limit_s=60.0).open(built.runner) as session:
        uses(session)
    program, flash = uart_runner(built), target.region("code")
    assert flash is not None
    assert flash.origin <= elf.symbol_address(program, "r2b_uart_get") < flash.origin + 0x4000
    assert program.with_suffix(".bin").stat().st_size < 0x8000
    if name in NO_BOARD:
        return
    with StreamSession(serial(target.emulator.argv, program), 60.0) as session:
        uses(session)
        took = session.run(0, 1)
        if (
            name == "microbit"
        ):  # counts by SysTick, the others by the DWT unit, which QEMU does not have
            assert took.unit == "cycles"
            assert took.counts[1] > 0
        else:
            assert (took.unit, took.counts) == (None, ())


def program_with_ram(c_dir: Path, folder: Path, ram: int) -> Path:
    """The runner of a project whose linker script gives it only `ram` bytes of RAM."""
    copy = Path(shutil.copytree(c_dir, folder / "c"))
    script = copy / "runner/linker.ld"
    text, found = re.subn(r"(ram \(rw\).*LENGTH = )\d+", rf"\g<1>{ram}", script.read_text())
    assert found == 1
    script.write_text(text)
    return build(copy, targets.load(M4), folder / "build").runner


def occupied(runner: Path) -> int:
    """RAM that the variables of a program take."""
    region = targets.load(M4).region("data")
    assert region is not None
    return elf.symbol_address(runner, "r2b_free_start") - region.origin


def test_no_room_for_the_buffers(
    tiny_project: Callable[[str], Path], tiny_build: Callable[..., Build], tmp_path: Path
) -> None:
    reserve = targets.load(M4).stack_bytes
    assert reserve is not None
    ram = occupied(tiny_build(M4).runner) + reserve + 100  # the arena has 48, the scratch buffer 64
    program = program_with_ram(tiny_project(M4), tmp_path, ram)
    said = "ended with 1: r2b_runner: no memory for a buffer of 0x00000040 bytes"
    with (
        connect("emulator", targets.load(M4), time_limit_s=60.0).open(program) as session,
        pytest.raises(DeviceError, match=said),
    ):
        session.info()


@pytest.mark.parametrize(
    ("room", "said"),
    [
        # The step's 5000 bytes reach the buffers; or through them, the variables and the beginning of RAM.
        (5360, "ended with 1: r2b_runner: .*the stack ran over"),
        (4900, "was ended by SIGABRT: qemu: fatal: Lockup"),
    ],
)
def test_a_stack_that_runs_over_is_told(
    room: int,
    said: str,
    tiny_project: Callable[[str], Path],
    tiny_build: Callable[..., Build],
    tmp_path: Path,
) -> None:
    ram = occupied(tiny_build(M4).runner) + room
    program = program_with_ram(tiny_project(M4), tmp_path, ram)
    with (
        connect("emulator", targets.load(M4), time_limit_s=60.0).open(program) as session,
        pytest.raises(DeviceError, match=said),
    ):
        session.stack()


def test_an_exception_is_told_with_its_address(tiny_build: Callable[..., Build]) -> None:
    program = tiny_build(M4, c_flags=f"{FLAGS} -DTINY_FAULT=1").runner
    with connect("emulator", targets.load(M4), time_limit_s=60.0).open(program) as session:
        said = r"ended with 1: r2b_runner: exception 0x00000003 at address (0x0800[0-9a-f]{4})$"
        with pytest.raises(DeviceError, match=said) as caught:
            session.run(0, 0)
    address = int(str(caught.value)[-10:], 16)
    entry = elf.symbol_address(program, "r2b_run_steps")
    assert abs(address - entry) < 4096  # in the model's code, which lies beside it


def test_a_hang_is_told(tiny_build: Callable[..., Build]) -> None:
    program = tiny_build(M4, c_flags=f"{FLAGS} -DTINY_HANG=1").runner
    start = time.monotonic()
    with connect("emulator", targets.load(M4), time_limit_s=3.0).open(program) as session:
        session.info()
        with pytest.raises(DeviceError, match="did not answer in time"):
            session.run(0, 0)
    assert time.monotonic() - start < 20.0


def answers(program: Path, sent: bytes, count: int) -> list[Frame]:
    emulator = targets.load(M4).emulator
    assert emulator is not None
    channel = ProcessChannel(command(emulator, program))
    try:
        deadline = time.monotonic() + 60.0
        channel.write(sent, deadline)
        decoder = Decoder()
        got: list[Frame] = []
        while len(got) < count:
            got += decoder.feed(channel.read(deadline))
        assert decoder.noise == 0
        channel.wait(deadline)  # it has been asked to quit
        return got
    finally:
        channel.close()


def test_damaged_frames(tiny_build: Callable[..., Build]) -> None:
    """Noise, a header and a payload with a wrong CRC, a frame that ends early, and a length that is far too large."""
    damaged = bytearray(protocol.encode(Frame(Op.LOAD, a=0, payload=FOUR)))
    damaged[protocol.HEADER_BYTES + 1] ^= 0x40
    broken_header = bytearray(protocol.encode(Frame(Op.QUIT)))
    broken_header[9] ^= 1
    load = protocol.encode(Frame(Op.LOAD, a=0, payload=FOUR))
    sent = b"".join(
        [
            b"boot R2B\xa5R2R2B\xa5\x01" + bytes(range(256)),
            bytes(broken_header),
            bytes(damaged),
            protocol.encode(Frame(Op.LOAD, a=0, payload=bytes(200_000))),
            load[:-6],  # its end is taken from the next frame, whose rest is noise then
            load,
            load,
            protocol.encode(Frame(Op.READ, a=0)),
            protocol.encode(Frame(Op.QUIT)),
        ]
    )
    crc, length, torn, loaded, read, done = answers(tiny_build(M4).runner, sent, 6)
    assert [frame.code for frame in (crc, length, torn, loaded, read, done)] == [5, 4, 5, 0, 0, 0]
    assert read.payload == FOUR
    assert done.op == Op.QUIT | protocol.REPLY
