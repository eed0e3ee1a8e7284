"""Kernels lose what sees the zero border only, and nothing else; outputs stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from r2b_edge.graph.graph import Graph, Origin, Tensor, TensorType
from r2b_edge.ops import BinaryConv, FloatConv, Step, Window
from r2b_edge.passes.trim_kernel import trim_kernel, trimmed

SEEDED = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize(
    ("window", "size", "kernel", "pads"),
    [
        (Window((7, 7), (1, 1), (3, 3, 3, 3)), (1, 1), (1, 1), (0, 0, 0, 0)),
        (Window((7, 7), (1, 1), (3, 3, 3, 3)), (2, 9), (3, 7), (1, 3, 1, 3)),
        (Window((3, 3), (2, 2), (1, 1, 1, 1)), (2, 2), (2, 2), (0, 0, 1, 1)),
        (Window((3, 3), (2, 2), (1, 1, 1, 1)), (3, 3), (3, 3), (1, 1, 1, 1)),
        (Window((3, 1), (1, 1), (4, 0, 4, 0), (4, 1)), (3, 3), (1, 1), (0, 0, 0, 0)),
    ],
)
def test_what_is_left(
    window: Window, size: tuple[int, int], kernel: tuple[int, int], pads: tuple[int, ...]
) -> None:
    smaller, _, _ = trimmed(window, *size)
    assert (smaller.kernel, smaller.pads) == (kernel, pads)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, int, int]:
    def pair(most: int) -> tuple[int, int]:
        return draw(st.integers(1, most)), draw(st.integers(1, most))

    pads = draw(st.tuples(*[st.integers(0, 6)] * 4))
    window = Window(pair(7), pair(4), pads, pair(3))
    least = [
        max(1, (window.kernel[a] - 1) * window.dilations[a] + 1 - pads[a] - pads[a + 2])
        for a in range(2)
    ]
    return window, least[0] + draw(st.integers(0, 5)), least[1] + draw(st.integers(0, 5))


@SEEDED
@given(windows(), st.booleans())
def test_outputs_stay(drawn: tuple[Window, int, int], binary: bool) -> None:
    window, height, width = drawn
    random = np.random.default_rng(3)
    graph = Graph("net")
    graph.tensors["x"] = Tensor("x", TensorType((1, 2, height, width)), Origin("x"))
    graph.inputs.append("x")
    weight = random.normal(size=(3, 2, *window.kernel)).astype(np.float32)
    if binary:
        step = Step(np.zeros(2, np.float32), np.ones(2, np.int8))
        graph.add("step", step, ("x",), "bits", Origin("x"))
        signs = np.where(weight < 0, -1, 1).astype(np.int8)
        graph.add("conv", BinaryConv(signs, window, 0), ("bits",), "y", Origin("y"))
    else:
        bias = np.float32([1, 2, 3])
        graph.add("conv", FloatConv(weight, bias, window), ("x",), "y", Origin("y"))
    (before,) = [node.op for node in graph.nodes if node.name == "conv"]
    trim_kernel(graph)
    (after,) = [node.op for node in graph.nodes if node.name == "conv"]
    x = random.choice(np.array([-1, 1], np.int8), (1, 2, height, width))
    if binary:
        assert_array_equal(after.reference(x), before.reference(x))
    else:
        assert_allclose(
            after.reference(x.astype(np.float32)), before.reference(x.astype(np.float32)), atol=1e-5
        )
    assert after.window.output_size(height, width) == window.output_size(height, width)


def test_a_border_of_ones_stays() -> None:
    """Its taps are not nothing: they add a constant."""
    graph = Graph("net")
    graph.tensors["x"] = Tensor("x", TensorType((1, 1, 1, 1)), Origin("x"))
    graph.inputs.append("x")
    graph.add("step", Step(np.zeros(1, np.float32), np.ones(1, np.int8)), ("x",), "b", Origin("x"))
    conv = BinaryConv(np.ones((1, 1, 3, 3), np.int8), Window((3, 3), (1, 1), (1, 1, 1, 1)), 1)
    graph.add("conv", conv, ("b",), "y", Origin("y"))
    trim_kernel(graph)
    assert graph.nodes[1].op is conv
