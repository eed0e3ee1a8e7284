"""The inner loops of a step, found by running it, and their cycles by llvm-mca's models of some cores.

A loop is a backward branch of AArch64 code and all instructions from its target on, if these ran as often as the branch
itself: straight code without a path around. What runs outside of such loops (set-up, borders, loops with a choice
inside) has no cycles here, so each figure comes with the part of the step's instructions that it covers. llvm-mca takes
every load for a hit in the first cache and every branch for well predicted. Which core's model a name stands for
depends on its version: LLVM 14 uses the Cortex-A57's for Cortex-A72 and Neoverse N1.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from r2b_edge.graph.graph import Array
from r2b_edge.targets import Target
from r2b_edge.toolchain import find

CORES = ("cortex-a53", "cortex-a72", "neoverse-n1")
PLUGIN = Path(__file__).with_name("blocks_plugin.c")
EQUAL = 0.99
"""Instructions of a loop ran at least this often, relative to its branch: a loop may be left in the middle, once."""
ITERATIONS = 200
BYTES = 4
"""Of an instruction."""
_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t([^\n/]*?)(?: *//.*)?$", re.MULTILINE)
_BRANCH = re.compile(r"(?:b(?:\.\w+)?|cbn?z|tbn?z)\t(?:.*[, ])?([0-9a-f]+) <")
_ADDRESS = re.compile(r"\b[0-9a-f]+ <[^>]*>")


@dataclass(frozen=True)
class Loop:
    """A loop's instructions in assembly, and how often it went round."""

    start: int
    body: tuple[str, ...]
    rounds: int


@dataclass(frozen=True)
class Modelled:
    """Cycles of a step's loops by core, None where llvm-mca does not know an instruction; and the part they cover."""

    cycles: Mapping[str, float | None]
    covered: float


def read_blocks(path: Path) -> list[dict[int, int]]:
    """What blocks_plugin.c wrote: how often each address was executed between two markers."""
    words = np.fromfile(path, np.uint64)
    found: list[dict[int, int]] = []
    place = 0
    while place < words.size:
        count = int(words[place])
        records: Array = words[place + 1 : place + 1 + 3 * count].reshape(count, 3)
        place += 1 + 3 * count
        executed: dict[int, int] = {}
        for address, instructions, entered in records.tolist():
            for i in range(instructions):
                at = address + BYTES * i
                executed[at] = executed.get(at, 0) + entered
        found.append(executed)
    return found


def disassemble(program: Path, target: Target) -> dict[int, str]:
    """Every instruction by its address, as objdump writes it."""
    objdump = find.tool(f"{target.triple}-objdump" if target.triple else "objdump")
    done = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", program], capture_output=True, text=True, check=True
    )
    return {int(at, 16): text for at, text in _INSTRUCTION.findall(done.stdout)}


def loops(code: Mapping[int, str], executed: Mapping[int, int]) -> Iterator[Loop]:
    """The straight inner loops of what was executed."""
    for at in sorted(executed):
        branch = _BRANCH.match(code.get(at, ""))
        if branch is None or (start := int(branch[1], 16)) > at or executed[at] == 0:
            continue
        places = range(start, at + BYTES, BYTES)
        inside = places[:-1]
        straight = not any(
            _BRANCH.match(code.get(i, "")) and _goes_back(code[i], i) for i in inside
        )
        if straight and all(executed.get(i, 0) >= EQUAL * executed[at] for i in places):
            yield Loop(start, tuple(code[i] for i in places), executed[at])


def _goes_back(text: str, at: int) -> bool:
    branch = _BRANCH.match(text)
    return branch is not None and int(branch[1], 16) <= at


def model(steps: Sequence[Sequence[Loop]], instructions: Sequence[int]) -> list[Modelled]:
    """The cycles of each step's loops.

    Args:
        steps: the loops of each step.
        instructions: that each step took in all.

    Raises:
        ToolMissingError: llvm-mca is not installed.
    """
    bodies = sorted({loop.body for step in steps for loop in step})
    cycles = {core: _cycles(bodies, core) for core in CORES}

    def total(step: Sequence[Loop], core: str) -> float | None:
        each = [cycles[core][loop.body] for loop in step]
        if any(c is None for c in each):
            return None
        return sum(c * loop.rounds for c, loop in zip(each, step, strict=True) if c is not None)

    return [
        Modelled(
            {core: total(step, core) for core in CORES},
            sum(loop.rounds * len(loop.body) for loop in step) / count,
        )
        for step, count in zip(steps, instructions, strict=True)
    ]


def _cycles(bodies: Sequence[tuple[str, ...]], core: str) -> dict[tuple[str, ...], float | None]:
    return {body: _cycles_of(body, core) for body in bodies}


def _cycles_of(body: tuple[str, ...], core: str) -> float | None:
    """Cycles of one round."""
    done = subprocess.run(
        [
            find.tool("llvm-mca"), "-mtriple=aarch64-linux-gnu", f"-mcpu={core}",
            f"-iterations={ITERATIONS}", "-resource-pressure=false", "-instruction-info=false",
        ],
        input="\n".join(_ADDRESS.sub(".", line) for line in body),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    found = re.search(r"Total Cycles: +(\d+)", done.stdout)
    if done.returncode != 0 or found is None or "error:" in done.stderr:
        return None  # it goes on behind what it cannot assemble
    return int(found[1]) / ITERATIONS
