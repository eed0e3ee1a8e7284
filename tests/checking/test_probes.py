"""Probes: each step of a net gets them, they reach what samples do not, and the reference answers for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from exactness import canonical, verdict_of
from small_onnx import Net, floats, signs

from r2b_edge import ops
from r2b_edge.checking.compare import MARGIN
from r2b_edge.checking.executor import ExecutorStep, GraphExecutor, Values
from r2b_edge.checking.part import Part
from r2b_edge.checking.probes import PROBES, Prober
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.revise import _note
from r2b_edge.graph import Graph
from r2b_edge.graph.graph import Array, Node

Pair = tuple[Graph, Reference]
PADS = [1] * 4


@pytest.fixture
def net(random: np.random.Generator) -> Net:
    """ReLU, BN, sign, convolution, BN, sign, convolution, skip, mean, dense layer."""
    net = Net((1, 8, 6, 6))
    x = net.op("Relu", "x")
    bits = net.sign(net.random_batch_norm(x, 8, random))
    y = net.random_batch_norm(net.conv(bits, signs(random, 8, 8, 3, 3), pads=PADS), 8, random)
    y = net.conv(net.sign(y), signs(random, 8, 8, 3, 3), pads=PADS)
    x = net.op("Add", net.op("PRelu", y, floats(random, 8, 1, 1)), x)
    mean = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.op("Gemm", mean, floats(random, 8, 5), floats(random, 5))
    return net


@pytest.fixture
def pair(net: Net, tmp_path: Path) -> Pair:
    return canonical(net, tmp_path)


def sample(graph: Graph, reference: Reference, seed: int = 0) -> Values:
    random = np.random.default_rng(seed)
    return reference.run({n: floats(random, *graph.type(n).shape) for n in graph.inputs})


def probed(
    pair: Pair, kind: type, steps: tuple[ExecutorStep, ...] | None = None
) -> Iterator[tuple[ExecutorStep, Values, Values]]:
    """All probes of the steps that hold an op of one kind: the step, the sample's tensors, the probe's."""
    graph, reference = pair
    steps = steps or GraphExecutor(graph).steps
    prober = Prober(graph, reference, steps)
    nodes = {node.name: node for node in graph.nodes}
    for number in range(PROBES):
        values = sample(graph, reference, number)
        for index, step in enumerate(steps):
            if any(isinstance(nodes[name].op, kind) for name in step.nodes):
                made = prober.probe(index, values, number)
                assert made is not None
                yield step, values, made


def test_every_step_is_probed(pair: Pair) -> None:
    graph, reference = pair
    verdict = verdict_of(graph, reference, samples=PROBES + 1)
    assert verdict.exact
    for step in verdict.tallies:
        for tally in step:
            size = int(np.prod(graph.type(tally.name).shape))
            assert (tally.probed, tally.wrong_probed) == (PROBES * size, 0)
            assert tally.compared == (PROBES + 1) * size


def test_values_lie_on_thresholds_and_on_both_sides_of_them(pair: Pair) -> None:
    graph, reference = pair
    count = 0
    for step, values, made in probed(pair, ops.Step):
        (node,) = (n for n in graph.nodes if n.name in step.nodes)
        assert isinstance(node.op, ops.Step)
        before = graph.tensors[node.inputs[0]]
        value = reference.value(before, made)
        away = value - node.op.threshold[None, :, None, None]
        largest = np.abs(reference.value(before, values)).max()
        beside = np.abs(away) < 10 * MARGIN * max(largest, np.abs(value).max())
        if before.type.dtype == "float32":
            assert (away[beside] == 0).mean() > 0.1
            assert (away[beside] > 0).mean() > 0.1
            assert (away[beside] < 0).mean() > 0.1
            assert 0.1 < beside.mean() < 0.4
            count += 1
    assert count == 2 * PROBES


def test_what_a_relu_has_passed_stays_positive(pair: Pair) -> None:
    graph, reference = pair
    (relu,) = (n.output for n in graph.nodes if isinstance(n.op, ops.Clip))
    (step,) = (n for n in graph.nodes if isinstance(n.op, ops.Step) and n.inputs == (relu,))
    for s, values, made in probed(pair, ops.Step):
        if step.name in s.nodes:
            now = reference.value(graph.tensors[relu], made)
            assert now.min() == 0
            assert (now != reference.value(graph.tensors[relu], values)).any()


def fused(graph: Graph) -> tuple[ExecutorStep, ...]:
    """Steps as a backend has them: the first binary convolution up to the next sign, and all nodes else alone."""
    conv, _ = (n for n in graph.nodes if isinstance(n.op, ops.BinaryConv))
    group = [conv]
    for node in graph.nodes:
        if node.inputs == (group[-1].output,):
            group.append(node)
        if isinstance(group[-1].op, ops.Step):
            break
    names = tuple(node.name for node in group)
    whole = ExecutorStep(names, conv.inputs, (group[-1].output,))
    alone = [
        ExecutorStep((n.name,), n.inputs, (n.output,)) for n in graph.nodes if n.name not in names
    ]
    return (whole, *alone)


def test_windows_drive_sums_next_to_a_sign_that_follows(pair: Pair) -> None:
    """Of a window copied from a channel's weights, the sum is next to where the sign of that channel turns."""
    graph, reference = pair
    steps = fused(graph)
    near = []
    for step, _, made in probed(pair, ops.BinaryConv, steps):
        if len(step.nodes) == 1:
            continue
        nodes = [n for n in graph.nodes if n.name in step.nodes]
        conv, last = nodes[0], nodes[-1]
        assert isinstance(last.op, ops.Step)
        bits = reference.value(graph.tensors[conv.inputs[0]], made)
        dots = conv.op.reference(bits)
        low, now, high = (_after(nodes, conv.output, dots + d)[last.output] for d in (-2, 0, 2))
        near.append(int(((low != now) | (high != now)).any(axis=(2, 3)).sum()))
    assert len(near) == PROBES
    assert min(near) >= 4  # of 8 channels; 6x6 has room for 4 windows


def _after(nodes: list[Node], name: str, value: Array) -> Values:
    values = {name: value}
    for node in nodes[1:]:
        values[node.output] = node.op.reference(*(values[i] for i in node.inputs))
    return values


def test_a_tie_flipped_is_found_by_probes_alone(pair: Pair) -> None:
    class Flipped(GraphExecutor):
        def run_step(self, index: int, inputs: Values) -> Values:
            node = self.graph.nodes[index]
            values = super().run_step(index, inputs)
            if isinstance(node.op, ops.Step) and inputs[node.inputs[0]].dtype == np.float32:
                t = node.op.threshold[None, :, None, None]
                (value,) = values.values()
                return {node.output: np.where(inputs[node.inputs[0]] == t, -value, value)}
            return values

    graph, reference = pair
    assert verdict_of(graph, reference, Flipped(graph), probes=0).exact
    verdict = verdict_of(graph, reference, Flipped(graph))
    wrong = {t.name for step in verdict.tallies for t in step if t.wrong_probed}
    steps = [n for n in graph.nodes if isinstance(n.op, ops.Step)]
    floats_before = {n.output for n in steps if graph.type(n.inputs[0]).dtype == "float32"}
    assert wrong == floats_before
    assert not verdict.exact


def test_a_part_of_a_model(net: Net) -> None:
    model = net.model()
    conv, *_ = (n for n in model.graph.node if n.op_type == "Conv")
    x = floats(np.random.default_rng(0), 1, 8, 6, 6)
    whole = net.onnxruntime(x, conv.input[0], conv.output[0])
    part = Part(model, [conv.input[0]], [conv.input[0], conv.output[0]])
    values = part.run({conv.input[0]: whole[conv.input[0]]})
    np.testing.assert_array_equal(values[conv.output[0]], whole[conv.output[0]])
    np.testing.assert_array_equal(values[conv.input[0]], whole[conv.input[0]])


def test_a_part_that_its_inputs_do_not_determine(net: Net) -> None:
    model = net.model()
    (add,) = (n for n in model.graph.node if n.op_type == "Add")
    with pytest.raises(LookupError, match="'x'"):
        Part(model, [add.input[0]], [add.output[0]])


def test_a_step_whose_inputs_do_not_determine_it_is_not_probed(pair: Pair) -> None:
    graph, reference = pair
    add = next(n for n in graph.nodes if isinstance(n.op, ops.Add))
    steps = (ExecutorStep((add.name,), add.inputs[:1], (add.output,)),)
    assert Prober(graph, reference, steps).probe(0, sample(graph, reference), 0) is None


def test_the_report_says_what_is_wrong_on_probes_only(pair: Pair) -> None:
    graph, reference = pair
    verdict = verdict_of(graph, reference)
    tally = verdict.tallies[0][0]
    assert _note(tally) is None
    tally.wrong_probed = 3
    assert not tally.exact
    assert f"3 of {tally.probed} values wrong on probes" in str(_note(tally))


def test_a_part_that_is_given_one_half_of_a_split(random: np.random.Generator) -> None:
    """A gated unit: the step that scales one half by the sigmoid of the other is given the first and the gate."""
    net = Net((1, 8, 6, 6))
    net.op("Split", "x", outputs=["value", "gate"], axis=1, num_outputs=2)
    product = net.op("Mul", "value", net.op("Sigmoid", "gate"))
    x, value = floats(random, 1, 8, 6, 6), floats(random, 1, 4, 6, 6)
    made = Part(net.model(product), ["x", "value"], [product, "gate"]).run({"x": x, "value": value})
    np.testing.assert_array_equal(made["gate"], x[:, 4:])
    np.testing.assert_allclose(made[product], value / (1 + np.exp(-x[:, 4:])), rtol=1e-5)


def test_a_gated_unit_is_probed(random: np.random.Generator, tmp_path: Path) -> None:
    net = Net((1, 8, 6, 6))
    y = net.conv(net.sign("x"), signs(random, 16, 8, 3, 3), pads=PADS)
    net.op("Split", y, outputs=["value", "gate"], axis=1, num_outputs=2)
    y = net.op("Mul", "value", net.op("Sigmoid", net.op("Mul", "gate", 0.05)))
    net.conv(net.sign(y), signs(random, 8, 8, 3, 3), pads=PADS)
    verdict = verdict_of(*canonical(net, tmp_path))
    assert verdict.exact
    assert all(tally.probed for step in verdict.tallies for tally in step)
