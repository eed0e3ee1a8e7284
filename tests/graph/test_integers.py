"""Layers in 8-bit integers from ONNX: the form that `export --quantize-float` writes, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from small_onnx import Net

from r2b_edge.errors import UnsupportedError
from r2b_edge.graph.graph import Array
from r2b_edge.graph.interpret import run
from r2b_edge.ops import QuantConv

WEIGHT = np.random.default_rng(0).integers(1, 256, (4, 3, 2, 2)).astype(np.uint8)
LAYERS = {"ConvInteger": WEIGHT, "MatMulInteger": WEIGHT.reshape(12, 4)}


def layer(
    kind: str, scale: float, zero: Array, weight: Array, middle: int, own: int, **attributes: int
) -> Net:
    """y = the sums of a layer on x * 3."""
    net = Net((1, 12) if kind == "MatMulInteger" else (1, 3, 5, 4))
    scaled = net.op("Mul", "x", 3.0)
    q = net.op("QuantizeLinear", scaled, scale, zero)
    y = net.op(kind, q, weight, np.array(own, zero.dtype), np.array(middle, np.uint8), **attributes)
    net.op("Cast", y, to=onnx.TensorProto.FLOAT)
    return net


@pytest.mark.parametrize("kind", LAYERS)
def test_sums_are_those_of_onnxruntime(kind: str, tmp_path: Path) -> None:
    """Halves among the inputs, and what lies beyond both ends of a byte."""
    zero = np.array(100, np.uint8)
    net = layer(kind, 1.0, zero, LAYERS[kind], 128, 100)
    x = np.random.default_rng(1).integers(-600, 600, net.shape).astype(np.float32) / 6
    (want,) = net.onnxruntime(x).values()
    graph = net.graph(tmp_path)
    graph.prune()
    (node,) = graph.nodes
    assert isinstance(node.op, QuantConv)
    assert (node.op.inverse, node.op.zero_point) == (3.0, 100)
    made = run(graph, {"x": x})[graph.outputs[0]]
    assert made.dtype == np.int32
    assert np.array_equal(made, want)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"scale": 0.5}, "only Mul by a number, then QuantizeLinear with the scale 1"),
        ({"zero": np.array(3, np.int8)}, "only Mul by a number"),
        ({"own": 4}, "its zero point is not that of its input"),
        ({"middle": 127}, "uint8 with a zero point of 128"),
        ({"weight": np.zeros((4, 3, 2, 2), np.uint8)}, "a weight of -128"),
        ({"weight": np.full((6, 1, 2, 2), 7, np.uint8), "group": 3}, "groups are not supported"),
        ({"dilations": [2, 2]}, "dilations"),
    ],
)
def test_other_forms_are_refused(
    change: dict[str, float | Array], why: str, tmp_path: Path
) -> None:
    zero = np.array(3, np.uint8)
    given = {"scale": 1.0, "zero": zero, "weight": WEIGHT, "middle": 128, "own": 3} | change
    net = layer("ConvInteger", **given)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=why):
        net.graph(tmp_path)


@pytest.mark.parametrize("scaled", [True, False])
def test_bytes_that_no_layer_reads_are_refused(scaled: bool, tmp_path: Path) -> None:
    net = Net((1, 3, 5, 4))
    x = net.op("Mul", "x", 3.0) if scaled else "x"
    q = net.op("QuantizeLinear", x, 1.0, np.array(3, np.uint8))
    net.op("Cast", q, to=onnx.TensorProto.FLOAT)
    why = "depends on the input is expected" if scaled else "only Mul by a number"
    with pytest.raises(UnsupportedError, match=why):
        net.graph(tmp_path)
