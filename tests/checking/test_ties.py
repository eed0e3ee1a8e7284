"""Another top-1 without a different bit: a tie where the reference holds two outputs apart by rounding only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exactness import BySteps, canonical, verdict_of
from small_onnx import Net, floats

from r2b_edge import ops
from r2b_edge.checking.executor import Values
from r2b_edge.checking.ties import tied


def gemm(net: Net, x: str, gap: float) -> str:
    """0 and `gap` where x is 1: sums of two terms of 5 each."""
    weight = np.array([[5, -5], [5, gap - 5]], np.float32)
    return net.op("Gemm", x, weight, np.zeros(2, np.float32), transB=1)


def affine(net: Net, x: str, gap: float) -> str:
    return net.op("Add", net.op("Mul", x, 10.0), np.array([[-10, gap - 10]], np.float32))


def add(net: Net, x: str, gap: float) -> str:
    five = net.op("Relu", net.op("Mul", x, 5.0))
    return net.op("Add", five, net.op("Sub", np.array([[0, gap]], np.float32), five))


Layer = Callable[[Net, str, float], str]


@pytest.mark.parametrize("layer", [gemm, affine, add])
@pytest.mark.parametrize(("gap", "ties"), [(1e-4, True), (1e-3, False)])
def test_outputs_that_cancel_tie_by_their_terms(
    layer: Layer, gap: float, ties: bool, tmp_path: Path
) -> None:
    """The outputs are 1e-4 at most, their terms 10, or 20, together: 2 x 1e-5 of that is what rounding may do."""
    net = Net((1, 2))
    layer(net, "x", gap)
    graph, reference = canonical(net, tmp_path)
    values = reference.run({"x": np.ones((1, 2), np.float32)})
    assert abs(float(np.diff(reference.outputs(values)[graph.outputs[0]])[0, 0])) == pytest.approx(
        gap, rel=0.1
    )
    assert tied(graph, reference, values, 0, 1) is ties
    assert tied(graph, reference, values, 1, 0) is ties


def test_a_top1_among_outputs_that_cancel_is_traced(
    random: np.random.Generator, tmp_path: Path
) -> None:
    """A step that is off by the rounding of its terms is inexact; the whole run adds no second fault."""
    net = Net((1, 8))
    half = floats(random, 8, 3)
    net.op(
        "Gemm",
        net.op("Concat", "x", "x", axis=1),
        np.concatenate([half, -half]),
        np.zeros(3, np.float32),
    )
    graph, reference = canonical(net, tmp_path)
    off = np.array([[0, 0, 1e-6]], np.float32)

    class Rounded(BySteps):
        def run_step(self, index: int, inputs: Values) -> Values:
            values = super().run_step(index, inputs)
            if isinstance(self.graph.nodes[index].op, ops.Dense):
                return {name: value + off for name, value in values.items()}
            return values

    verdict = verdict_of(graph, reference, Rounded(graph))
    assert verdict.agreed is not None
    assert verdict.agreed < 3
    assert verdict.faults == []
    assert all(line.endswith("a tie within rounding") for line in verdict.traced)
    assert len(verdict.traced) == 3 - verdict.agreed
