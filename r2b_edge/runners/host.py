"""Runs programs on this machine."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import ClassVar, Literal

from r2b_edge.runners.base import Device
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.session import StreamSession


class HostDevice(Device):
    """This machine; `time_limit_s` holds for one request."""

    kind: ClassVar[Literal["host", "emulated"]] = "host"

    def __init__(self, time_limit_s: float) -> None:
        self.name = f"this machine ({platform.machine()})"
        self._time_limit_s = time_limit_s

    def open(self, program: Path) -> StreamSession:
        """See Device."""
        return StreamSession(ProcessChannel([program.absolute()]), self._time_limit_s)
