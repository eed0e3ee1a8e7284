"""A small network as firmware on an emulated board of each core: exact in every step, and what it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checking_nets import whole
from exactness import canonical, verdict_of
from small_onnx import Net

from r2b_edge import targets
from r2b_edge.checking.c_program import CExecutor
from r2b_edge.checking.limits import TOLERANCE
from r2b_edge.exporters import c as c_exporter
from r2b_edge.pipeline import program_of
from r2b_edge.runners import connect
from r2b_edge.runners.count import count_instructions
from r2b_edge.toolchain import elf
from r2b_edge.toolchain.budget import UNLIMITED, refuse_excess
from r2b_edge.toolchain.build import build

BASELINES = Path(__file__).resolve().parents[2] / "benchmarks" / "baselines" / "boards"
"""Instructions of each step of the network below, a file a board; --update-golden writes them anew."""
OTHER_COMPILER = 0.10
"""What another version of the compiler may add; the same one: TOLERANCE."""

# The smallest board of each core, in the order M0, M0+, M3, M4F, M7, M33, M55.
BOARDS = (
    "microbit", "rp2040", "stm32f100", "stm32f405", "mps2-an500", "mps2-an505", "corstone-300",
)  # fmt: skip


def test_there_is_a_board_of_every_core() -> None:
    bare = [target for target in map(targets.load, targets.names()) if target.os == "none"]
    assert {targets.load(name).core for name in BOARDS} == {target.core for target in bare}


@pytest.mark.parametrize("name", BOARDS)
def test_a_network_on_a_board(
    name: str, tmp_path: Path, require_tool: Callable[..., None], update_golden: bool
) -> None:
    require_tool("cmake", "gcc", "arm-none-eabi-gcc", "qemu-system-arm")
    net = Net((1, 3, 12, 12))
    whole(net, np.random.default_rng(5), "mean")
    graph, reference = canonical(net, tmp_path)
    board = targets.load(name)
    program = program_of(graph, board, "net", "0" * 64)
    refuse_excess(program, board, UNLIMITED)
    c_exporter.write(program, board, tmp_path / "c")
    built = build(tmp_path / "c", board, tmp_path / "build")

    cost = elf.cost(built.with_model, built.without_model)
    assert cost.flash > program.weight_bytes
    assert program.arena_bytes <= cost.ram < program.arena_bytes + 64
    with connect("emulator", board).open(built.runner) as session:
        verdict = verdict_of(graph, reference, CExecutor(program, session), samples=2)
        assert verdict.exact
        assert verdict.steps_exact == len(program.steps)
        stack = session.stack()
        assert board.stack_bytes is not None
        assert 100 < stack < board.stack_bytes - 200  # what the runner itself has above it
    inputs = {t.index: bytes(t.bytes) for t in (program.tensor[n] for n in program.inputs)}
    counts = count_instructions(built.runner, board, inputs, tmp_path / "count")
    assert len(counts.steps) == len(program.steps)
    assert min(counts.steps) > 0
    assert sum(counts.steps) > sum(n.op.macs(*map(graph.type, n.inputs)) for n in graph.nodes) / 8
    steps = {f"{s.index} {s.called}": n for s, n in zip(program.steps, counts.steps, strict=True)}
    compiler = built.compiler.version
    assert_no_slower(name, {"compiler": compiler, "steps": steps}, update_golden)


def assert_no_slower(name: str, now: dict[str, Any], update: bool) -> None:
    """Hold the instructions of each step, or of all if the kernels are others, against what is stored."""
    file = BASELINES / f"{name}.json"
    if update:
        file.write_text(json.dumps(now, indent=1) + "\n", "utf-8")
    before = json.loads(file.read_text("utf-8"))
    allowed = 1 + (TOLERANCE if now["compiler"] == before["compiler"] else OTHER_COMPILER)
    assert sum(now["steps"].values()) <= allowed * sum(before["steps"].values())
    if now["steps"].keys() == before["steps"].keys():
        slower = {
            s: (n, before["steps"][s])
            for s, n in now["steps"].items()
            if n > allowed * before["steps"][s]
        }
        assert not slower
