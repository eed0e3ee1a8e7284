"""The runner over a board's UART: through noise, cuts, faults and restarts; on every board, see test_bare_metal.py."""

from __future__ import annotations

import os
import re
import select
import struct
import subprocess
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serial_board import Noisy, serial, serial_command, uart_runner, wake

from r2b_edge import targets
from r2b_edge.errors import DeviceError
from r2b_edge.runners import Session, protocol
from r2b_edge.runners.protocol import Decoder, Frame, Op
from r2b_edge.runners.session import StreamSession
from r2b_edge.targets import Target
from r2b_edge.toolchain.build import Build, build

M4 = "stm32f405"
FOUR = struct.pack("<4f", 1.0, -2.0, 3.5, 0.0)
TWICE_PLUS_ONE = (3.0, -3.0, 8.0, 1.0)


def argv(target: str) -> tuple[str, ...]:
    emulator = targets.load(target).emulator
    assert emulator is not None
    return emulator.argv


def uses(session: Session) -> None:
    """A tensor in, two steps, a tensor out; what the board can count."""
    session.load(0, FOUR)
    session.run(0, 1)
    assert struct.unpack("<4f", session.read(2)) == TWICE_PLUS_ONE
    assert 5000 < session.stack() < 5200


LM3S6965 = """
name = "lm3s6965"
title = "LM3S6965, a board of QEMU's that has a PL011"
arch = "arm"
core = "cortex-m3"
os = "none"
triple = "arm-none-eabi"
flags = ["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"]
families = ["portable"]
stack_bytes = 8_192
memory = [
    {name = "flash", origin = 0x0000_0000, bytes = 262_144, use = ["code", "weights"]},
    {name = "ram", origin = 0x2000_0000, bytes = 65_536, use = ["arena", "stack", "data"]},
]
emulator = {argv = ["qemu-system-arm", "-M", "lm3s6965evb", "-cpu", "cortex-m3"], transport = "semihosting"}
[board]
transport = "uart:uart0"
cycles = "dwt"
clock_hz = 12_000_000
uart = {driver = "pl011", base = 0x4000_c000, clock_hz = 12_000_000, baud = 115_200, tx = "PA1", rx = "PA0"}
"""


@pytest.fixture
def lm3s6965() -> Target:
    return targets.parse(LM3S6965, "lm3s6965")


def test_the_pl011(
    lm3s6965: Target, tiny_writer: Callable[[Target, Path], Path], tmp_path: Path,
    require_tool: Callable[..., None],
) -> None:  # fmt: skip
    require_tool("cmake", "arm-none-eabi-gcc", "qemu-system-arm")
    assert lm3s6965.emulator is not None
    built = build(tiny_writer(lm3s6965, tmp_path / "c"), lm3s6965, tmp_path / "build")
    with StreamSession(serial(lm3s6965.emulator.argv, uart_runner(built)), 60.0) as session:
        uses(session)


def insist(work: Callable[[], object]) -> int:
    """Ask until there is an answer; how often there was none."""
    for failures in range(40):
        try:
            work()
        except DeviceError:
            continue
        return failures
    pytest.fail("40 times no answer")


@pytest.mark.parametrize("name", ["stm32f405", "mps2-an385", "microbit"])
def test_through_noise_an_answer_is_right_or_there_is_none(
    name: str, tiny_build: Callable[..., Build]
) -> None:
    """One bit in 1,000 bytes flipped both ways, and one request in 25 cut short."""
    line = Noisy(serial(argv(name), uart_runner(tiny_build(name))), 1000, 25, seed=3)
    failures = 0
    with StreamSession(line, 0.7) as session:
        failures += insist(session.info)
        i = 0
        while i < 8 or line.flips < 3 or line.cuts < 1:
            i += 1
            values = (float(i), -1.5 * i, i + 0.25, 1e5 * i)
            payload = struct.pack("<4f", *values)
            failures += insist(lambda: session.load(0, payload))  # noqa: B023
            failures += insist(lambda: session.run(0, 1))
            got: list[bytes] = []
            failures += insist(lambda: got.append(session.read(2)))  # noqa: B023
            assert struct.unpack("<4f", got[0]) == tuple(2 * v + 1 for v in values)
    assert failures > 0


def test_a_line_that_falls_silent(tiny_build: Callable[..., Build]) -> None:
    """A frame that never ends is given up after half a second: as damaged if its header came, in silence if not."""
    channel = serial(argv(M4), uart_runner(tiny_build(M4)))
    load = protocol.encode(Frame(Op.LOAD, a=0, payload=FOUR, tag=1))
    try:
        deadline = time.monotonic() + 60.0
        decoder = Decoder()
        got: list[Frame] = []
        channel.write(load[: protocol.HEADER_BYTES + 5], deadline)
        while not got:
            got = decoder.feed(channel.read(deadline))
        assert [(frame.op, frame.tag, frame.code) for frame in got] == [(Op.LOAD | 0x80, 1, 5)]
        channel.write(load[: protocol.HEADER_BYTES - 5], deadline)
        wake(channel)
    finally:
        channel.close()


def test_a_late_answer_is_nobodys(tiny_build: Callable[..., Build]) -> None:
    """What somebody who has gone had asked for is still answered: the next one asks the same, and gets his own."""
    channel = serial(argv(M4), uart_runner(tiny_build(M4)))
    channel.write(protocol.encode(Frame(Op.READ, a=2)), time.monotonic() + 60.0)
    with StreamSession(channel, 60.0) as session:
        uses(session)


def test_a_fault_is_told_and_the_board_starts_anew(tiny_build: Callable[..., Build]) -> None:
    flags = " ".join(targets.load(M4).flags)
    program = uart_runner(tiny_build(M4, c_flags=f"{flags} -DTINY_FAULT=1"))
    channel = serial(argv(M4), program)
    said = r"^the firmware stopped: r2b_runner: exception 0x00000003 at address 0x0800[0-9a-f]{4}$"
    with StreamSession(channel, 60.0) as session:
        with pytest.raises(DeviceError, match=said) as caught:
            session.run(0, 0)
        assert caught.value.exit_code == 4
        wake(channel)
        again = StreamSession(channel, 60.0)
        assert again.info().steps == 2
        assert again.run(1, 1).unit is None


def test_quit_starts_the_board_anew(tiny_build: Callable[..., Build]) -> None:
    channel = serial(argv(M4), uart_runner(tiny_build(M4)))
    with StreamSession(channel, 60.0) as session:
        session.load(0, FOUR)
        session.quit()
        wake(channel)
        assert session.read(0) == bytes(16)
        uses(session)


class Pty:
    """A Channel over a serial device, by nothing but the operating system's calls."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._file)

    def write(self, data: bytes, deadline: float) -> None:
        while data:
            data = data[os.write(self._file, data) :]

    def read(self, deadline: float) -> bytes:
        ready, _, _ = select.select([self._file], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise DeviceError("no answer in time")
        return os.read(self._file, 4096)

    def close(self) -> None:
        os.close(self._file)


@contextmanager
def pty_of(command: list[str | Path]) -> Iterator[str]:
    """The pseudo-terminal of a QEMU that was told `-serial pty`."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"(/dev/pts/\d+)", process.stdout.readline())
        assert found is not None
        yield found[1]
    finally:
        process.kill()
        process.communicate()


def test_a_serial_device(tiny_build: Callable[..., Build]) -> None:
    program = uart_runner(tiny_build(M4))
    with pty_of(serial_command(argv(M4), program, "pty")) as path:
        line = Pty(path)
        wake(line)
        with StreamSession(line, 60.0) as session:
            uses(session)
