"""Runs programs of another processor in QEMU: Linux programs alone, bare-metal ones on an emulated board."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from r2b_edge.runners.base import Device
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.session import StreamSession
from r2b_edge.targets import Emulator
from r2b_edge.toolchain import find

_LOAD = {
    "stdio": (),
    # Standard input and output belong to the semihosting console alone, so nothing else of the board may take them.
    "semihosting": (
        *("-display", "none", "-monitor", "none", "-serial", "none"),
        *("-semihosting-config", "enable=on,target=native"),
        "-kernel",
    ),
}
"""A transport -> QEMU's arguments before the program's path."""


def command(emulator: Emulator, program: Path, *options: str) -> list[str | Path]:
    """The command that runs `program`, which then talks over the command's standard input and output.

    Args:
        emulator: of the target that the program was built for.
        program: an ELF file.
        options: more arguments for QEMU.

    Raises:
        ToolMissingError: the emulator is not installed.
    """
    qemu, *machine = emulator.argv
    return [find.tool(qemu), *machine, *options, *_LOAD[emulator.transport], program.absolute()]


class QemuDevice(Device):
    """The emulator of a target; `time_limit_s` holds for one request.

    Raises:
        ToolMissingError: the emulator is not installed.
    """

    kind: ClassVar[Literal["host", "emulated"]] = "emulated"

    def __init__(self, emulator: Emulator, time_limit_s: float) -> None:
        find.tool(emulator.argv[0])
        self._emulator = emulator
        self._time_limit_s = time_limit_s
        self.name = " ".join(emulator.argv)

    def open(self, program: Path) -> StreamSession:
        """See Device."""
        return StreamSession(ProcessChannel(command(self._emulator, program)), self._time_limit_s)
