"""from_onnx: every handler gives what onnxruntime gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from small_onnx import Net, floats, signs

from r2b_edge import ops
from r2b_edge.graph import Graph, interpret
from r2b_edge.graph.from_onnx import HANDLERS
from r2b_edge.graph.spec import verify

RANDOM = np.random.default_rng(1)
SPATIAL = np.array([2, 3])


def f(*shape: int) -> np.ndarray:
    return floats(RANDOM, *shape)


def agree(net: Net, folder: Path, *outputs: str, tolerance: float = 1e-5) -> Graph:
    """Import the net, compare every output with onnxruntime's on random data, return the graph."""
    names = outputs or (net.nodes[-1].output[0],)
    graph = net.graph(folder, *names)
    verify(graph, "from_onnx")
    x = f(*net.shape) * 2
    want = net.onnxruntime(x, *names)
    got = interpret.run(graph, {"x": x})
    for name, tensor in zip(names, graph.outputs, strict=True):
        assert got[tensor].size == want[name].size, name
        np.testing.assert_allclose(
            got[tensor].reshape(want[name].shape), want[name], rtol=tolerance, atol=tolerance
        )
    return graph


CONVS: list[dict[str, object]] = [
    {},
    {"pads": [1, 1, 1, 1]},
    {"pads": [1, 0, 2, 1], "strides": [2, 1]},
    {"dilations": [2, 2]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"auto_pad": "VALID", "strides": [2, 3]},
    {"kernel_shape": [3, 2]},
]


@pytest.mark.parametrize("attributes", CONVS)
def test_conv(attributes: dict[str, object], tmp_path: Path) -> None:
    net = Net((1, 4, 7, 6))
    net.conv("x", f(5, 4, 3, 2), f(5), **attributes)
    agree(net, tmp_path)


def test_depthwise_conv(tmp_path: Path) -> None:
    net = Net()
    net.conv("x", f(8, 1, 3, 3), group=4)
    agree(net, tmp_path)


@pytest.mark.parametrize("attributes", [*CONVS[:1], *CONVS[3:7]])
@pytest.mark.parametrize("counted", [0, 1])
def test_average_pool(attributes: dict[str, object], counted: int, tmp_path: Path) -> None:
    net = Net((1, 4, 7, 6), opset=19)
    net.op("AveragePool", "x", kernel_shape=[3, 2], count_include_pad=counted, **attributes)
    agree(net, tmp_path)


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool"])
def test_pool_with_uneven_pads(kind: str, tmp_path: Path) -> None:
    net = Net((1, 4, 7, 6))
    net.op(kind, "x", kernel_shape=[3, 3], pads=[1, 0, 2, 1], strides=[2, 1])
    agree(net, tmp_path)


@pytest.mark.parametrize(
    ("pads", "axes"),
    [
        ([0, 0, 1, 2, 0, 0, 2, 1], None),
        ([1, 2, 2, 1], [2, 3]),
        ([2, 1, 1, 2], [3, 2]),
        ([1, 2, 2, 1], [-2, -1]),
        ([0, 1, 0, 2], [0, -1]),
    ],
)
@pytest.mark.parametrize("value", [None, 0.0, 1.0, -3.0])
def test_pad_goes_into_the_conv(
    pads: list[int], axes: list[int] | None, value: float | None, tmp_path: Path
) -> None:
    net = Net()
    extra = [] if axes is None else [np.array(axes)]
    padded = net.op("Pad", "x", np.array(pads), value, *extra)
    net.conv(padded, f(5, 4, 3, 3))
    graph = agree(net, tmp_path)
    assert [type(n.op) for n in graph.nodes] == [ops.FloatConv]


def test_pad_with_zeros_adds_to_the_pads_of_the_conv(tmp_path: Path) -> None:
    net = Net()
    net.conv(net.op("Pad", "x", np.array([0, 0, 1, 0, 0, 0, 0, 1])), f(5, 4, 3, 3), pads=[1] * 4)
    agree(net, tmp_path)


def test_pad_of_nothing_does_not_touch_the_pads_of_the_conv(tmp_path: Path) -> None:
    net = Net()
    net.conv(net.op("Pad", "x", np.zeros(8, np.int64), 5.0), f(5, 4, 3, 3), pads=[1] * 4)
    agree(net, tmp_path)


CONSTANTS = [
    np.float32(1.7),
    f(1),
    f(1, 1, 1, 1),
    f(4, 1, 1),
    f(1, 4, 1, 1),
    np.broadcast_to(f(1, 4, 1, 1), (1, 4, 5, 6)).copy(),
    np.broadcast_to(f(4, 1, 1), (4, 5, 6)).copy(),
    np.full(6, 0.3, np.float32),
]


@pytest.mark.parametrize("constant", CONSTANTS, ids=lambda c: str(np.shape(c)))
@pytest.mark.parametrize(
    ("kind", "first"),
    [(kind, first) for kind in ("Add", "Sub", "Mul") for first in (False, True)] + [("Div", False)],
)
def test_channel_constants(kind: str, first: bool, constant: np.ndarray, tmp_path: Path) -> None:
    net = Net((1, 4, 5, 6))
    net.op(kind, *([np.asarray(constant), "x"] if first else ["x", np.asarray(constant)]))
    graph = agree(net, tmp_path)
    assert [type(n.op) for n in graph.nodes] == [ops.ChannelAffine]


def test_constant_over_tensor(tmp_path: Path) -> None:
    net = Net()
    net.op("Div", 2.0, net.op("Add", net.op("Abs", "x"), 1.0))
    agree(net, tmp_path)


@pytest.mark.parametrize("divisor", [0.0, 1e-39])
def test_division_by_almost_nothing(divisor: float, tmp_path: Path) -> None:
    net = Net()
    net.op("Div", "x", divisor)
    agree(net, tmp_path)


@pytest.mark.parametrize("shape", [(1, 4), (1, 4, 1, 1)])
def test_constants_on_a_vector(shape: tuple[int, ...], tmp_path: Path) -> None:
    net = Net()
    pooled = net.op("ReduceMean", "x", SPATIAL, keepdims=int(len(shape) == 4))
    net.op("Add", net.op("Mul", pooled, f(*shape)), f(*shape[1:]))
    agree(net, tmp_path)


@pytest.mark.parametrize("slope", [f(4, 1, 1), f(1), f(1, 1, 1), f(1, 4, 1, 1)])
def test_prelu(slope: np.ndarray, tmp_path: Path) -> None:
    net = Net()
    net.op("PRelu", "x", slope)
    agree(net, tmp_path)


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 0.5), (None, 0.5), (-1.0, None), (None, None), (0.5, -0.5)]
)
def test_clip(low: float | None, high: float | None, tmp_path: Path) -> None:
    net = Net()
    net.op("Clip", "x", low, high)
    agree(net, tmp_path)


def test_leaky_relu_and_sigmoid(tmp_path: Path) -> None:
    net = Net()
    net.op("Sigmoid", net.op("LeakyRelu", net.op("LeakyRelu", "x"), alpha=0.3))
    agree(net, tmp_path)


@pytest.mark.parametrize("shape", [(1, 4, 5, 5), (1, 4)])
def test_batch_norm(shape: tuple[int, ...], random: np.random.Generator, tmp_path: Path) -> None:
    net = Net(shape)
    net.batch_norm("x", f(4), f(4), f(4), np.abs(f(4)) + 0.1, epsilon=1e-3)
    agree(net, tmp_path)


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("bias", [None, f(3), f(1, 3), f(1), np.float32(0.5)])
def test_gemm(trans_b: int, bias: np.ndarray | None, tmp_path: Path) -> None:
    net = Net((1, 4))
    weight = f(3, 4) if trans_b else f(4, 3)
    extra = [] if bias is None else [np.asarray(bias)]
    net.op("Gemm", "x", weight, *extra, transB=trans_b, alpha=0.7, beta=-1.5)
    agree(net, tmp_path)


def test_matmul(tmp_path: Path) -> None:
    net = Net((1, 4))
    net.op("Add", net.op("MatMul", "x", f(4, 3)), f(3))
    agree(net, tmp_path)


def _gemm(net: Net, flat: str) -> str:
    return net.op("Gemm", flat, f(3, 120), f(3), transB=1)


def _matmul(net: Net, flat: str) -> str:
    return net.op("MatMul", flat, f(120, 3))


@pytest.mark.parametrize("head", [_gemm, _matmul])
def test_flatten_then_dense_is_a_convolution(
    head: Callable[[Net, str], str], tmp_path: Path
) -> None:
    net = Net((1, 4, 5, 6))
    head(net, net.op("Flatten", net.op("Relu", "x")))
    graph = agree(net, tmp_path)
    graph.prune()
    assert [type(n.op) for n in graph.nodes] == [ops.Clip, ops.FloatConv, ops.GlobalAvgPool]


@pytest.mark.parametrize(
    "pool",
    [
        lambda n: n.op("GlobalAveragePool", "x"),
        lambda n: n.op("ReduceMean", "x", SPATIAL),
        lambda n: n.op("ReduceMean", "x", np.array([-1, -2]), keepdims=0),
        lambda n: n.op("ReduceMean", n.op("ReduceMean", "x", SPATIAL), SPATIAL),
        lambda n: n.op("Flatten", n.op("GlobalAveragePool", "x")),
        lambda n: n.op("Reshape", n.op("GlobalAveragePool", "x"), np.array([1, -1])),
        lambda n: n.op("Reshape", n.op("GlobalAveragePool", "x"), np.array([0, 0])),
        lambda n: n.op("Squeeze", n.op("GlobalAveragePool", "x"), SPATIAL),
        lambda n: n.op("Unsqueeze", n.op("ReduceMean", "x", SPATIAL, keepdims=0), SPATIAL),
    ],
)
def test_ways_to_a_vector(pool: Callable[[Net], str], tmp_path: Path) -> None:
    net = Net((1, 4, 5, 6))
    pool(net)
    graph = agree(net, tmp_path)
    assert [type(n.op) for n in graph.nodes] == [ops.GlobalAvgPool]


def test_reduce_mean_with_axes_as_an_attribute(tmp_path: Path) -> None:
    net = Net(opset=13)
    net.op("ReduceMean", "x", axes=[2, 3], keepdims=0)
    agree(net, tmp_path)


@pytest.mark.parametrize("by", ["dense", "conv"])
def test_gate(by: str, tmp_path: Path) -> None:
    net = Net((1, 6, 6, 6))  # C = H = W: a wrong axis would still broadcast
    mean = net.op("ReduceMean", "x", SPATIAL, keepdims=int(by == "conv"))
    if by == "dense":
        gate = net.op("Unsqueeze", net.op("Gemm", mean, f(6, 6), f(6)), SPATIAL)
    else:
        gate = net.conv(net.conv(mean, f(2, 6, 1, 1), f(2)), f(6, 2, 1, 1))
    net.op("Mul", net.op("Sigmoid", gate), "x")
    agree(net, tmp_path)


def test_map_of_one_value_becomes_a_vector(tmp_path: Path) -> None:
    net = Net((1, 4, 3, 3))
    net.op("Gemm", net.op("Flatten", net.conv("x", f(5, 4, 3, 3))), f(5, 2))
    agree(net, tmp_path)


@pytest.mark.parametrize(
    "binarise",
    [
        lambda n: n.op("Sign", "x"),
        lambda n: n.op("Where", n.op("Not", n.op("Less", "x", 0.1)), 1.0, -1.0),
        lambda n: n.op("Cast", n.op("Greater", "x", f(4, 1, 1)), to=TensorProto.FLOAT),
        lambda n: n.op(
            "Where", n.op("And", n.op("LessOrEqual", "x", 1.0), n.op("Cast", "x", to=9)), "x", 0.5
        ),
        lambda n: n.op(
            "Where", n.op("Or", n.op("Equal", "x", 0.0), n.op("Less", "x", 1.0)), "x", 2.0
        ),
        lambda n: n.op(
            "Where", n.op("Xor", n.op("Less", "x", 1.0), n.op("Less", "x", -1.0)), "x", f(4, 1, 1)
        ),
        lambda n: n.op("Max", n.op("Min", "x", 0.4), n.op("Neg", "x")),
        lambda n: n.op("Pow", n.op("Tanh", "x"), np.array(3, np.int64)),
        lambda n: n.op("Sub", n.op("Abs", "x"), n.op("Mul", "x", "x")),
    ],
)
def test_raw_elementwise_ops(binarise: Callable[[Net], str], tmp_path: Path) -> None:
    net = Net()
    binarise(net)
    agree(net, tmp_path)


def test_identity_dropout_and_useless_casts_vanish(tmp_path: Path) -> None:
    net = Net()
    x = net.op("Identity", net.op("Dropout", "x", 0.5, np.array(False)))
    net.op("Cast", net.op("Relu", x), to=TensorProto.FLOAT)
    graph = agree(net, tmp_path)
    assert len(graph.nodes) == 1


def test_constant_nodes(tmp_path: Path) -> None:
    net = Net()
    scale = net.op("Constant", value_floats=[2.0])
    offset = net.op("Identity", net.op("Constant", value_float=0.5))
    shape = net.op("Constant", value_ints=[1, 144])
    net.op("Reshape", net.op("Add", net.op("Mul", "x", scale), offset), shape)
    agree(net, tmp_path)


def test_outputs_that_share_a_tensor_or_are_the_input(tmp_path: Path) -> None:
    net = Net()
    y = net.op("Relu", "x")
    z = net.op("Identity", y)
    graph = agree(net, tmp_path, net.op("Identity", "x"), y, z)
    assert graph.outputs == ["x", y, y]


def test_an_input_that_is_an_output_in_another_shape_keeps_its_own(tmp_path: Path) -> None:
    net = Net((1, 4))
    graph = agree(net, tmp_path, net.op("Unsqueeze", "x", SPATIAL))
    assert graph.own_shapes == {"x": (1, 4)}


def test_any_batch_runs(tmp_path: Path) -> None:
    net = Net()
    mean = net.op("ReduceMean", net.conv("x", f(4, 4, 3, 3)), SPATIAL, keepdims=0)
    net.op(
        "Gemm", net.op("Flatten", net.op("Mul", "x", net.op("Unsqueeze", mean, SPATIAL))), f(144, 3)
    )
    graph = net.graph(tmp_path)
    x = f(3, *net.shape[1:])
    together = interpret.run(graph, {"x": x})[graph.outputs[0]]
    alone = [interpret.run(graph, {"x": x[i : i + 1]})[graph.outputs[0]] for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_names_of_nodes_are_theirs_and_unique(tmp_path: Path) -> None:
    net = Net()
    a = net.op("Relu", "x", name="relu")
    b = net.op("Sigmoid", a, name="relu")  # a second one
    c = net.op("Sigmoid", b, name="")  # none
    d = net.op("Sigmoid", c, name=b)  # a tensor's
    e = net.op("Sigmoid", d, name="with~tilde")  # looks like a derived one
    graph = net.graph(tmp_path)
    verify(graph, "from_onnx")
    assert [n.name for n in graph.nodes] == ["relu", b, c, d, e]


def test_every_handler_is_met_here() -> None:
    """The tests of each theme use every op type that is registered."""
    files = (
        "test_from_onnx.py",
        "test_views.py",
        "test_pools.py",
        "test_arithmetic.py",
        "test_integers.py",
        "small_onnx.py",
    )
    text = "".join(Path(__file__).with_name(name).read_text() for name in files)
    assert [kind for kind in HANDLERS if f'"{kind}"' not in text] == []


def test_binary_weights_are_kept_to_the_bit(tmp_path: Path) -> None:
    weight = signs(RANDOM, 3, 4, 3, 3) * np.float32(0.1)
    net = Net()
    net.conv("x", weight)
    (node,) = net.graph(tmp_path).nodes
    assert isinstance(node.op, ops.FloatConv)
    np.testing.assert_array_equal(node.op.weight, weight)


def test_several_inputs(tmp_path: Path) -> None:
    net = Net()
    net.inputs.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (1, 4, 6, 6)))
    net.op("Add", "x", "w")
    assert net.graph(tmp_path).inputs == ["x", "w"]
