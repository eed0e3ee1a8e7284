"""The runner for the board itself, linked for its UART, on emulated boards: QEMU's serial port is a pipe."""

from __future__ import annotations

import contextlib
import random
import subprocess
from pathlib import Path

from r2b_edge.errors import DeviceError
from r2b_edge.runners.base import Channel
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.session import StreamSession
from r2b_edge.toolchain import find
from r2b_edge.toolchain.build import Build

SILENT = ("-display", "none", "-monitor", "none")


def uart_runner(built: Build) -> Path:
    """Link the runner for the board in a build folder, as docs/bring-up.md says."""
    folder = built.runner.parent
    cmake = [find.tool("cmake"), "--build", folder, "--target", "r2b_runner_uart"]
    subprocess.run(cmake, check=True, capture_output=True, timeout=120)
    return folder / "r2b_runner_uart.elf"


def serial_command(argv: tuple[str, ...], program: Path, port: str = "stdio") -> list[str | Path]:
    """QEMU's command for a board whose first UART is `port`; semihosting is off."""
    return [find.tool(argv[0]), *argv[1:], *SILENT, "-serial", port, "-kernel", program]


def serial(argv: tuple[str, ...], program: Path) -> ProcessChannel:
    """A board whose UART is the process's standard input and output; it is ready."""
    channel = ProcessChannel(serial_command(argv, program))
    wake(channel)
    return channel


def wake(channel: Channel) -> None:
    """Ask until the board answers: what comes before its UART is open is lost."""
    for _ in range(60):
        with contextlib.suppress(DeviceError):
            StreamSession(channel, 1.0).info()
            return
    raise DeviceError("the board does not answer")


class Noisy:
    """A Channel over a line that flips one bit in about `one_in` bytes, both ways, and loses some writes' ends."""

    def __init__(self, channel: Channel, one_in: int, cut_one_in: int, seed: int) -> None:
        self._channel = channel
        self._random = random.Random(seed)
        self._one_in = one_in
        self._cut_one_in = cut_one_in
        self.flips = self.cuts = 0

    def _spoil(self, data: bytes) -> bytes:
        spoilt = bytearray(data)
        for i in range(len(spoilt)):
            if self._random.random() * self._one_in < 1:
                spoilt[i] ^= 1 << self._random.randrange(8)
                self.flips += 1
        return bytes(spoilt)

    def write(self, data: bytes, deadline: float) -> None:
        """See Channel."""
        if self._random.random() * self._cut_one_in < 1:
            data = data[: self._random.randrange(len(data))]
            self.cuts += 1
        self._channel.write(self._spoil(data), deadline)

    def read(self, deadline: float) -> bytes:
        """See Channel."""
        return self._spoil(self._channel.read(deadline))

    def close(self) -> None:
        """See Channel."""
        self._channel.close()
