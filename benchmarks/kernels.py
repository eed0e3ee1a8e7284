"""Instructions of the binary convolution by shape: python -m benchmarks.kernels [--target rpi4] [--families portable].

All shapes of a table are one program, built for the target and run once under its emulator with a counting plug-in.
MAC/insn is nominal: taps beyond the map count as well. The figures are emulated instructions, never a time. For
Cortex-M, MAC/cycle is by the model of a Cortex-M4 in cycles_m4.c. What is too large for a Cortex-M0 board runs on
another one, whose core runs the same code: --target microbit --board mps2-an385. For AArch64, --mca gives the cycles
of the inner loops by llvm-mca's models of three cores, in thousands, and how many of the instructions they cover; see
loops.py.

    float   the sums are stored as float32
    unit    scale, gate, PReLU and skip; the map is stored, and its signs
    signs   scale, offset, signs: no float is needed
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from r2b_edge import targets
from r2b_edge.exporters.c import Program, build_program, write
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.runners.count import count_instructions, read_counts
from r2b_edge.toolchain import elf
from r2b_edge.toolchain.build import Build, build

from . import loops
from .shapes import FINISHES, RESNET, SMALL, Shape, every_shape, layers

FLOORS = {"arm": 4.0, "aarch64": 20.0}
"""MAC/insn that a layer of FLOOR_MACS or more should not fall below on a Cortex-M4 and on AArch64."""
FLOOR_MACS = 100_000
CYCLE_MODEL = Path(__file__).with_name("cycles_m4.c")


@dataclass(frozen=True)
class Measured:
    """A layer: its kernel, instructions, cycles by the model (0 without one), bytes of workspace, and its loops."""

    shape: Shape
    kernel: str
    instructions: int
    cycles: int
    workspace: int
    loops: loops.Modelled | None


def measure(
    shapes: Sequence[Shape], finish: str, target: targets.Target, mca: bool = False
) -> tuple[list[Measured], dict[str, int]]:
    """Each shape's figures, by llvm-mca too if `mca`, and the code bytes of each kernel that was called."""
    program = build_program(layers(shapes, finish), target, "benchmark", {})
    rng = np.random.default_rng(
        1
    )  # without a float unit arithmetic takes as long as its numbers want
    inputs = {
        t.index: t.pack(rng.normal(size=t.type.shape).astype(np.float32))
        for t in (program.tensor[name] for name in program.inputs)
    }
    has_model = target.arch == "arm"
    with tempfile.TemporaryDirectory(prefix="r2b-benchmark-") as folder:
        write(program, target, Path(folder, "c"))
        built = build(Path(folder, "c"), target, Path(folder, "build"))
        source = CYCLE_MODEL if has_model else loops.PLUGIN if mca else None
        plugin = source.read_bytes() if source else None
        counts = count_instructions(
            built.runner, target, inputs, Path(folder, "count"), plugin=plugin
        )
        cycles = counts.steps
        if has_model:
            path = Path(folder, "count", "r2b_counts.bin.cycles")
            cycles = read_counts(path, len(counts.steps)).steps
        modelled = _loops(built, target, Path(folder, "count"), counts.steps) if mca else None
        code = _code(program, built)
    steps = [s for s in program.steps if s.kernel.startswith("bconv") and s.channels > 1]
    assert len(steps) == len(shapes)
    found = [
        Measured(
            shape,
            s.kernel,
            counts.steps[s.index],
            cycles[s.index] if has_model else 0,
            s.works[0][1],
            modelled[s.index] if modelled else None,
        )
        for shape, s in zip(shapes, steps, strict=True)
    ]
    return found, code


def _loops(
    built: Build, target: targets.Target, folder: Path, instructions: Sequence[int]
) -> list[loops.Modelled]:
    """The loops of each step, of a run with loops.PLUGIN."""
    code = loops.disassemble(built.runner, target)
    # The first two records end at the two markers before the first step.
    executed = loops.read_blocks(folder / "r2b_counts.bin.blocks")[2:]
    return loops.model([list(loops.loops(code, e)) for e in executed], instructions)


def _code(program: Program, built: Build) -> dict[str, int]:
    """Bytes of code of the files that a kernel is made of, by kernel."""
    return {
        kernel: sum(
            elf.footprint(path).flash
            for path in built.runner.parent.rglob("*.o*")
            if path.name.split(".")[0] in _files(kernel)
        )
        for kernel in sorted({s.kernel for s in program.steps if s.kernel.startswith("bconv")})
    }


def _files(kernel: str) -> set[str]:
    entry = next(k for k in REGISTRY if k.name == kernel)
    return {name.split(".")[0] for name in (entry.source, *entry.others)}


def table(
    shapes: Sequence[Shape], target: targets.Target, finishes: Sequence[str], mca: bool = False
) -> None:
    """Print a line for each shape and finish."""
    code: dict[str, int] = {}
    head = f"{'shape':26} {'finish':7} {'kernel':16} {'MAC/insn':>9} {'MAC/cycle':>9}"
    cores = "".join(f" {core:>11}" for core in loops.CORES)
    print(f"{head} {'instructions':>13} {'workspace':>9}{f' {cores} covered' if mca else ''}")
    for finish in finishes:
        measured, more = measure(shapes, finish, target, mca)
        code |= more
        floor = FLOORS.get(target.arch, 0.0)
        for m in measured:
            cycle = f"{m.shape.macs / m.cycles:9.2f}" if m.cycles else f"{'':9}"
            insn = m.shape.macs / m.instructions
            low = " <" if insn < floor and m.shape.macs >= FLOOR_MACS else ""
            print(
                f"{m.shape!s:26} {finish:7} {m.kernel:16} {insn:9.2f} {cycle} "
                f"{m.instructions:13,} {m.workspace:9,}{_cycles(m.loops)}{low}",
                flush=True,
            )
        worst = min(measured, key=lambda m: m.shape.macs / m.instructions)
        print(f"worst, {finish}: {worst.shape.macs / worst.instructions:.2f} of {worst.shape}")
    for kernel, size in code.items():
        print(f"code of {kernel}: {size:,} bytes")


def _cycles(modelled: loops.Modelled | None) -> str:
    """Thousands of cycles by core, and how much of the instructions these are of."""
    if modelled is None:
        return ""
    known = (modelled.cycles[core] for core in loops.CORES)
    cells = "".join(f" {'' if c is None else format(c / 1e3, ',.1f'):>11}" for c in known)
    return f" {cells} {modelled.covered:7.1%}"


def add_target(parser: argparse.ArgumentParser) -> None:
    """The options that say for what the kernels are built."""
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--board", help="an emulated target with more memory to run its code on")
    parser.add_argument("--families", help="comma-separated; the target's own by default")


def target_of(chosen: argparse.Namespace) -> targets.Target:
    """The chosen target, board and families; says on standard output which they are."""
    target = targets.load(chosen.target)
    if chosen.board:
        board = targets.load(chosen.board)
        of_board = {"memory": board.memory, "emulator": board.emulator}
        target = target.model_copy(update=of_board)
    if chosen.families:
        target = target.model_copy(update={"families": tuple(chosen.families.split(","))})
    on_board = f" on {chosen.board}" if chosen.board else ""
    print(f"emulated instructions, {target.name}{on_board}, families {', '.join(target.families)}")
    return target


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_target(parser)
    parser.add_argument("--finish", choices=FINISHES, help="one of the three; all by default")
    parser.add_argument("--all", action="store_true", help="all shapes, not those of networks")
    parser.add_argument("--mca", action="store_true", help="cycles by llvm-mca (AArch64)")
    chosen = parser.parse_args(arguments)
    target = target_of(chosen)
    is_small = target.arch == "arm"
    if chosen.mca and is_small:
        parser.error("--mca is for AArch64; a Cortex-M has MAC/cycle")
    shapes = tuple(every_shape(is_small)) if chosen.all else SMALL if is_small else RESNET
    finishes = [chosen.finish] if chosen.finish else FINISHES
    table(shapes, target, finishes, chosen.mca)


if __name__ == "__main__":
    main()
