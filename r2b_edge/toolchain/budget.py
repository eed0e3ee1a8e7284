"""Does a model fit? What is known before anything is built, and what the linked program takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from r2b_edge.errors import MismatchError, ToolMissingError
from r2b_edge.exporters.c import Program, ProgramStep
from r2b_edge.targets import Target

_HELP = "take a smaller network, or a target with more memory (`r2b-edge targets`)"


@dataclass(frozen=True)
class Budget:
    """The most bytes that a model may take; None: what the target has.

    Attributes:
        flash: code and constants of the model.
        ram: its arena and its stack.
    """

    flash: int | None = None
    ram: int | None = None


UNLIMITED = Budget()


def refuse_excess(program: Program, target: Target, budget: Budget) -> None:
    """Refuse, before it is built, a program that cannot fit: by its constants and its arena alone.

    Raises:
        MismatchError: it is over the budget, or over the target's memory; with the sums.
    """
    if faults := list(_excess(program, target, budget)):
        raise MismatchError(
            f"{program.name!r} does not fit {target.name}: {'; '.join(faults)}", _HELP
        )


def _excess(program: Program, target: Target, budget: Budget) -> Iterator[str]:
    constants, arena, stack = program.weight_bytes, program.arena_bytes, target.stack_bytes or 0
    stored, written = target.region("weights"), target.region("arena")
    peak = peak_step(program)
    of_arena = f"{arena:,} bytes of arena, filled by {peak.layer!r} (step {peak.index})"
    if stored is not None and constants > stored.bytes:
        yield f"{constants:,} bytes of constants exceed its {stored.bytes:,} of {stored.name}"
    if budget.flash is not None and constants > budget.flash:
        yield f"{constants:,} bytes of constants exceed --max-flash {budget.flash:,}"
    if written is not None and arena + stack > written.bytes:
        plus = f" + {stack:,} of stack = {arena + stack:,}" if stack else ""
        yield f"{of_arena},{plus} exceed its {written.bytes:,} of {written.name}"
    if budget.ram is not None and arena > budget.ram:
        yield f"{of_arena}, exceed --max-ram {budget.ram:,}"


def refuse_linked(flash: int | None, ram: int | None, budget: Budget, unknown: str) -> None:
    """Refuse a linked model that takes more bytes than it may.

    Args:
        flash: measured, bytes; None where it is not known.
        ram: the same.
        budget: what it may take.
        unknown: why a figure is not known.

    Raises:
        MismatchError: it takes more.
        ToolMissingError: a figure that there is a budget for is not known.
    """
    for what, option, taken, most in (
        ("flash", "--max-flash", flash, budget.flash),
        ("RAM", "--max-ram", ram, budget.ram),
    ):
        if most is None:
            continue
        if taken is None:
            raise ToolMissingError(f"{option} cannot be checked: {unknown}")
        if taken > most:
            raise MismatchError(f"the model takes {taken:,} bytes of {what}, {option} is {most:,}")


def peak_step(program: Program) -> ProgramStep:
    """The first step that keeps most of the arena alive: tensors, those for later included, and workspaces."""
    born = dict.fromkeys(program.inputs, -1)
    last = dict.fromkeys(program.outputs, len(program.steps))
    for step in program.steps:
        for name in step.outputs:
            born.setdefault(name, step.index)
        for name in (*step.inputs, *step.outputs):
            last[name] = max(last.get(name, -1), step.index)

    def alive(step: ProgramStep) -> int:
        tensors = (program.tensor[n] for n, i in born.items() if i <= step.index <= last[n])
        return _union([*((t.offset, t.bytes) for t in tensors), *step.works])

    return max(program.steps, key=alive)


def _union(ranges: list[tuple[int, int]]) -> int:
    """How many bytes ranges of (offset, size) cover: results in place share their operand's."""
    covered = end = 0
    for offset, size in sorted(ranges):
        covered += max(0, offset + size - max(end, offset))
        end = max(end, offset + size)
    return covered
