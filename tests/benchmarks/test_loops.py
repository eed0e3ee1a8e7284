"""Loops are found in what ran, and modelled by llvm-mca."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import loops
from r2b_edge import targets
from r2b_edge.runners.count import count_instructions
from r2b_edge.toolchain.build import Build

# Two loops, of which the second has a choice in it, an outer loop around both, and a branch that goes ahead.
CODE = {
    0x100: "mov\tx0, #0x4",
    0x104: "eor\tv0.16b, v1.16b, v2.16b",
    0x108: "cnt\tv0.16b, v0.16b",
    0x10C: "b.ne\t104 <f+0x4>",
    0x110: "cbz\tx1, 118 <f+0x18>",
    0x114: "add\tx1, x1, #0x1",
    0x118: "tbnz\tw0, #3, 110 <f+0x10>",
    0x11C: "cbnz\tx2, 100 <f>",
    0x120: "ret",
}
EXECUTED = {
    0x100: 5, 0x104: 50, 0x108: 50, 0x10C: 50, 0x110: 20, 0x114: 7, 0x118: 20, 0x11C: 5, 0x120: 1,
}  # fmt: skip


def test_straight_loops_only() -> None:
    (loop,) = loops.loops(CODE, EXECUTED)
    assert loop == loops.Loop(0x104, (CODE[0x104], CODE[0x108], CODE[0x10C]), 50)
    assert list(loops.loops(CODE, {})) == []


def test_what_the_plugin_writes(tmp_path: Path) -> None:
    """Blocks may overlap, and a marker may have none before it."""
    records = [2, 0x100, 3, 10, 0x104, 1, 5, 0, 1, 0x200, 1, 7]
    np.array(records, np.uint64).tofile(tmp_path / "blocks")
    assert loops.read_blocks(tmp_path / "blocks") == [
        {0x100: 10, 0x104: 15, 0x108: 10},
        {},
        {0x200: 7},
    ]


def test_cycles(require_tool: Callable[..., None]) -> None:
    """EOR and CNT wait for each other: on any core more cycles than one a round, and fewer than twenty."""
    require_tool("llvm-mca")
    chain = loops.Loop(
        0, ("eor\tv0.16b, v0.16b, v1.16b", "cnt\tv0.16b, v0.16b", "b.ne\t0 <f>"), 100
    )
    strange = loops.Loop(0, ("no such instruction", "b.ne\t0 <f>"), 1)
    modelled, unknown = loops.model([[chain], [strange]], [400, 4])
    assert modelled.covered == pytest.approx(0.75)
    for core in loops.CORES:
        cycles = modelled.cycles[core]
        assert cycles is not None
        assert 200 < cycles < 2000
        assert unknown.cycles[core] is None


def test_the_loop_of_a_program(tiny_build: Callable[..., Build], tmp_path: Path) -> None:
    """The second step of the tiny model goes over 5000 volatile bytes, one a round."""
    target = targets.load("rpi4")
    runner = tiny_build("rpi4").runner
    counts = count_instructions(runner, target, {}, tmp_path, plugin=loops.PLUGIN.read_bytes())
    assert counts == count_instructions(runner, target, {}, tmp_path / "plain")
    code = loops.disassemble(runner, target)
    _, _, twice, plus_one = loops.read_blocks(tmp_path / "r2b_counts.bin.blocks")
    assert sum(twice.values()) < sum(plus_one.values()) < counts.steps[1] + 100
    (loop,) = (loop for loop in loops.loops(code, plus_one) if loop.rounds > 1000)
    assert 4990 <= loop.rounds <= 5000
    assert loop.rounds * len(loop.body) > 0.9 * counts.steps[1]
