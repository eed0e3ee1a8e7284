"""Runs Linux programs of another processor in QEMU's user-mode emulation."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from r2b_edge.runners.base import Device
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.session import StreamSession
from r2b_edge.targets import Emulator
from r2b_edge.toolchain import find


class QemuUserDevice(Device):
    """The emulator of a target; `time_limit_s` holds for one request.

    Raises:
        ToolMissingError: the emulator is not installed.
    """

    kind: ClassVar[Literal["host", "emulated"]] = "emulated"

    def __init__(self, emulator: Emulator, time_limit_s: float) -> None:
        self._argv = [str(find.tool(emulator.argv[0])), *emulator.argv[1:]]
        self._time_limit_s = time_limit_s
        self.name = " ".join(emulator.argv)

    def open(self, program: Path) -> StreamSession:
        """See Device."""
        return StreamSession(ProcessChannel([*self._argv, program.absolute()]), self._time_limit_s)
