"""A sign right behind a scaled binary convolution: a dot product of 0 is a tie, which the reference's sums may miss."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from exactness import canonical
from small_onnx import Net, floats, signs

from r2b_edge import ops
from r2b_edge.checking.compare import MAX_TIES, Tally
from r2b_edge.checking.executor import ExecutorStep, GraphExecutor, Values
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verifier
from r2b_edge.graph import Graph

Pair = tuple[Graph, Reference]
PADS = [1] * 4


class Fused(GraphExecutor):
    """The oracle, with the first dot product, its scale and the sign behind it as one step, as the C runtime has it."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        first, dot, scale, sign, *rest = self.steps
        names = (*dot.nodes, *scale.nodes, *sign.nodes)
        self.steps = (first, ExecutorStep(names, dot.inputs, sign.outputs), *rest)

    def run_step(self, index: int, inputs: Values) -> Values:
        values = dict(inputs)
        for node in self.graph.nodes:
            if node.name in self.steps[index].nodes:
                values[node.output] = node.op.reference(*(values[i] for i in node.inputs))
        return values


def scaled(folder: Path, comparison: str = "GreaterOrEqual") -> Pair:
    random = np.random.default_rng(4)
    net = Net((1, 16, 24, 24))
    alpha = random.uniform(0.1, 0.3, (16, 1, 1, 1)).astype(np.float32)
    y = net.conv(net.sign("x"), alpha * signs(random, 16, 16, 3, 3), pads=PADS)
    bits = net.op("Where", net.op(comparison, y, 0.0), 1.0, -1.0)
    net.conv(bits, signs(random, 4, 16, 3, 3), pads=PADS)
    return canonical(net, folder)


def tally_of(graph: Graph, reference: Reference) -> Tally:
    """Of the second sign's bits."""
    verifier = Verifier("test", Fused(graph), graph, reference)
    random = np.random.default_rng(5)
    for _ in range(2):
        verifier.add(reference.run({"x": floats(random, 1, 16, 24, 24)}))
    (tally,) = verifier.verdict.tallies[1]
    assert tally.dtype == "bits"
    return tally


def with_threshold(graph: Graph, change: float) -> None:
    """Move the second sign's thresholds by so many scales."""
    steps = [i for i, node in enumerate(graph.nodes) if isinstance(node.op, ops.Step)]
    scale, sign = graph.nodes[steps[1] - 1], graph.nodes[steps[1]]
    assert isinstance(scale.op, ops.ChannelAffine)
    assert isinstance(sign.op, ops.Step)
    moved = (sign.op.threshold + change * np.abs(scale.op.scale)).astype(np.float32)
    step = dataclasses.replace(sign.op, threshold=moved)
    graph.nodes[steps[1]] = dataclasses.replace(sign, op=step)


def test_a_tie_that_the_references_rounding_decides_is_no_fault(tmp_path: Path) -> None:
    tally = tally_of(*scaled(tmp_path))
    assert tally.wrong == 0
    assert tally.margin_ties == tally.true_ties > MAX_TIES * tally.compared
    assert tally.exact


@pytest.mark.parametrize("change", [-1.0, 1.0, -2.0])
def test_a_threshold_that_is_off_by_one_is_a_fault(change: float, tmp_path: Path) -> None:
    graph, reference = scaled(tmp_path)
    with_threshold(graph, change)
    assert not tally_of(graph, reference).exact


def test_a_tie_on_the_wrong_side_is_a_fault(tmp_path: Path) -> None:
    """`x > 0` gives -1 at 0; a step from 0 on does not."""
    graph, reference = scaled(tmp_path, "Greater")
    (sign,) = [n for n in graph.nodes if isinstance(n.op, ops.Step)][1:]
    assert isinstance(sign.op, ops.Step)
    at = graph.nodes.index(sign)
    step = dataclasses.replace(sign.op, threshold=np.zeros_like(sign.op.threshold))
    graph.nodes[at] = dataclasses.replace(sign, op=step)
    assert not tally_of(graph, reference).exact
