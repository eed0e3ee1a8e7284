"""Whole networks, written in ONNX by hand: every step of the graph is exact against onnxruntime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from checking_nets import PADS, Random, r2b_unit, whole
from exactness import canonical, verdict_of
from small_onnx import Net, floats, signs

from r2b_edge import ops
from r2b_edge.checking.executor import GraphExecutor
from r2b_edge.checking.run import _verify
from r2b_edge.checking.samples import random_samples
from r2b_edge.checking.verify import Verifier
from r2b_edge.graph import Graph


def counted(graph: Graph) -> Counter[type]:
    return Counter(type(n.op) for n in graph.nodes)


def exact(net: Net, folder: Path, *outputs: str) -> Graph:
    """Check that all steps are exact, and that the whole network agrees."""
    graph, reference = canonical(net, folder, *outputs)
    verdict = verdict_of(graph, reference)
    inexact = [t for step in verdict.tallies for t in step if not t.exact]
    assert not inexact
    assert verdict.exact
    assert verdict.steps_exact == len(graph.nodes)
    assert verdict.margin_ties == 0
    assert verdict.max_abs_error <= 1e-3
    return graph


@pytest.mark.parametrize("alpha", ["none", "weights", "conv", "gate", "bias"])
@pytest.mark.parametrize("source", ["norm", "input"])
@pytest.mark.parametrize("gate", ["dense", "conv"])
def test_real_to_binary_unit(
    alpha: str, source: str, gate: str, random: Random, tmp_path: Path
) -> None:
    net = Net((1, 8, 7, 7))
    y = r2b_unit(net, "x", 8, random, alpha, source, gate)
    r2b_unit(net, y, 8, random, alpha, source, gate)
    graph = exact(net, tmp_path)
    have = counted(graph)
    assert (have[ops.Step], have[ops.BinaryConv], have[ops.Dense]) == (2, 2, 4)
    # One affine map a convolution: alpha has gone into it, the BatchNorm into thresholds and dense layers.
    assert have[ops.ChannelAffine] == 2
    assert [f.binary for f in graph.findings].count(True) == 2


def test_the_batch_norm_of_a_gate_goes_into_its_dense_layer(random: Random, tmp_path: Path) -> None:
    net = Net((1, 8, 7, 7))
    r2b_unit(net, "x", 8, random, "weights", "norm", "dense")
    graph = exact(net, tmp_path)
    pools = [n for n in graph.nodes if isinstance(n.op, ops.GlobalAvgPool)]
    assert [n.inputs for n in pools] == [("x",)]


def test_bi_real_block(random: Random, tmp_path: Path) -> None:
    """Sign of torch, with its clip estimator; BN after the convolution; a skip around it."""
    net = Net((1, 8, 7, 7))
    x = "x"
    for _ in range(2):
        clipped = net.op("Clip", x, -1.0, 1.0)
        z = net.op("Add", net.op("Sub", net.op("Sign", x), clipped), clipped)
        alpha = random.uniform(0.01, 0.2, (8, 1, 1, 1)).astype(np.float32)
        y = net.conv(z, alpha * signs(random, 8, 8, 3, 3), pads=PADS)
        x = net.op("Add", net.random_batch_norm(y, 8, random), x)
    have = counted(exact(net, tmp_path))
    assert have == {ops.Step: 2, ops.BinaryConv: 2, ops.ChannelAffine: 2, ops.Add: 2}


def test_react_net_block(random: Random, tmp_path: Path) -> None:
    """Learned shifts before the sign, and around the PReLU after the skip."""
    net = Net((1, 8, 7, 7))
    z = net.sign(net.op("Add", "x", floats(random, 1, 8, 1, 1)))
    y = net.random_batch_norm(net.conv(z, signs(random, 8, 8, 3, 3), pads=PADS), 8, random)
    y = net.op("Add", net.op("Add", y, "x"), floats(random, 8, 1, 1))
    y = net.op("Add", net.op("PRelu", y, floats(random, 8, 1, 1)), floats(random, 8, 1, 1))
    net.conv(net.sign(net.op("Add", y, floats(random, 8, 1, 1))), signs(random, 4, 8, 1, 1))
    assert counted(exact(net, tmp_path))[ops.BinaryConv] == 2


def test_downsampling(random: Random, tmp_path: Path) -> None:
    """A binary convolution with stride 2 beside average pool and a real 1x1 convolution with BN."""
    net = Net((1, 8, 8, 8))
    z = net.sign(net.random_batch_norm("x", 8, random))
    y = net.random_batch_norm(
        net.conv(z, signs(random, 16, 8, 3, 3), pads=PADS, strides=[2, 2]), 16, random
    )
    skip = net.op("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2])
    skip = net.random_batch_norm(net.conv(skip, floats(random, 16, 8, 1, 1)), 16, random)
    net.op("Add", y, skip)
    have = counted(exact(net, tmp_path))
    assert (have[ops.AvgPool], have[ops.FloatConv], have[ops.ChannelAffine]) == (1, 1, 1)


@pytest.mark.parametrize("head", ["flatten", "mean"])
def test_whole_network(head: str, random: Random, tmp_path: Path) -> None:
    net = Net((1, 3, 10, 10))
    whole(net, random, head)
    graph, reference = canonical(net, tmp_path)
    verdict = verdict_of(graph, reference, samples=4)
    assert verdict.exact
    assert verdict.agreed == 4
    assert verdict.correct is None
    assert verdict.faults == []


def test_labels_are_counted(random: Random, tmp_path: Path) -> None:
    net = Net((1, 3, 10, 10))
    whole(net, random, "mean")
    graph, reference = canonical(net, tmp_path)
    tops = [verdict_of(graph, reference, samples=3, labels=[k] * 3).correct for k in range(10)]
    assert sum(t or 0 for t in tops) == 3


def test_two_outputs(random: Random, tmp_path: Path) -> None:
    """Logits and the map before them; top-1 is for a single vector only."""
    net = Net((1, 3, 10, 10))
    logits = whole(net, random, "mean")
    features = next(n.output[0] for n in reversed(net.nodes) if n.op_type == "Add")
    graph, reference = canonical(net, tmp_path, logits, features)
    verdict = verdict_of(graph, reference)
    assert verdict.exact
    assert verdict.agreed is None
    assert len(graph.outputs) == 2


def test_labels_without_classes_give_no_accuracy(random: Random, tmp_path: Path) -> None:
    """Of a net whose output is a map, the accuracy is unknown, not 0."""
    net = Net((1, 8, 7, 7))
    net.conv(net.sign("x"), signs(random, 8, 8, 3, 3), pads=PADS)
    graph, reference = canonical(net, tmp_path)
    verifier = Verifier("test", GraphExecutor(graph), graph, reference)
    inputs, labels = random_samples(graph, count=2), np.zeros(2, np.int64)
    assert _verify([verifier], reference, inputs, labels, lambda stage, done, of: None) is None
    assert verifier.verdict.correct is None


def test_zero_one_activations(random: Random, tmp_path: Path) -> None:
    """ReLU then sign: values {0, 1}, whose zero border is a bit of -1."""
    net = Net((1, 8, 7, 7))
    y = net.op("Sign", net.op("Relu", net.random_batch_norm("x", 8, random)))
    y = net.conv(y, 0.1 * signs(random, 8, 8, 3, 3), floats(random, 8), pads=PADS)
    net.conv(net.op("Sign", net.op("Relu", y)), signs(random, 8, 8, 3, 3), pads=PADS)
    graph = exact(net, tmp_path)
    pads = [n.op.pad_value for n in graph.nodes if isinstance(n.op, ops.BinaryConv)]
    assert pads == [-1, -1]
