"""Stage 6: run a built program on the host, in an emulator or on a board.

`connect(url, target)` gives a Device, `device.open(program)` a Session with one running program. A new
way to run programs is a Channel (a byte stream) and a Device, and one line in `connect`.
"""

from __future__ import annotations

import platform

from r2b_edge.errors import InputError
from r2b_edge.runners.base import Device, Session
from r2b_edge.runners.protocol import Info, Timing
from r2b_edge.targets import Target

__all__ = ["Device", "Info", "Session", "Timing", "connect"]

TIME_LIMIT_S = 300.0
_ARCH = {"x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def connect(url: str, target: Target, *, time_limit_s: float = TIME_LIMIT_S) -> Device:
    """The device that a URL names, for programs built for `target`.

    Args:
        url: "emulator": the target's emulator, or this machine where the target needs none;
            "host": this machine.
        target: what the programs were built for.
        time_limit_s: a request that takes longer is a hang.

    Raises:
        InputError: an unknown URL, or this machine cannot run the target's programs.
        ToolMissingError: the emulator is not installed.
    """
    if url == "emulator" and target.emulator is not None:
        from r2b_edge.runners.qemu import QemuDevice

        return QemuDevice(target.emulator, time_limit_s)
    if url in ("emulator", "host"):
        from r2b_edge.runners.host import HostDevice

        if target.arch not in ("native", _ARCH.get(platform.machine())):
            raise InputError(
                f"programs for {target.name} ({target.arch}) do not run on this machine",
                "use --device emulator, or export for target host",
            )
        return HostDevice(time_limit_s)
    raise InputError(f"unknown device {url!r}", "known are emulator and host")
