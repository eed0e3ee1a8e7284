"""Fusion and schedule: what becomes one step, what is stored, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from r2b_edge.errors import UnsupportedError
from r2b_edge.exporters.c import Program, build_program
from r2b_edge.exporters.c.select import schedule, select
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import (
    Add,
    BinaryConv,
    ChannelAffine,
    Clip,
    Elementwise,
    FloatConv,
    GlobalAvgPool,
    MaxPool,
    Mul,
    PReLU,
    Sigmoid,
    Step,
    Window,
)

from .harness import Builder, Target
from .nets import real_to_binary

POINT = Window((1, 1))


def build(graph: Graph) -> Program:
    return build_program(graph, Target(), "net", {}, streams="none")


def tiles(program: Program) -> list[tuple[str, list[str]]]:
    return [
        (s.kernel.removesuffix("_portable"), [t.kind for t in s.epilogue]) for s in program.steps
    ]


def sign(b: Builder, channels: int) -> Step:
    return Step(b.floats(channels), b.signs(channels))


@pytest.mark.parametrize("swap", [False, True])
def test_a_real_to_binary_net_becomes_three_steps_a_unit(swap: bool) -> None:
    gate = [("dense", ["CLIP", "STORE"]), ("dense", ["SIGMOID", "STORE"])]
    unit = ["AFFINE", "MUL_VECTOR", "PRELU", "ADD_MAP"]
    found = [
        (kernel, sorted(kinds))
        for kernel, kinds in tiles(build(real_to_binary(units=1, swap=swap)))
    ]
    wanted = [
        ("fconv", ["CLIP", "STORE"]),
        ("maxpool", ["STORE", "MEAN", "BITS"]),
        *gate,
        ("bconv", [*unit, "STORE", "MEAN", "BITS"]),
        *gate,
        ("avgpool", ["STORE"]),
        ("fconv", ["STORE"]),
        ("bconv", [*unit, "MEAN"]),
        ("dense", ["STORE"]),
    ]
    assert sorted(found) == sorted((kernel, sorted(kinds)) for kernel, kinds in wanted)


@pytest.mark.parametrize("swap", [False, True])
def test_the_skip_is_added_in_place(swap: bool) -> None:
    program = build(real_to_binary(units=1, swap=swap))
    step = next(s for s in program.steps if "ADD_MAP" in [t.kind for t in s.epilogue])
    at = {t.kind: t.fields.get("at") for t in step.epilogue}
    assert at["ADD_MAP"] == at["STORE"]


def test_a_skip_that_is_needed_later_is_not_overwritten() -> None:
    b = Builder()
    x = b.input(1, 4, 3, 3)
    skip = b.add(MaxPool(Window((2, 2))), x)
    conv = b.add(BinaryConv(b.signs(4, 4, 1, 1), POINT), b.add(sign(b, 4), skip))
    total = b.add(Add(), conv, skip)
    late = b.add(FloatConv(b.floats(4, 4, 1, 1), b.floats(4), POINT), skip)
    program = build(b.done(b.add(Mul(), b.add(MaxPool(Window((1, 1))), total), late), total, skip))
    tensors = program.tensor
    assert tensors[skip].offset != tensors[total].offset


def test_an_operand_that_is_the_source_of_a_convolution_is_not_overwritten() -> None:
    b = Builder()
    x = b.add(Clip(0.0, 6.0), b.input(1, 4, 5, 5))
    conv = b.add(FloatConv(b.floats(4, 4, 3, 3), b.floats(4), Window((3, 3), pads=(1, 1, 1, 1))), x)
    program = build(b.done(b.add(Add(), conv, x)))
    assert tiles(program)[1] == ("fconv", ["ADD_MAP", "STORE"])
    assert program.tensor[x].offset != program.tensor["add"].offset


def test_a_value_with_two_continuations_is_stored_once_and_extended_once() -> None:
    b = Builder()
    conv = b.add(FloatConv(b.floats(4, 2, 1, 1), b.floats(4), POINT), b.input(1, 2, 3, 3))
    one = b.add(PReLU(b.floats(4)), conv)
    two = b.add(Sigmoid(), conv)
    program = build(b.done(one, two))
    assert tiles(program) == [("fconv", ["STORE", "PRELU", "STORE"]), ("map", ["SIGMOID", "STORE"])]


def test_a_value_added_to_itself() -> None:
    b = Builder()
    x = b.input(1, 4, 3, 3)
    conv = b.add(FloatConv(b.floats(4, 4, 1, 1), b.floats(4), POINT), x)
    program = build(b.done(b.add(Add(), conv, conv)))
    assert tiles(program) == [("fconv", ["STORE"]), ("map", ["ADD_MAP", "STORE"])]


def test_two_values_of_one_chain_meet_in_a_step_of_their_own() -> None:
    b = Builder()
    conv = b.add(FloatConv(b.floats(4, 4, 1, 1), b.floats(4), POINT), b.input(1, 4, 3, 3))
    bent = b.add(PReLU(b.floats(4)), conv)
    program = build(b.done(b.add(Add(), bent, conv)))
    assert tiles(program) == [("fconv", ["STORE", "PRELU", "STORE"]), ("map", ["ADD_MAP", "STORE"])]


def test_taps_on_an_input_share_one_pass() -> None:
    b = Builder()
    x = b.input(1, 4, 3, 3)
    program = build(b.done(b.add(sign(b, 4), x), b.add(GlobalAvgPool(), x)))
    assert tiles(program) == [("map", ["BITS", "MEAN"])]


def test_what_nobody_reads_is_not_computed() -> None:
    b = Builder()
    x = b.input(1, 4, 3, 3)
    kept = b.add(Clip(0.0, 1.0), x)
    b.add(Sigmoid(), x)
    program = build(b.done(kept))
    assert tiles(program) == [("map", ["CLIP", "STORE"])]


def test_the_schedule_runs_a_deep_net() -> None:
    b = Builder()
    x = b.input(1, 2)
    for _ in range(3000):
        x = b.add(Clip(0.0, 1.0), x)
    assert len(schedule(b.done(x))) == 3000


def test_every_node_belongs_to_one_step() -> None:
    graph = real_to_binary()
    program = build(graph)
    names = [name for step in program.steps for name in step.nodes]
    assert sorted(names) == sorted(node.name for node in graph.nodes)


def test_an_unknown_op_is_refused_by_name() -> None:
    b = Builder()
    x = b.add(Elementwise("Pow", (None, np.float32([3]))), b.input(1, 2), name="cube")
    with pytest.raises(UnsupportedError, match="node cube"):
        select(b.done(x))


def test_bits_outside_of_a_binary_convolution_are_refused_by_name() -> None:
    b = Builder()
    bits = b.add(sign(b, 4), b.input(1, 4, 3, 3))
    with pytest.raises(UnsupportedError, match=r"node maxpool.*bits"):
        select(b.done(b.add(MaxPool(Window((2, 2))), bits)))


def test_no_kernel_fits() -> None:
    b = Builder()
    weight = np.ones((1, 2**24, 1, 1), np.int8)
    bits = b.add(
        Step(np.zeros(2**24, np.float32), np.ones(2**24, np.int8)), b.input(1, 2**24, 1, 1)
    )
    graph = b.done(b.add(BinaryConv(weight, POINT), bits, name="huge"))
    with pytest.raises(UnsupportedError, match="node huge"):
        build(graph)


def test_a_family_that_nobody_has() -> None:
    b = Builder()
    graph = b.done(b.add(Sigmoid(), b.input(1, 3)))
    with pytest.raises(UnsupportedError, match="abacus"):
        build_program(graph, Target(families=("abacus",)), "net", {})


def test_a_net_without_layers_is_refused() -> None:
    b = Builder()
    with pytest.raises(UnsupportedError, match="no layers"):
        build(b.done(b.input(1, 3)))


def test_an_affine_reads_integers() -> None:
    b = Builder()
    bits = b.add(sign(b, 3), b.input(1, 3, 2, 2))
    conv = b.add(BinaryConv(b.signs(5, 3, 1, 1), POINT), bits)
    program = build(b.done(b.add(ChannelAffine(b.floats(5), b.floats(5)), conv), conv))
    assert tiles(program)[1] == ("bconv", ["STORE", "AFFINE", "STORE"])
    assert program.tensor[conv].type.dtype == "int32"


def stem(b: Builder, x: str, out: int = 4) -> str:
    around = Window((3, 3), pads=(1, 1, 1, 1))
    channels = b.graph.type(x).channels
    return b.add(FloatConv(b.floats(out, channels, 3, 3), b.floats(out), around), x)


def affine(b: Builder, x: str) -> str:
    channels = b.graph.type(x).channels
    return b.add(ChannelAffine(b.floats(channels), b.floats(channels)), x)


def test_a_convolution_reads_bytes_through_their_affine_map() -> None:
    b = Builder()
    program = build(b.done(stem(b, affine(b, b.input(1, 3, 6, 6, uint8=True)))))
    assert tiles(program) == [("fconv_bytes", ["STORE"])]
    assert program.steps[0].inputs == ("input",)
    assert program.steps[0].nodes == ("node floatconv", "node channelaffine")
    assert program.tensor["input"].bytes == 3 * 6 * 6
    assert isinstance(program.steps[0].fields["scale"], str)


def test_bytes_without_an_affine_map_beside_another_reader() -> None:
    """Two convolutions read the bytes, a pool needs floats."""
    b = Builder()
    x = b.input(1, 3, 6, 6, uint8=True)
    program = build(b.done(stem(b, x), stem(b, x), b.add(MaxPool(POINT), x)))
    assert [s.kernel for s in program.steps] == [
        "fconv_bytes_portable", "fconv_bytes_portable", "repack_bytes", "maxpool_portable",
    ]  # fmt: skip
    assert "scale" not in program.steps[0].fields


@pytest.mark.parametrize("reader", ["another", "output"])
def test_an_affine_map_that_others_need_is_a_step(reader: str) -> None:
    b = Builder()
    normal = affine(b, b.input(1, 3, 6, 6, uint8=True))
    other = normal if reader == "output" else b.add(MaxPool(POINT), normal)
    program = build(b.done(stem(b, normal), other))
    assert [s.kernel for s in program.steps[:2]] == ["repack_bytes", "map_portable"]
    assert "fconv_portable" in [s.kernel for s in program.steps]


def test_floats_are_read_as_floats() -> None:
    b = Builder()
    program = build(b.done(stem(b, affine(b, b.input(1, 3, 6, 6)))))
    assert [s.kernel for s in program.steps] == ["map_portable", "fconv_portable"]
