"""The packer of the convolution by table lookup: thresholds, weights, and where it is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from r2b_edge import targets
from r2b_edge.exporters.c import build_program, lut4
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.c.select import Group, select
from r2b_edge.graph.graph import Array, Graph, TensorType
from r2b_edge.ops import Add, BinaryConv, ChannelAffine, Clip, PReLU, Step, Window

from .conftest import Programs
from .drawing import step
from .harness import Builder, Target

AROUND = Window((3, 3), (1, 1), (1, 1, 1, 1))


def conv(b: Builder, channels: int, outputs: int, size: int = 8, window: Window = AROUND) -> str:
    bits = b.add(step(b, channels), b.input(1, channels, size, size))
    return b.add(BinaryConv(b.signs(outputs, channels, *window.kernel), window), bits)


def thresholds_of(graph: Graph) -> tuple[Group, lut4.Thresholds | None]:
    (group,) = (g for g in select(graph) if isinstance(g.op, BinaryConv))
    assert isinstance(group.op, BinaryConv)
    x, y = graph.type(group.source), graph.type(group.chain[0])
    return group, lut4.thresholds(group.op, x, y, group.tiles)


def every_dot(graph: Graph, group: Group) -> Array:
    """[values, C]: each dot product that a window of the group's convolution can have, in every channel."""
    assert isinstance(group.op, BinaryConv)
    most = group.op.weight[0].size
    values = np.arange(-most, most + 1, 2)
    return np.repeat(values[:, None], graph.type(group.chain[0]).channels, axis=1)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("channels", [8, 3, 1])
def test_thresholds_are_the_arithmetic_itself(seed: int, channels: int) -> None:
    """For each value and channel the comparison of integers is what the ops' own references say.

    What is filled up of an odd number of channels adds one to a sum for each tap of a channel.
    """
    b = Builder(seed)
    value = conv(b, channels, 40, window=Window((3, 3)))
    excess = channels % 2 * 9
    ops = [
        ChannelAffine(b.floats(40) / 3, np.round(b.floats(40) * 2)),
        PReLU(np.abs(b.floats(40))),
        Clip(-9.0, 9.0),
    ]
    ops = [op for op in ops if b.rng.random() < 0.7] + [step(b, 40)]
    outputs = value
    for op in ops:
        outputs = b.add(op, outputs)
    graph = b.done(outputs)
    group, found = thresholds_of(graph)
    assert found is not None
    dots = every_dot(graph, group)
    tensor = dots.T.astype(np.float32)[None, :, :, None]  # [1, C, values, 1]
    for op in ops:
        tensor = op.reference(tensor)
    negative = ((dots + excess) // 2 < found.limit) ^ found.flip
    assert ((tensor[0, :, :, 0] < 0) == negative.T).all()


def test_a_ties_side_is_kept() -> None:
    """A sum at the threshold, and one that rounding brings there: +1 both times."""
    b = Builder(1)
    value = conv(b, 8, 2)
    scale = np.full(2, 0.1, np.float32)
    offset = -scale * np.float32(14)
    value = b.add(ChannelAffine(scale, offset), value)
    graph = b.done(b.add(Step(np.zeros(2, np.float32), np.array([1, -1], np.int8)), value))
    _, found = thresholds_of(graph)
    assert found is not None
    assert (found.limit == [7, 8]).all()  # 2 v < 14; not 2 v <= 14
    assert (found.flip == [False, True]).all()


def test_signs_that_change_twice_have_no_threshold() -> None:
    b = Builder(2)
    bent = b.add(PReLU(np.full(3, -1.0, np.float32)), conv(b, 8, 3))  # the absolute value
    graph = b.done(b.add(Step(np.full(3, 5.0, np.float32), np.ones(3, np.int8)), bent))
    assert thresholds_of(graph)[1] is None


def test_an_odd_channel_at_a_border_of_zeros_has_no_threshold() -> None:
    """What it leaves in the sum differs from pixel to pixel."""
    b = Builder(3)
    graph = b.done(b.add(step(b, 4), conv(b, 7, 4)))
    assert thresholds_of(graph)[1] is None
    b = Builder(3)
    inner = conv(b, 7, 4, window=Window((3, 3)))
    assert thresholds_of(b.done(b.add(step(b, 4), inner)))[1] is not None


def test_an_absorbed_epilogue_leaves_no_floats_behind() -> None:
    b = Builder(4)
    value = b.add(ChannelAffine(b.floats(32), b.floats(32)), conv(b, 32, 32))
    reader = BinaryConv(b.signs(8, 32, 3, 3), AROUND)
    graph = b.done(b.add(reader, b.add(step(b, 32), value)))
    program = build_program(graph, Target(families=("c", "portable")), "t", {})
    (first,) = (s for s in program.steps if s.fields.get("finish") == "R2B_LUT4_SIGNS")
    assert [op.kind for op in first.epilogue] == ["BITS"]
    kept = {c.symbol: c.array for c in program.constants if c.symbol in first.constants}
    assert all(array.dtype == np.uint32 for array in kept.values())


@pytest.mark.parametrize(
    ("channels", "kernel", "words"), [(64, 3, 6), (32, 3, 3), (16, 3, 2), (64, 1, 2), (20, 3, 2), (256, 3, 24)]
)  # fmt: skip
def test_weights_take_a_bit_each_in_whole_words(channels: int, kernel: int, words: int) -> None:
    b = Builder(5)
    op = BinaryConv(b.signs(4, channels, kernel, kernel), Window((kernel, kernel)))
    x = TensorType((1, channels, 16, 16), "bits")
    g = lut4.geometry(op, x, op.infer(x), 16)
    assert lut4.weights(op, g).shape == (4, kernel, words)
    assert sum(g.chunk_words) == words
    assert max(8 * w for w in g.chunk_words) <= lut4.MOST_LOOKUPS + 8 * words - g.lookups


def kernel_for(channels: int, outputs: int, size: int, target: str, kernel: int = 3) -> str:
    b = Builder(6)
    pad = kernel // 2
    graph = b.done(
        conv(b, channels, outputs, size, Window((kernel, kernel), (1, 1), (pad, pad, pad, pad)))
    )
    program = build_program(graph, targets.load(target), "t", {})
    return next(s.kernel for s in program.steps if s.kernel.startswith("bconv"))


def test_tables_are_made_where_they_pay() -> None:
    assert kernel_for(64, 64, 16, "stm32f405") == "bconv_lut4_dsp"
    assert kernel_for(64, 64, 16, "stm32f100") == "bconv_lut4_v7m"
    assert kernel_for(64, 64, 16, "stm32h743") == "bconv_lut4_dsp"
    assert "lut4" not in kernel_for(
        64, 1, 16, "stm32f405"
    )  # the tables would serve one channel only
    assert "lut4" not in kernel_for(256, 64, 1, "stm32f405", kernel=1)  # one pixel of 16


@pytest.mark.parametrize(
    ("channels", "outputs", "size", "kernel"),
    [
        (16, 64, 16, "bconv_1x1_dsp"), (64, 64, 7, "bconv_1x1_dsp"), (65, 64, 16, "bconv_lut4_dsp"),
        (64, 64, 1, "bconv_csa"),
    ],
)  # fmt: skip
def test_signs_of_single_pixels_come_from_tables_of_weights(
    channels: int, outputs: int, size: int, kernel: str
) -> None:
    """On few input channels, and not on few pixels: the tables cost the same for one as for many."""
    b = Builder(8)
    value = conv(b, channels, outputs, size, Window((1, 1)))
    reader = BinaryConv(b.signs(8, outputs, 1, 1), Window((1, 1)))
    graph = b.done(b.add(reader, b.add(step(b, outputs), value)))
    program = build_program(graph, targets.load("stm32f405"), "t", {})
    assert next(s.kernel for s in program.steps if s.kernel.startswith("bconv")) == kernel


def test_sums_of_single_pixels_do_not() -> None:
    assert kernel_for(32, 64, 16, "stm32f405", kernel=1) == "bconv_lut4_dsp"


def test_two_vectors_at_a_time_where_there_are_two() -> None:
    """Three rows at stride 1; on 4x4 maps one vector has all rows, and a second one would be empty."""
    assert kernel_for(64, 64, 16, "corstone-300") == "bconv_lut4_pair_mve"
    assert kernel_for(64, 64, 4, "corstone-300") == "bconv_lut4_mve"
    assert kernel_for(64, 64, 40, "corstone-300") == "bconv_lut4_mve"
    assert kernel_for(64, 64, 16, "corstone-300", kernel=5) == "bconv_lut4_mve"


def test_layers_reach_every_way_through_the_assembly_of_pairs(programs: Programs) -> None:
    """Rows in a vector, groups that the first block lacks, runs of a column, shifts with either border."""
    graph = programs["bconv_lut4_pair_mve"][0]
    seen = set()
    for node in graph.nodes:
        if isinstance(node.op, BinaryConv):
            g = lut4.geometry(node.op, graph.type(node.inputs[0]), graph.type(node.output), 32)
            seen |= {("rows", g.rows), ("lacks", -g.groups % 8), ("in one run", g.groups <= 21)}
            shifts = {max(-2, min(shift, 2)) for shift in g.shifts}
            seen |= {("shift", shift, node.op.pad_value != 0) for shift in shifts}
    assert seen >= {
        ("rows", 1),
        ("rows", 2),
        ("rows", 4),
        ("in one run", True),
        ("in one run", False),
    }
    assert seen >= {("lacks", n) for n in range(8)}
    assert seen >= {("shift", d, border) for d in (-2, -1, 1, 2) for border in (False, True)}


def test_a_skip_is_added_in_floats() -> None:
    b = Builder(7)
    value = b.add(Add(), conv(b, 32, 32), b.input(1, 32, 8, 8))
    graph = b.done(b.add(step(b, 32), value))
    assert thresholds_of(graph)[1] is None


def test_layers_reach_every_way_through_the_assembly(programs: Programs) -> None:
    """Rows in a vector, vectors in a row, chunks, shifts of a merge, and where a block of lookups is entered."""
    seen: dict[str, set[int]] = {
        "rows": set(),
        "vectors": set(),
        "shift": set(),
        "entry % 3": set(),
    }
    for name in (k.name for k in REGISTRY if k.name in ("bconv_lut4_dsp", "bconv_lut4_v7m")):
        graph = programs[name][0]
        for node in graph.nodes:
            if isinstance(node.op, BinaryConv) and node.op.weight.shape[2:] != (1, 1):
                g = lut4.geometry(node.op, graph.type(node.inputs[0]), graph.type(node.output), 16)
                seen["rows"].add(g.rows)
                seen["vectors"].add(min(g.vectors, 3))
                seen["shift"] |= set(range(g.shifts[0], g.shifts[1] + 1))
                seen["entry % 3"].add(-g.lookups % 24 % 3)
    assert seen["rows"] == {1, 2, 4}
    assert seen["vectors"] == {1, 2, 3}
    assert seen["shift"] >= set(range(-3, 4))
    assert seen["entry % 3"] == {0, 1, 2}
