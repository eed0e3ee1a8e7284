"""Small networks for the tests of binarisation, and what the passes make of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from small_onnx import Net, floats

from r2b_edge import ops, passes
from r2b_edge.graph import Graph, LayerFinding, interpret

Build = Callable[[Net], str]
PADS = [1, 1, 1, 1]


def agree(net: Net, folder: Path) -> Graph:
    """The graph after all passes, which gives what onnxruntime gives on random data."""
    graph = passes.run(net.graph(folder))
    x = floats(np.random.default_rng(11), *net.shape)
    want = net.onnxruntime(x)
    got = interpret.run(graph, {"x": x.reshape(graph.type("x").shape)})
    for (name, value), tensor in zip(want.items(), graph.outputs, strict=True):
        np.testing.assert_allclose(
            got[tensor].reshape(value.shape), value, rtol=1e-5, atol=1e-5, err_msg=name
        )
    return graph


def findings(net: Net, folder: Path) -> list[LayerFinding]:
    """What the probe says of each layer, without the other passes."""
    graph = net.graph(folder)
    passes.run(graph, [passes.binarize])
    return graph.findings


def binary_convs(graph: Graph) -> list[ops.BinaryConv]:
    return [n.op for n in graph.nodes if isinstance(n.op, ops.BinaryConv)]


def zero_or_one(net: Net) -> str:
    return net.op("Sign", net.op("Relu", "x"))


def levels(low: float, high: float) -> Build:
    return lambda net: net.op("Where", net.op("GreaterOrEqual", "x", 0.2), high, low)
