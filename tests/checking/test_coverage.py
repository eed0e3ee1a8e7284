"""Nothing of a graph stays uncompared: how much of it each executor's steps show, and what is refused."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from checking_nets import PADS, r2b_unit, whole
from exactness import canonical, verdict_of
from small_onnx import Net, floats, signs

from r2b_edge import ops, targets
from r2b_edge.checking.coverage import verify_coverage
from r2b_edge.checking.executor import Executor, ExecutorStep, GraphExecutor
from r2b_edge.checking.lce import LceExecutor
from r2b_edge.checking.reference import Reference
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph import Graph
from r2b_edge.pipeline import program_of

Pair = tuple[Graph, Reference]


def stage(net: Net, random: np.random.Generator) -> None:
    """Two Real-to-Binary units with gates of dense layers, then a whole head."""
    y = r2b_unit(net, "x", 8, random, "weights", "norm", "dense")
    y = r2b_unit(net, y, 8, random, "weights", "norm", "dense")
    mean = net.op("Flatten", net.op("GlobalAveragePool", y))
    net.op("Gemm", mean, floats(random, 8, 5), floats(random, 5))


def two_convolutions(net: Net, random: np.random.Generator) -> None:
    """Convolution to convolution by bits alone."""
    y = net.conv(net.sign("x"), 0.1 * signs(random, 8, 8, 3, 3), floats(random, 8), pads=PADS)
    net.conv(net.sign(y), 0.1 * signs(random, 8, 8, 3, 3), pads=PADS)


NETS = {"stage": stage, "two convolutions": two_convolutions, "whole": None}

# Tensors that are compared, by dtype, counted by hand:
#
# stage. A unit has 11 nodes: Step, BinaryConv, its ChannelAffine, GlobalAvgPool, Dense, Clip, Dense, Sigmoid, Mul,
# PReLU, Add; the head 2: GlobalAvgPool, Dense. The graph shows the output of each of the 2 * 11 + 2 nodes, of which 2
# are bits and 2 are dot products. TFLite fuses in each unit the affine map into the convolution and the Clip into its
# Dense: 24 - 4, without a dot product. C begins with a step that stores the input's bits and mean (2), and has in each
# unit two dense steps of one tensor (4) and one convolution, whose step writes map, mean and bits, the last one of them
# the mean only (3 + 1), and the last Dense (1).
#
# two convolutions. Graph: Step, BinaryConv, ChannelAffine, all twice. TFLite: the convolutions hold their affine maps.
# C: a step for the input's bits; a convolution that writes bits; one that writes the map.
#
# whole. Graph: FloatConv, MaxPool, a unit, GlobalAvgPool, and a Dense that holds the last BatchNorm: 2 + 11 + 2.
# C: FloatConv, MaxPool with bits, mean and map, two dense steps, the convolution's mean, the last Dense.
COMPARED = {
    ("stage", "graph"): {"bits": 2, "int32": 2, "float32": 20},
    ("stage", "tflite"): {"bits": 2, "float32": 18},
    ("stage", "c"): {"bits": 2, "float32": 9},
    ("two convolutions", "graph"): {"bits": 2, "int32": 2, "float32": 2},
    ("two convolutions", "tflite"): {"bits": 2, "float32": 2},
    ("two convolutions", "c"): {"bits": 2, "float32": 1},
    ("whole", "graph"): {"bits": 1, "int32": 1, "float32": 13},
    ("whole", "tflite"): {"bits": 1, "float32": 12},
    ("whole", "c"): {"bits": 1, "float32": 7},
}


def pair_of(name: str, folder: Path) -> Pair:
    random = np.random.default_rng(5)
    net = Net((1, 3, 10, 10) if name == "whole" else (1, 8, 7, 7))
    make = NETS[name]
    if make is None:
        whole(net, random, "mean")
    else:
        make(net, random)
    return canonical(net, folder)


def steps_of(graph: Graph, executor: str) -> list[ExecutorStep]:
    """The steps that the executors of a check have, without running anything."""
    if executor == "graph":
        return list(GraphExecutor(graph).steps)
    if executor == "tflite":
        return [ExecutorStep(s.nodes, s.inputs, s.outputs) for s in convert(graph).steps]
    program = program_of(graph, targets.load("host"), "net", "0" * 64)

    def values(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(program.tensor[name].value for name in names)

    return [ExecutorStep(s.nodes, values(s.inputs), values(s.outputs)) for s in program.steps]


@pytest.mark.parametrize(("name", "executor"), COMPARED)
def test_so_many_tensors_are_compared(name: str, executor: str, tmp_path: Path) -> None:
    graph, _ = pair_of(name, tmp_path)
    steps = steps_of(graph, executor)
    verify_coverage(executor, graph, steps)
    assert (
        Counter(graph.type(n).dtype for s in steps for n in s.outputs) == COMPARED[name, executor]
    )
    convolutions = [n.name for n in graph.nodes if isinstance(n.op, ops.BinaryConv)]
    inside = Counter(name for step in steps for name in step.nodes)
    assert [inside[name] for name in convolutions] == [1] * (1 if name == "whole" else 2)


def test_a_verdict_holds_what_was_counted(tmp_path: Path, require_lce: None) -> None:
    """All of these tensors, and every value of them in every sample."""
    graph, reference = pair_of("stage", tmp_path)
    executors: dict[str, Executor] = {
        "graph": GraphExecutor(graph),
        "tflite": LceExecutor(convert(graph)),
    }
    for name, executor in executors.items():
        verdict = verdict_of(graph, reference, executor, samples=2)
        assert verdict.exact
        tallies = [tally for step in verdict.tallies for tally in step]
        assert len(tallies) == sum(COMPARED["stage", name].values())
        for tally in tallies:
            size = int(np.prod(graph.type(tally.name).shape))
            assert (tally.compared, tally.hidden) == (2 * size, 0)


@pytest.fixture(scope="module")
def stage_graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return pair_of("stage", tmp_path_factory.mktemp("stage"))[0]


def fused(graph: Graph, *kinds: type) -> Iterator[ExecutorStep]:
    """The oracle's steps, where consecutive nodes of these classes are one step that shows its last value only."""
    steps = list(GraphExecutor(graph).steps)
    i = 0
    while i < len(steps):
        run = steps[i : i + len(kinds)]
        if [type(n.op) for n in graph.nodes[i : i + len(kinds)]] != list(kinds):
            yield steps[i]
            i += 1
            continue
        made = {name for step in run for name in step.outputs}
        read = dict.fromkeys(name for step in run for name in step.inputs if name not in made)
        yield ExecutorStep(
            tuple(n for step in run for n in step.nodes), tuple(read), run[-1].outputs
        )
        i += len(kinds)


def test_what_is_fused_inside_of_a_step_need_not_be_shown(stage_graph: Graph) -> None:
    steps = list(fused(stage_graph, ops.BinaryConv, ops.ChannelAffine))
    assert len(steps) == len(stage_graph.nodes) - 2
    verify_coverage("test", stage_graph, steps)


@pytest.mark.parametrize("index", range(24))
def test_a_node_in_no_step_or_in_two(index: int, stage_graph: Graph) -> None:
    steps = list(GraphExecutor(stage_graph).steps)
    name = stage_graph.nodes[index].name
    without = [*steps[:index], *steps[index + 1 :]]
    with pytest.raises(AssertionError, match=f"{name} is in 0 steps"):
        verify_coverage("test", stage_graph, without)
    with pytest.raises(AssertionError, match=f"{name} is in 2 steps"):
        verify_coverage("test", stage_graph, [*steps, steps[index]])


@pytest.mark.parametrize("index", range(24))
def test_a_value_that_is_read_elsewhere_must_be_shown(index: int, stage_graph: Graph) -> None:
    steps = list(GraphExecutor(stage_graph).steps)
    other = (index + 1) % len(steps)  # its node moves here, and its value is compared nowhere
    moved = ExecutorStep(
        (*steps[index].nodes, *steps[other].nodes),
        (*steps[index].inputs, *steps[other].inputs),
        steps[other].outputs,
    )
    rest = [s for i, s in enumerate(steps) if i not in (index, other)]
    readers = stage_graph.consumers()[steps[index].outputs[0]]
    if readers == [stage_graph.nodes[other]]:
        verify_coverage("test", stage_graph, [*rest, moved])
        return
    with pytest.raises(AssertionError, match=f"'{steps[index].outputs[0]}' is not compared"):
        verify_coverage("test", stage_graph, [*rest, moved])


@pytest.mark.parametrize("index", range(24))
def test_a_step_reads_only_what_it_is_given(index: int, stage_graph: Graph) -> None:
    steps = list(GraphExecutor(stage_graph).steps)
    for name in steps[index].inputs:
        fewer = tuple(n for n in steps[index].inputs if n != name)
        changed = list(steps)
        changed[index] = dataclasses.replace(steps[index], inputs=fewer)
        with pytest.raises(AssertionError, match=f"reads '{name}', which it is not given"):
            verify_coverage("test", stage_graph, changed)


def test_a_step_cannot_show_a_value_of_another(stage_graph: Graph) -> None:
    """Comparing an input with itself would be no comparison."""
    steps = list(GraphExecutor(stage_graph).steps)
    for instead in (steps[3].inputs, steps[5].outputs):
        changed = list(steps)
        changed[3] = dataclasses.replace(steps[3], outputs=instead)
        with pytest.raises(AssertionError, match="no value of the step"):
            verify_coverage("test", stage_graph, changed)
