"""Streaming: which calls become one step by rows, what that saves, and what stays apart."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from r2b_edge.exporters.c import Program, Streams, build_program
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.c.render import render
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import (
    Add,
    AvgPool,
    BinaryConv,
    ChannelAffine,
    Clip,
    ConstantMap,
    FloatConv,
    GlobalAvgPool,
    MaxPool,
    Mul,
    PReLU,
    Step,
    Window,
)

from .harness import Builder, Target

AROUND = Window((3, 3), pads=(1, 1, 1, 1))
POOL = MaxPool(Window((3, 3), (2, 2), (1, 1, 1, 1)))


def build(graph: Graph, streams: Streams = "smaller") -> Program:
    return build_program(graph, Target(), "net", {}, streams=streams)


def joined(program: Program) -> list[tuple[str, ...]]:
    return [step.kernels for step in program.steps if step.stream]


def conv(b: Builder, x: str, outputs: int, window: Window = AROUND) -> str:
    weight = b.floats(outputs, b.graph.type(x).channels, *window.kernel)
    return b.add(FloatConv(weight, b.floats(outputs), window), x)


def stem(b: Builder, height: int = 32) -> str:
    return b.add(Clip(0.0, np.inf), conv(b, b.input(1, 3, height, 32), 16))


def test_a_stem_and_its_pool_are_one_step() -> None:
    b = Builder()
    pooled = b.add(POOL, stem(b))
    bits = b.add(Step(b.floats(16), b.signs(16)), pooled)
    scores = b.add(BinaryConv(b.signs(4, 16, 1, 1), Window((1, 1))), bits)
    graph = b.done(b.add(GlobalAvgPool(), pooled), scores)
    program = build(graph)
    first = program.steps[0]
    assert first.kernels == ("fconv_portable", "maxpool_portable")
    assert [node.split()[1] for node in first.nodes[:3]] == ["floatconv", "maxpool", "clip"]
    assert first.layer == first.nodes[0]
    assert first.inputs == program.inputs
    assert set(first.nodes) == {n.name for n in graph.nodes} - {graph.producers()[scores].name}
    apart = build(graph, "none")
    # Instead of 32 rows of 32 pixels of 16 floats, 3 of them.
    assert first.works[-1][1] == 3 * 32 * 16 * 4
    assert apart.arena_bytes - program.arena_bytes > 20 * 32 * 16 * 4
    assert program.arena_bytes == program.arena_bound_bytes
    assert "clip" not in program.tensor
    assert apart.hash != program.hash
    assert "src/r2b_rows.c" in dict(render(program, Target()))
    assert "src/r2b_rows.c" not in dict(render(apart, Target()))


@pytest.mark.parametrize(
    ("slope", "pool", "behind"),
    [(0.25, MaxPool, True), (-0.25, MaxPool, False), (0.25, AvgPool, False)],
)
def test_what_rises_runs_behind_the_maximum(
    slope: float, pool: type[MaxPool | AvgPool], behind: bool
) -> None:
    """Of 4 values one is left there. What may fall, and what a mean is taken of, stays where it was."""
    b = Builder()
    x = b.add(PReLU(np.full(16, slope, np.float32)), stem(b))
    program = build(b.done(b.add(pool(POOL.window), x)))
    (step,) = program.steps
    assert step.stream is not None
    kinds = [[op.kind for op in call.epilogue] for call in (step.stream.maker, step)]
    own = ["CLIP", "PRELU"]
    assert kinds == ([["STORE"], [*own, "STORE"]] if behind else [[*own, "STORE"], ["STORE"]])


@pytest.mark.parametrize(("cores", "rows"), [(1, 5), (3, 6)])
def test_a_maker_of_four_rows_at_once_has_room_for_them(cores: int, rows: int) -> None:
    """The reader keeps one row of three, and makes four: 5, or 6 where a task begins between."""
    b = Builder()
    graph = b.done(b.add(POOL, stem(b)))
    registry = [dataclasses.replace(k, rows_at_once=4) if k.by_rows else k for k in REGISTRY]
    target = Target(cores=cores)
    program = build_program(graph, target, "net", {}, registry, streams="all", worth=1)
    (step,) = program.steps
    assert step.stream is not None
    assert step.stream.fields["at_once"] == 4
    assert step.stream.fields["rows"] == rows


def test_what_saves_nothing_stays_apart() -> None:
    """The widest moment is another one; or the pair is not wide at all."""
    b = Builder()
    wide = conv(b, b.input(1, 8, 64, 64), 8)
    narrow = b.add(MaxPool(Window((16, 16), (16, 16))), wide)
    graph = b.done(b.add(POOL, conv(b, narrow, 4)))
    assert joined(build(graph)) == [("fconv_portable", "maxpool_portable")]
    assert len(joined(build(graph, "all"))) == 2
    b = Builder()
    assert not joined(build(b.done(b.add(POOL, stem(b, height=3)))))


def test_no_call_is_in_two_pairs() -> None:
    """Of three windows in a row the pair with the larger map between is joined."""
    b = Builder()
    half = Window((2, 2), (2, 2))
    x = b.add(MaxPool(half), b.add(AvgPool(half), conv(b, b.input(1, 3, 32, 32), 16)))
    program = build(b.done(x), "all")
    assert [s.kernels for s in program.steps] == [
        ("fconv_portable", "avgpool_portable"),
        ("maxpool_portable",),
    ]


def test_convolutions_read_whole_maps() -> None:
    """A sum of clipped values can be as good as nothing, and then shows their rounding."""
    b = Builder()
    assert not joined(build(b.done(conv(b, stem(b), 2)), "all"))


def test_a_skip_past_the_maker_ends_when_the_pair_has_run() -> None:
    """What the maker's gate reads is alive until the reader's last row."""
    b = Builder()
    gate = b.add(Clip(0.0, 1.0), b.input(1, 16))
    gated = b.add(Mul(), conv(b, b.input(1, 3, 32, 32), 16), gate)
    program = build(b.done(b.add(POOL, gated)), "all")
    (pair,) = [step for step in program.steps if step.stream]
    assert gate in pair.inputs
    places = [(program.tensor[n].offset, program.tensor[n].bytes) for n in pair.inputs]
    places += [(program.tensor[n].offset, program.tensor[n].bytes) for n in pair.outputs]
    places = sorted([*places, *pair.works])
    assert all(at + size <= after for (at, size), (after, _) in pairwise(places))


@pytest.mark.parametrize(
    "case", ["read twice", "an output", "a mean", "a map added", "a constant map", "a blind window"]
)
def test_what_cannot_be_one_step(case: str) -> None:
    b = Builder()
    outputs: list[str] = []
    x = conv(b, b.input(1, 3, 32, 32), 16)
    match case:
        case "read twice":
            outputs.append(conv(b, x, 2))
        case "an output":
            outputs.append(x)
        case "a mean":
            outputs.append(b.add(GlobalAvgPool(), x))
        case "a map added":
            x = b.add(Add(), x, b.input(1, 16, 32, 32))
        case "a constant map":
            x = b.add(ConstantMap("Add", b.floats(1, 32, 32)), x)
        case "a blind window":  # its first row lies in the border
            x = conv(b, x, 2, Window((1, 1), pads=(1, 0, 0, 0)))
    x = b.add(ChannelAffine(b.floats(1), b.floats(1)), x)
    assert not joined(build(b.done(*outputs, b.add(POOL, x)), "all"))
