"""Every float op in LCE's interpreter, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from tflite_nets import Net, disagreements, feeds, floats

from r2b_edge.checking.lce import LceExecutor
from r2b_edge.errors import UnsupportedError
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import (
    Add,
    AvgPool,
    ChannelAffine,
    Clip,
    Dense,
    FloatConv,
    GlobalAvgPool,
    MaxPool,
    Mul,
    Op,
    PReLU,
    Sigmoid,
    Window,
)

RANDOM = np.random.default_rng(10)
MAP, VECTOR = (1, 12, 6, 7), (1, 12)
C = 12


def conv(outputs: int, groups: int, window: Window) -> FloatConv:
    weight = floats(RANDOM, outputs, C // groups, *window.kernel)
    return FloatConv(weight, floats(RANDOM, outputs), window, groups)


UNARY: dict[str, tuple[Op, tuple[int, ...], tuple[str, ...]]] = {
    # name: (op, shape of the input, operators)
    "affine": (ChannelAffine(floats(RANDOM, C), floats(RANDOM, C)), MAP, ("MUL", "ADD")),
    "affine of a vector": (ChannelAffine(floats(RANDOM, C), floats(RANDOM, C)), VECTOR, ("MUL", "ADD")),
    "affine, scale only": (ChannelAffine(floats(RANDOM, C), np.zeros(C, np.float32)), MAP, ("MUL",)),
    "affine, offset only": (ChannelAffine(np.ones(C, np.float32), floats(RANDOM, C)), MAP, ("ADD",)),
    "affine, identity": (ChannelAffine(np.ones(1, np.float32), np.zeros(1, np.float32)), MAP, ("MUL",)),
    "prelu": (PReLU(floats(RANDOM, C)), MAP, ("PRELU",)),
    "prelu, one slope": (PReLU(floats(RANDOM, 1)), MAP, ("PRELU",)),
    "prelu of a vector": (PReLU(floats(RANDOM, C)), VECTOR, ("PRELU",)),
    "relu": (Clip(0.0, np.inf), MAP, ("RELU",)),
    "relu6": (Clip(0.0, 6.0), VECTOR, ("RELU6",)),
    "hardtanh": (Clip(-1.0, 1.0), MAP, ("MAXIMUM", "MINIMUM")),
    "clip above": (Clip(-np.inf, 0.3), MAP, ("MINIMUM",)),
    "clip below": (Clip(-0.3, np.inf), MAP, ("MAXIMUM",)),
    "clip nothing": (Clip(-np.inf, np.inf), MAP, ("MAXIMUM",)),
    "sigmoid": (Sigmoid(), MAP, ("LOGISTIC",)),
    "sigmoid of a vector": (Sigmoid(), VECTOR, ("LOGISTIC",)),
    "mean": (GlobalAvgPool(), MAP, ("MEAN",)),
    "mean of a large map": (GlobalAvgPool(), (1, 4, 112, 112), ("MEAN",)),
    "dense": (Dense(floats(RANDOM, 5, C), floats(RANDOM, 5)), VECTOR, ("FULLY_CONNECTED",)),
    "conv valid": (conv(5, 1, Window((3, 3))), MAP, ("CONV_2D",)),
    "conv same": (conv(5, 1, Window((3, 3), (1, 1), (1,) * 4)), MAP, ("CONV_2D",)),
    "conv 1x1 stride 2": (conv(5, 1, Window((1, 1), (2, 2))), MAP, ("CONV_2D",)),
    "stem": (conv(5, 1, Window((7, 7), (2, 2), (3,) * 4)), (1, C, 16, 16), ("PAD", "CONV_2D")),
    "stem, odd": (conv(5, 1, Window((7, 7), (2, 2), (3,) * 4)), (1, C, 15, 15), ("CONV_2D",)),
    "conv dilated": (conv(5, 1, Window((3, 3), (1, 1), (2,) * 4, (2, 2))), MAP, ("CONV_2D",)),
    "conv asymmetric": (conv(5, 1, Window((2, 3), (1, 2), (1, 0, 0, 2))), MAP, ("PAD", "CONV_2D")),
    "conv, 3 groups": (conv(6, 3, Window((3, 3), (1, 1), (1,) * 4)), MAP, ("CONV_2D",)),
    "depthwise": (conv(C, C, Window((3, 3), (1, 1), (1,) * 4)), MAP, ("DEPTHWISE_CONV_2D",)),
    "depthwise x2": (conv(2 * C, C, Window((3, 3))), MAP, ("DEPTHWISE_CONV_2D",)),
    "depthwise dilated": (conv(C, C, Window((3, 3), (1, 1), (2,) * 4, (2, 2))), MAP, ("DEPTHWISE_CONV_2D",)),
    "depthwise stride 2": (conv(C, C, Window((3, 3), (2, 2), (1,) * 4)), (1, C, 8, 8), ("PAD", "DEPTHWISE_CONV_2D")),
    "max pool": (MaxPool(Window((2, 2), (2, 2))), MAP, ("MAX_POOL_2D",)),
    "max pool, resnet": (MaxPool(Window((3, 3), (2, 2), (1,) * 4)), (1, C, 8, 8), ("PADV2", "MAX_POOL_2D")),
    "max pool same": (MaxPool(Window((3, 3), (1, 1), (1,) * 4)), MAP, ("MAX_POOL_2D",)),
    "average 2x2": (AvgPool(Window((2, 2), (2, 2))), MAP, ("AVERAGE_POOL_2D",)),
    "average same": (AvgPool(Window((3, 3), (1, 1), (1,) * 4)), MAP, ("AVERAGE_POOL_2D",)),
    "average, pads count": (
        AvgPool(Window((3, 3), (1, 1), (1,) * 4), True), MAP, ("PAD", "AVERAGE_POOL_2D"),
    ),
    "average, pads do not count": (
        AvgPool(Window((3, 3), (2, 2), (1,) * 4)), (1, C, 8, 8), ("PAD", "AVERAGE_POOL_2D", "MUL"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("xnnpack", [False, True])
@pytest.mark.parametrize("name", UNARY)
def test_unary(lce: type[LceExecutor], name: str, xnnpack: bool) -> None:
    op, shape, operators = UNARY[name]
    net = Net(shape)
    graph = net.done(net.add(op, "x0"))
    model = convert(graph)
    assert model.steps[0].kernels == operators
    inputs = feeds(graph, np.random.default_rng(11))
    assert disagreements(graph, lce(model, xnnpack=xnnpack), inputs) == []


@pytest.mark.parametrize("op", [Add(), Mul()])
@pytest.mark.parametrize(
    "shapes", [(MAP, MAP), (MAP, VECTOR), (VECTOR, MAP), (VECTOR, VECTOR)], ids=str
)
def test_binary(lce: type[LceExecutor], op: Op, shapes: tuple[tuple[int, ...], ...]) -> None:
    net = Net(*shapes)
    graph = net.done(net.add(op, *net.graph.inputs))
    inputs = feeds(graph, np.random.default_rng(12))
    assert disagreements(graph, lce(convert(graph)), inputs) == []


def test_both_operands_may_be_the_same(lce: type[LceExecutor]) -> None:
    net = Net(MAP)
    graph = net.done(net.add(Mul(), "x0", "x0"))
    model = convert(graph)
    assert model.steps[0].inputs == ("x0",)
    assert disagreements(graph, lce(model), feeds(graph, np.random.default_rng(13))) == []


def fusion(layer: Op, clip: Clip, keep: bool) -> Graph:
    net = Net(MAP if isinstance(layer, FloatConv) else VECTOR)
    y = net.add(layer, "x0")
    z = net.add(clip, y)
    return net.done(z, y) if keep else net.done(z)


@pytest.mark.parametrize("layer", ["conv valid", "depthwise", "dense"])
@pytest.mark.parametrize("clip", [Clip(0.0, np.inf), Clip(0.0, 6.0)])
def test_relu_is_fused_into_a_layer(lce: type[LceExecutor], layer: str, clip: Clip) -> None:
    graph = fusion(UNARY[layer][0], clip, keep=False)
    model = convert(graph)
    assert [step.nodes for step in model.steps] == [("node_0", "node_1")]
    assert len(model.steps[0].kernels) == 1
    assert disagreements(graph, lce(model), feeds(graph, np.random.default_rng(14))) == []


@pytest.mark.parametrize(("clip", "keep"), [(Clip(0.0, np.inf), True), (Clip(0.0, 1.0), False)])
def test_what_is_not_fused(lce: type[LceExecutor], clip: Clip, keep: bool) -> None:
    """A layer whose output is needed as it is, and bounds that no TFLite activation has."""
    graph = fusion(UNARY["dense"][0], clip, keep)
    model = convert(graph)
    assert len(model.steps) == 2
    assert disagreements(graph, lce(model), feeds(graph, np.random.default_rng(15))) == []


def test_a_dilated_pool_is_refused_by_name() -> None:
    net = Net(MAP)
    graph = net.done(net.add(MaxPool(Window((2, 2), dilations=(2, 2))), "x0"))
    with pytest.raises(UnsupportedError, match="MaxPool 'node_0' is dilated"):
        convert(graph)
