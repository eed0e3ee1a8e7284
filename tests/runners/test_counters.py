"""What counts a step's cycles on a board, and drivers of what no emulated board has."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest

import r2b_edge.firmware_templates
from r2b_edge import targets
from r2b_edge.runners import Timing, connect
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.qemu import command
from r2b_edge.runners.session import StreamSession
from r2b_edge.toolchain.build import Build

HERE = Path(__file__).parent
TEMPLATES = Path(r2b_edge.firmware_templates.__file__).parent
FOUR = struct.pack("<4f", 1.0, -2.0, 3.5, 0.0)
FLAGS = " ".join(targets.load("microbit").flags)
SHORT = 63
"""A reload of SysTick in place of 2^24 - 1, so that it wraps many times in a short step."""


def in_lockstep(program: Path) -> Timing:
    """The steps' counts where QEMU's clock is its instructions: one a nanosecond."""
    emulator = targets.load("microbit").emulator
    assert emulator is not None
    argv = command(emulator, program, "-icount", "shift=0")
    with StreamSession(ProcessChannel(argv), 60.0) as session:
        session.load(0, FOUR)
        return session.run(0, 1)


def test_systick_counts_cycles_the_same_each_time(tiny_build: Callable[..., Build]) -> None:
    program = tiny_build("microbit").runner
    first, second = in_lockstep(program), in_lockstep(program)
    assert first == second
    assert first.unit == "cycles"
    # 5000 bytes written: some 4 to 20 instructions each, and a cycle of 16 MHz is 62.5 of them here.
    assert 5000 * 4 / 62.5 < first.counts[1] < 5000 * 20 / 62.5
    assert 0 < first.counts[0] < first.counts[1] / 5

    wrapped = in_lockstep(
        tiny_build("microbit", c_flags=f"{FLAGS} -DR2B_SYSTICK_RELOAD={SHORT}u").runner
    )
    assert first.counts[1] > 7 * SHORT
    # The exception at each wrap costs some 40 instructions.
    assert wrapped.counts[1] == pytest.approx(first.counts[1], rel=0.03, abs=2)


def test_a_counter_that_stands_still_is_told(tiny_build: Callable[..., Build]) -> None:
    """QEMU has no DWT unit: no counts, rather than zeros."""
    with connect("emulator", targets.load("mps2-an500"), time_limit_s=60.0).open(
        tiny_build("mps2-an500").runner
    ) as session:
        assert session.run(0, 1) == Timing(None, ())


def test_drivers_that_no_emulated_board_has(
    tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool("gcc")
    template = (TEMPLATES / "boards/board_config.h.j2").read_text()
    config = jinja2.Template(template, undefined=jinja2.StrictUndefined)
    board = targets.load("stm32h743").board
    (tmp_path / "board_config.h").write_text(config.render(board=board))
    places = (tmp_path, *(TEMPLATES / name for name in ("boards", "project", "kernels")))
    folders = [f"-I{place}" for place in places]
    build = ["gcc", "-std=c11", "-O1", "-Wall", "-Werror", *folders, "-o", tmp_path / "program"]
    subprocess.run([*build, HERE / "registers.c"], check=True)
    said = subprocess.run([tmp_path / "program"], check=True, capture_output=True, text=True)
    # 64 MHz / 115200 = 555.6; enabled (bit 0), sending and receiving (3, 2). 2 is R2B_UNIT_CYCLES.
    assert said.stdout.splitlines() == [
        "divider 556 control 0xd",
        "sent A",
        "nothing 0",
        "got 1 x cleared 0",
        "overrun cleared 8",
        "unit 2 lock 0xc5acce55",
        "count 101",
        "standing still: unit 0",
    ]
