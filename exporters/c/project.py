"""What of the C project depends on the target and not on the model: the runner's files, CMake's, the linker script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from r2b_edge.exporters.c.build import Target
from r2b_edge.targets import Board, Memory, Use

_RUNNER = ("port.h", "runner.c", "size_with.c", "size_without.c")
_LINUX = ("project/port_linux.c", "project/pool.h", "project/pool_linux.c")
_BARE = (
    *("board.h", "startup_cortex_m.c", "memory.c", "fault.c", "systick.c", "one_thread.c"),
    *("port_semihosting.c", "port_uart.c"),
)


class Platform(Target, Protocol):
    """What the project's files ask of a target."""

    @property
    def triple(self) -> str:
        """The cross-compiler's prefix; "" for the host's own compiler."""

    @property
    def flags(self) -> Sequence[str]:
        """Compiler flags."""

    @property
    def os(self) -> str:
        """What the programs run on: linux, or none for bare metal."""

    @property
    def stack_bytes(self) -> int | None:
        """What a bare-metal program keeps free for its stack; unused otherwise."""

    @property
    def board(self) -> Board | None:
        """How the board of a bare-metal program is reached; unused otherwise."""

    def region(self, use: Use) -> Memory | None:
        """Where a bare-metal program keeps its code, or its data; unused otherwise."""

    def emulated(self) -> Platform:
        """The same, with its memory where its emulator has it."""


def runner_files(target: Platform) -> list[str]:
    """What c/runner/ has copies of, as paths in firmware_templates."""
    files = [f"project/{name}" for name in _RUNNER]
    if target.os != "none":
        return [*files, *_LINUX]
    drivers = (name for name in _drivers(target).values() if name)
    return [*files, *(f"boards/{name}" for name in (*_BARE, *drivers))]


def _drivers(target: Platform) -> dict[str, str]:
    """What of a bare board's files depends on the board: the counter of cycles, the UART, what its boot ROM wants."""
    assert target.board is not None
    assert target.board.uart is not None
    return {
        "counter": f"cycles_{target.board.cycles}.c",
        "uart": f"uart_{target.board.uart.driver}.c",
        "boot": f"boot_{target.board.boot}.S" if target.board.boot else "",
    }


def _weights_apart(target: Platform) -> Memory | None:
    """The region of a bare-metal target's weights, where code has another one."""
    region = target.region("weights") if target.os == "none" else None
    return None if region == target.region("code") else region


def generated_files(target: Platform) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Templates in firmware_templates, the path that each gets in the project, and the values that it asks for.

    CMakeLists.txt asks for the model's name and sources beside these.
    """
    scripts: dict[str, Platform] = {}
    if target.os == "none":
        scripts["linker.ld"] = target
        if (there := target.emulated()) != target:
            scripts["emulator.ld"] = there
    drivers = _drivers(target) if target.os == "none" else {}
    cmake: dict[str, object] = {
        "os": target.os,
        "scripts": [*scripts],
        "drivers": drivers,
        "weights_apart": _weights_apart(target) is not None,
    }
    yield "project/CMakeLists.txt.j2", "CMakeLists.txt", cmake
    toolchain: dict[str, object] = {
        "triple": target.triple,
        "processor": target.triple.split("-")[0],
        "flags": list(target.flags),
        "os": target.os,
    }
    yield "project/toolchain.cmake.j2", "toolchain.cmake", toolchain
    for name, place in scripts.items():
        memory: dict[str, object] = {
            "stored": place.region("code"),
            "weights": _weights_apart(place),
            "written": place.region("data"),
            "stack_bytes": place.stack_bytes,
        }
        yield "boards/linker.ld.j2", f"runner/{name}", memory
    if target.os == "none":
        yield "boards/board_config.h.j2", "runner/board_config.h", {"board": target.board}
