"""The kernels of Cortex-M read and write their buffers only, to the element, assembly and all.

The programs of test_kernels.py run once more, where a memory protection unit forbids all of the arena that is not the
step's: each tensor and workspace begins or ends at an edge of what it can forbid (edges.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from r2b_edge.exporters.c import Program
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.c.pack import align

from . import watch
from .conftest import Programs, require_in
from .edges import CORTEX_M, ELEMENT, GRAIN
from .harness import Models, with_mpu
from .nets import random_inputs

KERNELS = [kernel.name for kernel in REGISTRY if kernel.family in CORTEX_M]
LAYERS = 8
"""Of a kernel, that are run: an access to what lies beside forbidden bytes is slow."""


@pytest.fixture(scope="session")
def guarded() -> Callable[[Models], Models]:
    """guarded(models): the same programs where there is such a unit."""
    return functools.cache(lambda models: models.relinked(with_mpu(models.toolchain)))


def touched(program: Program, index: int) -> list[watch.Region]:
    """What the step may read or write."""
    return [r for r in watch.regions(program, index) if r[2] != watch.KEPT and r[1] > 0]


@pytest.mark.parametrize("name", KERNELS)
def test_nothing_beside_the_buffers_is_touched(
    name: str, models: Models, programs: Programs, guarded: Callable[[Models], Models]
) -> None:
    graph, program = programs[name]
    require_in(models, program)
    own = [step.index for step in program.steps if step.kernel == name]
    last = own[LAYERS - 1]
    arena = watch.filled(program, program.inputs, random_inputs(graph, seed=6))
    watched = arena + watch.request(program, 0, last)
    plain, forbidden = guarded(models).run(
        [(program, 0, 0, last, arena), (program, 2, 0, last, watched)]
    )
    for name in program.steps[last].outputs:
        t = program.tensor[name]
        part = slice(t.offset, t.offset + t.bytes)
        assert plain[part] == forbidden[part]


@pytest.mark.parametrize("name", KERNELS)
def test_an_element_beside_a_buffer_is_forbidden(name: str, programs: Programs) -> None:
    """At one edge of each buffer at least, and at either edge of some."""
    program = programs[name][1]
    before = after = 0
    for step in program.steps:
        own = touched(program, step.index)
        grains = {g for at, size, _ in own for g in range(at // GRAIN, -(-(at + size) // GRAIN))}
        for at, size, _ in own:
            end = align(at + size, ELEMENT)
            begins = at % GRAIN == 0 and at // GRAIN - 1 not in grains
            ends = end % GRAIN == 0 and end // GRAIN not in grains
            assert begins or ends, (step.title, at, size)
            before += begins
            after += ends
    assert min(before, after) > LAYERS


@pytest.mark.parametrize("name", ["bconv_lut4_v6m", "bconv_lut4_mve"])
def test_an_access_to_what_is_forbidden_is_seen(
    name: str, models: Models, programs: Programs, guarded: Callable[[Models], Models]
) -> None:
    """Each buffer of a step in turn, read, written or both in its place, is not among what it may touch."""
    graph, program = programs[name]
    require_in(models, program)
    index = next(step.index for step in program.steps if step.kernel == name)
    arena = watch.filled(program, program.inputs, random_inputs(graph, seed=6))
    for region in touched(program, index):
        fewer = [r for r in watch.regions(program, index) if r[0] != region[0]]
        data = arena + watch.encode([fewer])
        with pytest.raises(AssertionError, match="an access that is not allowed"):
            guarded(models).run([(program, 2, index, index, data)])
