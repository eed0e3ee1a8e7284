"""Weights in half precision: what is rounded, what is not and why, and that the reference is rounded alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_onnx import Net, floats, signs

from r2b_edge.checking.reference import Reference
from r2b_edge.graph import interpret
from r2b_edge.graph.graph import Array, Graph
from r2b_edge.ops import ChannelAffine, Dense, FloatConv, PReLU
from r2b_edge.passes.half_weights import half_weights
from r2b_edge.pipeline import Storage, graph_of

HALF = Storage(float_storage="fp16")
SPATIAL = np.array([2, 3])


def gated(random: np.random.Generator) -> Net:
    """A stem with BatchNorm, a gate on the mean of a normalised map, a PReLU, a classifier as MatMul."""
    net = Net((1, 3, 6, 6))
    x = net.random_batch_norm(net.conv("x", floats(random, 8, 3, 3, 3), pads=[1] * 4), 8, random)
    norm = net.random_batch_norm(x, 8, random)
    mean = net.op("ReduceMean", norm, SPATIAL, keepdims=0)
    gate = net.op(
        "Sigmoid", net.op("Gemm", mean, floats(random, 8, 8), floats(random, 8), transB=1)
    )
    y = net.conv(net.sign(norm), signs(random, 8, 8, 3, 3), pads=[1] * 4)
    y = net.op("Mul", y, net.op("Unsqueeze", gate, SPATIAL))
    y = net.op("PRelu", y, floats(random, 8, 1, 1))
    net.op("MatMul", net.op("Flatten", net.op("GlobalAveragePool", y)), floats(random, 8, 5))
    return net


def layers(graph: Graph) -> list[FloatConv | Dense]:
    return [node.op for node in graph.nodes if isinstance(node.op, FloatConv | Dense)]


def exact(graph: Graph, onnx: Path, seed: int = 0) -> None:
    """The graph computes what onnxruntime makes of the rounded model."""
    reference = Reference(onnx, graph)
    shape = graph.type(graph.inputs[0]).shape
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    shown = reference.run({graph.inputs[0]: x})
    values = interpret.run(graph, {graph.inputs[0]: x})
    for name, tensor in graph.tensors.items():
        want = reference.value(tensor, shown)
        assert np.abs(values[name] - want).max() <= 1e-5 * max(np.abs(want).max(), 1e-30), name


def test_all_weights_are_rounded_to_nearest_and_the_reference_alike(tmp_path: Path) -> None:
    onnx = gated(np.random.default_rng(0)).save(tmp_path / "net.onnx")
    plain, half = graph_of(onnx, "net"), graph_of(onnx, "net", HALF)
    assert [type(n.op) for n in plain.nodes] == [type(n.op) for n in half.nodes]
    assert len(layers(half)) == 3
    for before, after in zip(layers(plain), layers(half), strict=True):
        assert after.half
        assert not before.half
        assert np.array_equal(after.weight, before.weight.astype(np.float16).astype(np.float32))
        assert not np.array_equal(after.weight, before.weight)
    assert half.notes == []
    exact(half, onnx)


def test_what_there_is_one_of_a_channel_stays(tmp_path: Path) -> None:
    onnx = gated(np.random.default_rng(0)).save(tmp_path / "net.onnx")
    plain, half = graph_of(onnx, "net"), graph_of(onnx, "net", HALF)
    for before, after in zip(plain.nodes, half.nodes, strict=True):
        if isinstance(before.op, ChannelAffine | PReLU):
            for name, value in before.op.constants().items():
                assert np.array_equal(value, after.op.constants()[name])
    # The gate's bias has the offsets of the folded BatchNorm in it, times its weights: those that are rounded.
    gate, rounded = layers(plain)[1], layers(half)[1]
    assert not np.array_equal(gate.bias, rounded.bias)
    assert np.allclose(gate.bias, rounded.bias, rtol=0, atol=1e-2)


def one_layer(weight: Array) -> Net:
    net = Net((1, weight.shape[1], 4, 4))
    net.conv("x", weight.astype(np.float32), np.zeros(len(weight), np.float32))
    return net


@pytest.mark.parametrize(
    ("weight", "why"),
    [
        (65519.0, ""),
        (65520.0, "the largest is 6.552e+04, and half precision ends at 65504"),
        (-1e30, "half precision ends at 65504"),
        (2.0**-14 * (1 + 2.0**-11), ""),
        (1.3 * 2.0**-20, "of output channel 1 would lose"),
        (1e-30, "of output channel 1 would lose 1 of their magnitude"),
    ],
)
def test_weights_that_half_precision_cannot_hold_stay(
    weight: float, why: str, tmp_path: Path
) -> None:
    values = np.ones((2, 3, 1, 1))
    values[1] = weight
    onnx = one_layer(values).save(tmp_path / "net.onnx")
    graph = graph_of(onnx, "net", HALF)
    (layer,) = layers(graph)
    assert layer.half == (why == "")
    if why:
        (note,) = graph.notes
        assert "its weights stay in float32: " in note
        assert why in note
        assert np.array_equal(layer.weight, values.astype(np.float32))
    exact(graph, onnx)


def test_weights_that_are_moved_on_the_way_stay(tmp_path: Path) -> None:
    """A Flatten of a transposed map: the convolution that it becomes has the weights in another order."""
    random = np.random.default_rng(0)
    net = Net((1, 3, 2, 2))
    moved = net.op("Transpose", net.conv("x", floats(random, 4, 3, 1, 1)), perm=[0, 2, 3, 1])
    net.op("Gemm", net.op("Flatten", moved), floats(random, 16, 5), floats(random, 5))
    onnx = net.save(tmp_path / "net.onnx")
    graph = graph_of(onnx, "net", HALF)
    assert [layer.half for layer in layers(graph)] == [True, False]
    assert "model.onnx does not hold them one by one" in graph.notes[0]
    exact(graph, onnx)


@pytest.mark.parametrize("form", ["flat", "gemm", "gemm_alpha", "matmul", "signal"])
def test_every_form_of_stored_weights(form: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    if form == "signal":
        net = Net((1, 3, 9))
        net.conv("x", floats(random, 4, 3, 5), floats(random, 4), pads=[2, 2])
    elif form == "flat":
        net = Net((1, 3, 2, 2))
        net.op("Gemm", net.op("Flatten", "x"), floats(random, 5, 12), floats(random, 5), transB=1)
    elif form == "matmul":
        net = Net((1, 7))
        net.op("MatMul", "x", floats(random, 7, 5))
    else:
        net = Net((1, 7))
        alpha = {"alpha": 0.3} if form == "gemm_alpha" else {}
        net.op("Gemm", "x", floats(random, 7, 5), floats(random, 5), **alpha)
    onnx = net.save(tmp_path / "net.onnx")
    graph = graph_of(onnx, "net", HALF)
    assert [layer.half for layer in layers(graph)] == [True]
    exact(graph, onnx)


def test_layers_that_share_weights_are_rounded_each_by_itself(tmp_path: Path) -> None:
    """The same stored tensor behind two BatchNorms is two sets of weights."""
    random = np.random.default_rng(0)
    net = Net((1, 4, 5, 5))
    weight = net.constant(floats(random, 4, 4, 1, 1))
    one = net.random_batch_norm(net.op("Conv", "x", weight), 4, random)
    other = net.random_batch_norm(net.op("Conv", "x", weight), 4, random)
    net.op("Mul", one, other)
    onnx = net.save(tmp_path / "net.onnx")
    graph = graph_of(onnx, "net", HALF)
    assert [layer.half for layer in layers(graph)] == [True, True]
    exact(graph, onnx)


def test_without_weights_nothing_happens() -> None:
    graph = Graph("empty")
    half_weights(graph)
    assert graph.rounding == {}
    assert graph.notes == []
