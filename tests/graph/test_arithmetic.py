"""Elementwise ops as floats: after the passes, every form gives what onnxruntime gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_onnx import Net, floats

from r2b_edge import ops, passes
from r2b_edge.errors import UnsupportedError
from r2b_edge.graph import Graph, interpret

RANDOM = np.random.default_rng(9)
SPATIAL = np.array([2, 3])
Build = Callable[[Net], str]


def f(*shape: int) -> np.ndarray:
    return floats(RANDOM, *shape)


def agree(net: Net, folder: Path, *outputs: str) -> Graph:
    """Import the net, run the passes, compare every tensor of the graph with onnxruntime's; give the graph."""
    names = outputs or (net.nodes[-1].output[0],)
    graph = passes.run(net.graph(folder, *names))
    x = f(*net.shape) * 2
    got = interpret.run(graph, {"x": x})
    shown = dict.fromkeys(t.origin.onnx for t in graph.tensors.values())
    want = net.onnxruntime(x, *dict.fromkeys([*names, *(n for n in shown if n != "x")])) | {"x": x}
    for name, tensor in graph.tensors.items():
        scale, offset = (
            np.asarray(v).reshape((-1,) + (1,) * (len(tensor.type.shape) - 2))
            for v in (tensor.origin.scale, tensor.origin.offset)
        )
        value = got[name] * scale + offset
        reference = want[tensor.origin.onnx].reshape(value.shape)
        assert np.abs(value - reference).max() <= 1e-5 * np.abs(reference).max(), name
    return graph


def kinds(graph: Graph) -> list[type]:
    return [type(node.op) for node in graph.nodes]


UNARY: dict[str, tuple[Build, list[type]]] = {
    "Abs": (lambda n: n.op("Abs", "x"), [ops.Unary]),
    "Ceil": (lambda n: n.op("Ceil", "x"), [ops.Unary]),
    "Elu": (lambda n: n.op("Elu", "x"), [ops.Unary]),
    "Exp": (lambda n: n.op("Exp", "x"), [ops.Unary]),
    "Floor": (lambda n: n.op("Floor", "x"), [ops.Unary]),
    "Gelu": (lambda n: n.op("Gelu", "x"), [ops.Unary]),
    "Gelu by its error function": (
        lambda n: n.op(
            "Mul", n.op("Mul", "x", 0.5), n.op("Add", n.op("Erf", n.op("Mul", "x", 0.70710678)), 1.0)
        ),
        [ops.Unary],
    ),
    "Gelu in another order": (
        lambda n: n.op(
            "Mul", n.op("Mul", n.op("Add", 1.0, n.op("Erf", n.op("Div", "x", np.sqrt(2)))), 1.5), "x"
        ),
        [ops.Unary, ops.ChannelAffine],
    ),
    "Gelu behind a scale": (
        lambda n: n.op(
            "Mul",
            n.op("Mul", n.op("Div", "x", 10.0, outputs=["y"]), 0.5),
            n.op("Add", n.op("Erf", n.op("Div", "y", np.sqrt(2))), 1.0),
        ),
        [ops.ChannelAffine, ops.Unary],
    ),
    "HardSigmoid": (lambda n: n.op("HardSigmoid", "x", alpha=0.25), [ops.ChannelAffine, ops.Clip]),
    "HardSwish": (lambda n: n.op("HardSwish", "x"), [ops.Unary]),
    "Log": (lambda n: n.op("Log", n.op("Clip", "x", 0.1)), [ops.Clip, ops.Unary]),
    "Neg": (lambda n: n.op("Neg", "x"), [ops.ChannelAffine]),
    "Reciprocal": (lambda n: n.op("Reciprocal", n.op("Clip", "x", 0.1)), [ops.Clip, ops.Unary]),
    "Sqrt": (lambda n: n.op("Sqrt", n.op("Clip", "x", 0.1)), [ops.Clip, ops.Unary]),
    "Softplus": (lambda n: n.op("Softplus", "x"), [ops.Unary]),
    "Tanh": (lambda n: n.op("Tanh", "x"), [ops.Unary]),
    "square": (lambda n: n.op("Pow", "x", 2.0), [ops.Mul]),
    "root": (lambda n: n.op("Pow", n.op("Clip", "x", 0.1), 0.5), [ops.Clip, ops.Unary]),
    "Round": (lambda n: n.op("Round", "x"), [ops.Unary]),
    "decided choice": (lambda n: n.op("Where", np.array(True), n.op("Abs", "x"), "x"), [ops.Unary]),
    "SiLU": (lambda n: n.op("Mul", "x", n.op("Sigmoid", "x")), [ops.Sigmoid, ops.Mul]),
    "at least": (lambda n: n.op("Max", "x", 0.3), [ops.Clip]),
    "at most": (lambda n: n.op("Min", -0.3, "x"), [ops.Clip]),
    "at least, by channel": (lambda n: n.op("Max", "x", f(4, 1, 1)), [ops.ConstantMap]),
    "number over tensor": (
        lambda n: n.op("Div", 2.0, n.op("Clip", "x", 0.1)), [ops.Clip, ops.Unary, ops.ChannelAffine],
    ),
    "numbers over tensor": (
        lambda n: n.op("Div", f(4, 1, 1), n.op("Clip", "x", 0.1)),
        [ops.Clip, ops.Unary, ops.ChannelAffine],
    ),
    "Softmax": (lambda n: n.op("Softmax", "x", axis=1), [ops.Softmax]),
    "LogSoftmax": (lambda n: n.op("LogSoftmax", "x", axis=-3), [ops.Softmax]),
    "Maxout": (
        lambda n: n.op("Sub", n.op("Mul", n.op("Relu", "x"), f(4, 1, 1)), n.op("Relu", n.op("Neg", "x"))),
        [ops.Clip, ops.ChannelAffine, ops.ChannelAffine, ops.Clip, ops.Pairwise],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNARY)
def test_functions_of_one_tensor(case: str, tmp_path: Path) -> None:
    net = Net(opset=20)
    UNARY[case][0](net)
    assert kinds(agree(net, tmp_path)) == UNARY[case][1]


WHERES: dict[str, Build] = {
    "leaky": lambda n: n.op("Where", n.op("Greater", "x", 0.0), "x", n.op("Mul", "x", 0.1)),
    "clamp above": lambda n: n.op("Where", n.op("Greater", "x", 0.7), 0.7, "x"),
    "clamp below": lambda n: n.op("Where", n.op("Less", "x", f(4, 1, 1)), 0.7, "x"),
    "shifted PReLU": lambda n: n.op(
        "Where",
        n.op("Greater", n.op("Sub", "x", 0.3), 0.0),
        n.op("Mul", n.op("Sub", "x", 0.3), f(4, 1, 1)),
        n.op("Mul", n.op("Sub", "x", 0.3), f(4, 1, 1)),
    ),
    "hard shrink": lambda n: n.op("Where", n.op("Greater", n.op("Abs", "x"), 0.5), "x", 0.0),
    "the same for all values of a channel": lambda n: n.op(
        "Where",
        n.op("Greater", n.op("Sigmoid", "x"), np.float32([2, -1, 2, -1]).reshape(4, 1, 1)),
        "x",
        0.0,
    ),
    "by another tensor": lambda n: n.op(
        "Where", n.op("GreaterOrEqual", "x", 0.0), n.op("Exp", n.op("Neg", "x")), n.op("Tanh", "x")
    ),
    "softplus with a threshold": lambda n: n.op(
        "Where", n.op("Greater", "x", 2.0), "x", n.op("Log", n.op("Add", n.op("Exp", "x"), 1.0))
    ),
}


@pytest.mark.parametrize("case", WHERES)
def test_wheres_on_a_condition(case: str, tmp_path: Path) -> None:
    net = Net()
    WHERES[case](net)
    assert ops.Select in kinds(agree(net, tmp_path))


def test_a_where_on_two_tensors_is_refused(tmp_path: Path) -> None:
    net = Net()
    other = net.op("GlobalMaxPool", "x")
    spread = net.op("Expand", other, np.array([1, 4, 6, 6]))
    net.op("Where", net.op("Greater", "x", net.op("Mul", spread, 0.5)), "x", 0.0)
    with pytest.raises(UnsupportedError, match="Greater 'Greater_"):
        passes.run(net.graph(tmp_path))


def test_a_softmax_of_scores(tmp_path: Path) -> None:
    net = Net()
    net.op("Softmax", net.op("ReduceMean", "x", SPATIAL, keepdims=0))
    agree(net, tmp_path)


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("operand", ["map", "vector", "pixels", "one of a map", "one"])
def test_functions_of_two_tensors(kind: str, first: bool, operand: str, tmp_path: Path) -> None:
    net = Net((1, 4, 5, 5))
    small = {
        "map": lambda: net.op("Sigmoid", "x"),
        "vector": lambda: net.op("Sigmoid", net.op("GlobalAveragePool", "x")),
        "pixels": lambda: net.op("Sigmoid", net.op("ReduceMean", "x", np.array([1]))),
        # Positive: a single sum must not cancel, since it is its own scale.
        "one of a map": lambda: net.op(
            "Sigmoid", net.conv(net.op("Abs", "x"), np.abs(f(1, 4, 5, 5)) / 100)
        ),
        "one": lambda: net.op(
            "Sigmoid", net.op("ReduceMean", net.op("GlobalAveragePool", "x"), np.array([1]))
        ),
    }[operand]()
    full = net.op("Clip", "x", 0.1)
    net.op(kind, *((small, full) if first else (full, small)))
    agree(net, tmp_path)


@pytest.mark.parametrize("kind", ["Add", "Mul", "Sub"])
def test_functions_of_two_vectors(kind: str, tmp_path: Path) -> None:
    net = Net((1, 6))
    one = net.op("ReduceMean", "x", np.array([1]))
    net.op(kind, net.op(kind, "x", one), net.op("Abs", "x"))
    agree(net, tmp_path)


def test_a_map_of_one_pixel_is_a_gate(tmp_path: Path) -> None:
    net = Net((1, 4, 5, 5))
    gate = net.op("HardSigmoid", net.conv("x", f(4, 4, 5, 5)))
    net.op("Mul", gate, "x")
    agree(net, tmp_path)


CONSTANTS = {
    "each value": (4, 5, 6),
    "each pixel": (1, 1, 5, 6),
    "each row": (5, 1),
    "each column": (6,),
    "channels and rows": (1, 4, 5, 1),
}


@pytest.mark.parametrize("shape", CONSTANTS)
@pytest.mark.parametrize(
    ("kind", "first"),
    [("Add", False), ("Mul", True), ("Sub", False), ("Sub", True), ("Div", False), ("Max", False), ("Min", True)],
)  # fmt: skip
def test_constants_over_space(kind: str, first: bool, shape: str, tmp_path: Path) -> None:
    net = Net((1, 4, 5, 6))
    value = f(*CONSTANTS[shape])
    net.op(kind, *((value, "x") if first else ("x", value)))
    graph = agree(net, tmp_path)
    assert kinds(graph)[-1] == ops.ConstantMap
    sizes = [node.op.value.size for node in graph.nodes if isinstance(node.op, ops.ConstantMap)]
    assert sizes == [value.size]


def test_xnor_plus_plus_scales_are_each_as_small_as_they_are(tmp_path: Path) -> None:
    net = Net((1, 4, 5, 6))
    y = net.op("Mul", net.op("Mul", "x", f(4, 1, 1)), f(1, 5, 1))
    net.op("Mul", y, np.broadcast_to(f(4, 1, 1), (4, 5, 6)).copy())
    graph = agree(net, tmp_path)
    assert kinds(graph) == [ops.ChannelAffine, ops.ConstantMap, ops.ChannelAffine]


@pytest.mark.parametrize("kind", ["Add", "Mul", "Sub"])
@pytest.mark.parametrize("of", ["map", "vector"])
@pytest.mark.parametrize("first", [False, True])
def test_one_channel_times_constants_is_a_layer(
    kind: str, of: str, first: bool, tmp_path: Path
) -> None:
    net = Net((1, 3, 5, 5))
    x = "x" if of == "map" else net.op("GlobalAveragePool", "x")
    mean = net.op("ReduceMean", net.op("Abs", x), np.array([1]))
    pair = (f(4, 1, 1), mean) if first else (mean, f(4, 1, 1))
    net.op(kind, *pair)
    layer = ops.FloatConv if of == "map" else ops.Dense
    assert layer in kinds(agree(net, tmp_path))


def test_xnor_net_input_scale(tmp_path: Path) -> None:
    """K = |x| averaged over the channels and then over the kernel's window."""
    net = Net((1, 4, 6, 6))
    mean = net.op("ReduceMean", net.op("Abs", "x"), np.array([1]))
    scale = net.conv(mean, np.full((1, 1, 3, 3), 1 / 9, np.float32), pads=[1] * 4)
    dots = net.conv(net.sign("x"), np.where(f(5, 4, 3, 3) < 0, -1, 1).astype(np.float32), pads=[1] * 4)  # fmt: skip
    net.op("Mul", net.op("Mul", dots, scale), f(5, 1, 1))
    graph = agree(net, tmp_path)
    assert ops.BinaryConv in kinds(graph)
    assert ops.ChannelReduce in kinds(graph)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda n: n.op("Div", f(5, 6), "x", name="bad"), "varies along axis"),
        (lambda n: n.op("Pow", "x", f(5, 6), name="bad"), "varies along axis"),
        (lambda n: n.op("Greater", "x", n.op("GlobalAveragePool", "x"), name="bad"), "different shapes"),
        (lambda n: n.op("Elu", "x", alpha=0.5, name="bad"), "alpha"),
        (lambda n: n.op("HardSigmoid", "x", alpha=0.0, name="bad"), "alpha"),
        (lambda n: n.op("Gelu", "x", approximate="tanh", name="bad"), "tanh"),
        (lambda n: n.op("Softmax", "x", name="bad"), "axis -1"),
        (lambda n: n.op("Pow", "x", 3.0, name="bad"), "no float kernel"),
        (lambda n: n.op("Erf", "x", name="bad"), "no float kernel"),
        (
            lambda n: n.op(
                "Mul", n.op("ReduceMean", "x", np.array([2])), n.op("ReduceMean", "x", np.array([3])), name="bad"
            ),
            "do not fit",
        ),
    ],
)  # fmt: skip
def test_refusals(build: Build, says: str, tmp_path: Path) -> None:
    net = Net((1, 4, 5, 6), opset=20)
    output = build(net)
    boolean = 9 if net.nodes[-1].op_type == "Greater" else 1
    with pytest.raises(UnsupportedError, match=says):
        passes.run(net.graph(tmp_path, output, dtype=boolean))
