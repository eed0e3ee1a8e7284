"""Layouts along a graph, with a second layout for real values that only this test knows."""

from __future__ import annotations

import dataclasses

from r2b_edge.exporters.c import build_program
from r2b_edge.exporters.c.anchors import Repack
from r2b_edge.exporters.c.kernel import Kernel
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.c.layout import NHWC
from r2b_edge.exporters.c.negotiate import prefer
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import Clip, FloatConv, MaxPool, Window

from .harness import Builder, Target

PLANES = dataclasses.replace(NHWC, name="planes")
TO_PLANES = Kernel(
    "repack_planes", Repack, "fast", "r2b_map", "none.c", NHWC, (PLANES,),
    lambda op, x, y: {}, lambda op, x, y: 0,
    lambda op, x, y: isinstance(op, Repack) and op.target is PLANES,
)  # fmt: skip
FAST_CONV = dataclasses.replace(
    next(k for k in REGISTRY if k.op is FloatConv), name="fconv_fast", family="fast", reads=PLANES
)
FAST = Target(families=("fast", "portable"))


def two_convs_on_one_pool() -> Graph:
    b = Builder()
    pool = b.add(MaxPool(Window((2, 2))), b.input(1, 4, 6, 6))
    ends = [
        b.add(FloatConv(b.floats(4, 4, 1, 1), b.floats(4), Window((1, 1))), pool) for _ in range(2)
    ]
    return b.done(*ends)


def test_a_writer_that_cannot_write_it_gets_one_repack() -> None:
    registry = (FAST_CONV, TO_PLANES, *REGISTRY)
    program = build_program(two_convs_on_one_pool(), FAST, "net", {}, registry)
    names = [s.kernel for s in program.steps]
    assert names == ["maxpool_portable", "repack_planes", "fconv_fast", "fconv_fast"]
    copy = program.tensor["maxpool@planes"]
    assert copy.value == "maxpool"
    assert copy.layout is PLANES
    assert program.tensor["maxpool"].layout is NHWC
    assert [s.inputs for s in program.steps[2:]] == [("maxpool@planes",)] * 2


def test_a_writer_that_can_write_it_does() -> None:
    pool = dataclasses.replace(
        next(k for k in REGISTRY if k.op is MaxPool), family="fast", writes=(NHWC, PLANES)
    )
    registry = (pool, FAST_CONV, *REGISTRY)
    program = build_program(two_convs_on_one_pool(), FAST, "net", {}, registry)
    assert len(program.steps) == 3
    assert program.tensor["maxpool"].layout is PLANES


def test_most_readers_win_and_ties_go_to_the_favourite() -> None:
    assert prefer((NHWC, PLANES), [PLANES, PLANES, NHWC]) is PLANES
    assert prefer((NHWC, PLANES), [PLANES, NHWC]) is NHWC
    assert prefer((NHWC,), [PLANES]) is NHWC


def test_a_kernel_that_lacks_a_tile_operation_is_passed_over() -> None:
    b = Builder()
    conv = b.add(FloatConv(b.floats(4, 4, 1, 1), b.floats(4), Window((1, 1))), b.input(1, 4, 2, 2))
    graph = b.done(b.add(Clip(0.0, 1.0), conv))
    plain = dataclasses.replace(FAST_CONV, reads=NHWC, tiles=frozenset(["STORE"]))
    program = build_program(graph, FAST, "net", {}, (plain, *REGISTRY))
    assert [s.kernel for s in program.steps] == ["fconv_portable"]
