"""Every float op in LCE's interpreter, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from tflite_nets import Net, disagreements, feeds, floats

from r2b_edge.checking.lce import LceExecutor
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import (
    Add,
    AvgPool,
    ChannelAffine,
    ChannelReduce,
    Clip,
    ConstantMap,
    Dense,
    FloatConv,
    GlobalAvgPool,
    MaxPool,
    Mul,
    Op,
    Pairwise,
    PReLU,
    Select,
    Sigmoid,
    Softmax,
    Staircase,
    Unary,
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
    "tanh": (Unary("Tanh"), MAP, ("TANH",)),
    "absolute": (Unary("Abs"), VECTOR, ("ABS",)),
    "exponential": (Unary("Exp"), MAP, ("EXP",)),
    "rounded": (Unary("Round"), MAP, ("ROUND",)),
    "floor": (Unary("Floor"), MAP, ("FLOOR",)),
    "ceiling": (Unary("Ceil"), MAP, ("CEIL",)),
    "elu": (Unary("Elu"), MAP, ("ELU",)),
    "gelu": (Unary("Gelu"), MAP, ("GELU",)),
    "hard swish": (Unary("HardSwish"), MAP, ("HARD_SWISH",)),
    "softplus": (Unary("Softplus"), MAP, ("RELU", "ABS", "LOGISTIC", "LOG", "SUB")),
    "reciprocal": (Unary("Reciprocal"), MAP, ("DIV",)),
    "softmax": (Softmax(), VECTOR, ("SOFTMAX",)),
    "softmax of a map": (Softmax(), MAP, ("SOFTMAX",)),
    "log softmax": (Softmax(log=True), VECTOR, ("LOG_SOFTMAX",)),
    "log softmax of a map": (Softmax(log=True), MAP, ("LOG_SOFTMAX",)),
    "scale of each value": (ConstantMap("Mul", floats(RANDOM, C, 6, 7)), MAP, ("MUL",)),
    "scale of each pixel": (ConstantMap("Mul", floats(RANDOM, 1, 6, 7)), MAP, ("MUL",)),
    "offset of each row": (ConstantMap("Add", floats(RANDOM, C, 6, 1)), MAP, ("ADD",)),
    "bound of each channel": (ConstantMap("Max", floats(RANDOM, C, 1, 1)), MAP, ("MAXIMUM",)),
    "bound of a vector": (ConstantMap("Min", floats(RANDOM, C, 1, 1)), VECTOR, ("MINIMUM",)),
    "mean of the channels": (ChannelReduce("Mean"), MAP, ("MEAN",)),
    "mean of a vector": (ChannelReduce("Mean"), VECTOR, ("MEAN",)),
    "largest channel": (ChannelReduce("Max"), MAP, ("REDUCE_MAX",)),
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
    "average, some pads count": (
        AvgPool(Window((3, 3), (2, 2), (1, 1, 2, 2)), True, (1, 1)), MAP, ("PAD", "AVERAGE_POOL_2D", "MUL"),
    ),
    "max pool, dilated": (
        MaxPool(Window((2, 2), (2, 1), (1, 0, 0, 1), (2, 3))), MAP,
        ("PADV2", *["STRIDED_SLICE"] * 2, *["MAXIMUM", "STRIDED_SLICE"] * 2, "MAXIMUM"),
    ),
    "max pool, dilated in name": (MaxPool(Window((1, 2), (1, 1), (0,) * 4, (3, 1))), MAP, ("MAX_POOL_2D",)),
    "average, dilated": (
        AvgPool(Window((1, 2), (1, 1), (0, 1, 0, 0), (1, 2))), MAP,
        ("PAD", *["STRIDED_SLICE"] * 2, "ADD", "MUL"),
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


PIXELS, ONE = (1, 1, *MAP[2:]), (1, 1)


@pytest.mark.parametrize(
    "op", [Add(), Mul(), *map(Pairwise, ("Sub", "Div", "Max", "Min"))], ids=str
)
@pytest.mark.parametrize(
    "shapes",
    [
        (MAP, MAP),
        (MAP, VECTOR),
        (VECTOR, MAP),
        (VECTOR, VECTOR),
        (MAP, PIXELS),
        (PIXELS, MAP),
        (MAP, ONE),
        (ONE, VECTOR),
    ],
    ids=str,
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


@pytest.mark.parametrize("constants", [(), (0,), (1,), (0, 1)], ids=str)
@pytest.mark.parametrize("count", [1, 2])
def test_select(lce: type[LceExecutor], count: int, constants: tuple[int, ...]) -> None:
    thresholds = np.sort(floats(RANDOM, C, count), axis=1)
    values = RANDOM.integers(0, 2, (C, count + 1)).astype(np.float32)
    fixed = [floats(RANDOM, C) if i in constants else None for i in range(2)]
    net = Net(*[MAP] * (3 - len(constants)))
    op = Select(Staircase(thresholds, values), *fixed)
    graph = net.done(net.add(op, *net.graph.inputs))
    model = convert(graph)
    kernels = (*["GREATER_EQUAL", "SELECT_V2"] * count, "GREATER", "SELECT_V2")
    assert model.steps[0].kernels == kernels
    assert disagreements(graph, lce(model), feeds(graph, np.random.default_rng(17))) == []


def test_functions_of_positive_numbers(lce: type[LceExecutor]) -> None:
    net = Net(MAP)
    x = net.add(Clip(0.01, np.inf), "x0")
    graph = net.done(net.add(Unary("Sqrt"), x), net.add(Unary("Log"), x))
    assert disagreements(graph, lce(convert(graph)), feeds(graph, np.random.default_rng(16))) == []


@pytest.mark.parametrize(("clip", "keep"), [(Clip(0.0, np.inf), True), (Clip(0.0, 1.0), False)])
def test_what_is_not_fused(lce: type[LceExecutor], clip: Clip, keep: bool) -> None:
    """A layer whose output is needed as it is, and bounds that no TFLite activation has."""
    graph = fusion(UNARY["dense"][0], clip, keep)
    model = convert(graph)
    assert len(model.steps) == 2
    assert disagreements(graph, lce(model), feeds(graph, np.random.default_rng(15))) == []
