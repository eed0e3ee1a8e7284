"""The arena at run time: nothing dead is read, nothing beside a step's own buffers is touched."""

from __future__ import annotations

from itertools import combinations

import pytest

from r2b_edge.exporters.c import Program
from r2b_edge.exporters.c.kernels import REGISTRY

from .conftest import Programs, require_in
from .harness import Models
from .joined import BY_ROWS
from .nets import NETS, OTHER_NETS, random_inputs
from .watch import (
    GUARD,
    PATTERNS,
    alive_before,
    filled,
    request,
    results,
)

ALL = [
    *(kernel.name for kernel in REGISTRY), *(f"rows_{kernel.name}" for kernel in BY_ROWS),
    *NETS, *(f"{name}_guarded" for name in NETS), *OTHER_NETS,
]  # fmt: skip


def places(program: Program) -> list[list[tuple[int, int]]]:
    """Offset and bytes of all that is alive in each step, each place once: a result may take its operand's.

    One that is smaller than its operand begins where that does.
    """
    steps = []
    for step in program.steps:
        names = {*alive_before(program, step.index), *step.outputs}
        tensors = [program.tensor[name] for name in names]
        ranges = sorted({*((t.offset, t.bytes) for t in tensors), *step.works})
        steps.append(sorted(dict(ranges).items()))
    return steps


@pytest.mark.parametrize("name", ALL)
def test_what_is_alive_has_room(name: str, programs: Programs) -> None:
    """Places of a step lie apart, in a guarded program by GUARD bytes, also from the arena's ends."""
    _, program = programs[name]
    room = 0 if name in NETS else GUARD
    for alive in places(program):
        for (offset, size), (after, _) in combinations(alive, 2):
            assert offset + size + room <= after
        for offset, size in alive:
            assert room <= offset
            assert offset + size + room <= program.arena_bytes


@pytest.mark.parametrize("name", ALL)
def test_nothing_dead_is_read(name: str, models: Models, programs: Programs) -> None:
    """Step by step, with all that is dead filled with NaN and with noise: bit for bit what a plain run gives."""
    graph, program = programs[name]
    require_in(models, program)
    last = len(program.steps) - 1
    arena = filled(program, program.inputs, random_inputs(graph, seed=4))
    plain, *watched = models.run(
        [
            (program, 0, 0, last, arena),
            *((program, 2, 0, last, arena + request(program, 0, last, p)) for p in PATTERNS),
        ]
    )
    for answer in watched:
        assert results(program, answer) == results(program, plain)


@pytest.mark.parametrize("name", NETS)
def test_a_guarded_program_computes_the_same(name: str, models: Models, programs: Programs) -> None:
    graph, program = programs[name]
    require_in(models, program)
    _, guarded = programs[f"{name}_guarded"]
    inputs = random_inputs(graph, seed=4)
    requests = [
        (p, 0, 0, len(p.steps) - 1, filled(p, p.inputs, inputs)) for p in (program, guarded)
    ]
    answers = models.run(requests)
    assert results(program, answers[0]) == results(guarded, answers[1])


def test_an_input_that_is_an_output_stays(models: Models, programs: Programs) -> None:
    """Its place may not be taken over, and it is what it was."""
    graph, program = programs["echo"]
    require_in(models, program)
    inputs = random_inputs(graph, seed=4)
    arena = filled(program, program.inputs, inputs)
    (after,) = models.run([(program, 0, 0, len(program.steps) - 1, arena)])
    name = program.inputs[0]
    assert name == program.outputs[0]
    tensor = program.tensor[name]
    assert results(program, after)[0] == tensor.pack(inputs[name])
    for other in program.tensors[1:]:
        end = other.offset + other.bytes
        assert end <= tensor.offset or tensor.offset + tensor.bytes <= other.offset
