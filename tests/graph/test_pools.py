"""Pools and reductions: ceil_mode, dilation, uneven pads, one axis at a time, the channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_onnx import Net, floats

from r2b_edge import ops
from r2b_edge.errors import UnsupportedError
from r2b_edge.graph import Graph, interpret
from r2b_edge.graph.spec import verify

RANDOM = np.random.default_rng(8)
Build = Callable[[Net], str]


def f(*shape: int) -> np.ndarray:
    return floats(RANDOM, *shape)


def agree(net: Net, folder: Path) -> Graph:
    """Import the net, compare its output with onnxruntime's for a batch of two, return the graph."""
    name = net.nodes[-1].output[0]
    graph = net.graph(folder, name)
    graph.prune()
    verify(graph, "from_onnx")
    x = f(2, *net.shape[1:]) - 3  # zeros would win a maximum
    got = interpret.run(graph, {"x": x})[graph.outputs[0]]
    for i in range(2):
        want = net.onnxruntime(x[i : i + 1], name)[name]
        np.testing.assert_allclose(got[i].reshape(want.shape), want, rtol=1e-5, atol=1e-5)
    return graph


def kinds(graph: Graph) -> list[type]:
    return [type(node.op) for node in graph.nodes]


WINDOWS = [
    {"kernel_shape": [2, 2], "strides": [2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 0, 0]},
    {"kernel_shape": [4, 3], "strides": [3, 2], "pads": [2, 1, 1, 0]},
    {"kernel_shape": [2, 3], "strides": [1, 2], "dilations": [2, 2], "pads": [0, 1, 1, 0]},
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("size", [(5, 6), (6, 7), (7, 8)])
@pytest.mark.parametrize("kind", ["MaxPool", "inside", "counted"])
def test_ceil_mode(kind: str, size: tuple[int, int], window: dict, tmp_path: Path) -> None:
    net = Net((1, 3, *size), opset=19)
    if kind == "MaxPool":
        net.op("MaxPool", "x", ceil_mode=1, **window)
    else:
        net.op("AveragePool", "x", ceil_mode=1, count_include_pad=int(kind == "counted"), **window)
    agree(net, tmp_path)


@pytest.mark.parametrize("counted", [0, 1])
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_dilation(kind: str, counted: int, tmp_path: Path) -> None:
    net = Net((1, 3, 8, 7), opset=19)
    extra = {} if kind == "MaxPool" else {"count_include_pad": counted}
    net.op(kind, "x", kernel_shape=[3, 2], dilations=[2, 3], pads=[1, 1, 2, 0], **extra)
    agree(net, tmp_path)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_padding_before_a_pool(kind: str, tmp_path: Path) -> None:
    net = Net()
    padded = net.op("Pad", "x", np.array([0, 0, 1, 1, 0, 0, 0, 1]))
    net.op(kind, padded, kernel_shape=[3, 3], strides=[2, 2])
    assert kinds(agree(net, tmp_path))[0] == ops.Gather


def test_adaptive_average_pool_to_one_pixel_is_a_global_one(tmp_path: Path) -> None:
    net = Net()
    net.op("Flatten", net.op("AveragePool", "x", kernel_shape=[6, 6], strides=[6, 6]))
    assert kinds(agree(net, tmp_path)) == [ops.GlobalAvgPool]


def test_pools_of_a_vector(tmp_path: Path) -> None:
    net = Net()
    vector = net.op("GlobalAveragePool", "x")
    net.op("MaxPool", net.op("AveragePool", vector, kernel_shape=[1, 1]), kernel_shape=[1, 1])
    agree(net, tmp_path)


@pytest.mark.parametrize("case", ["padded", "grouped"])
def test_convolutions_of_a_vector(case: str, tmp_path: Path) -> None:
    net = Net()
    vector = net.op("GlobalAveragePool", "x")
    if case == "padded":
        net.conv(vector, f(3, 4, 3, 3), pads=[1] * 4)
    else:
        net.conv(vector, f(4, 2, 1, 1), group=2)
    agree(net, tmp_path)


REDUCTIONS: dict[str, tuple[list[int], list[type]]] = {
    "height": ([2], [ops.AvgPool]),
    "width": ([-1], [ops.AvgPool]),
    "both": ([2, 3], [ops.GlobalAvgPool]),
    "channels": ([1], [ops.ChannelReduce]),
}


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("case", REDUCTIONS)
def test_reduce_mean(case: str, keep: int, tmp_path: Path) -> None:
    axes, expected = REDUCTIONS[case]
    net = Net((1, 4, 5, 6))
    net.op("ReduceMean", "x", np.array(axes), keepdims=keep)
    graph = agree(net, tmp_path)
    assert kinds(graph)[:1] == expected


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("kind", ["ReduceSum", "ReduceMax"])
@pytest.mark.parametrize("axes", [[1], [2], [3], [2, 3]], ids=str)
def test_other_reductions(kind: str, axes: list[int], keep: int, tmp_path: Path) -> None:
    net = Net((1, 4, 5, 6), opset=18)
    net.op(kind, "x", np.array(axes), keepdims=keep)
    agree(net, tmp_path)


def test_global_max_pool(tmp_path: Path) -> None:
    net = Net()
    net.op("GlobalMaxPool", "x")
    graph = agree(net, tmp_path)
    assert not graph.type(graph.outputs[0]).is_map


@pytest.mark.parametrize("shape", [(1, 5), (1, 5, 4, 4)])
def test_reductions_of_a_vector(shape: tuple[int, ...], tmp_path: Path) -> None:
    net = Net(shape)
    x = "x" if len(shape) == 2 else net.op("GlobalAveragePool", "x")
    net.op("ReduceMean", x, np.array([1]))
    agree(net, tmp_path)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize(("shape", "axis"), [((1, 2, 3, 4, 5), 1), ((1, 3, 2, 4, 5), 2)])
def test_mean_of_channel_groups(
    shape: tuple[int, ...], axis: int, keep: int, tmp_path: Path
) -> None:
    net = Net((1, 6, 4, 5))
    grouped = net.op("Reshape", "x", np.array(shape))
    mean = net.op("ReduceMean", grouped, np.array([axis]), keepdims=keep)
    net.op("Reshape", mean, np.array([1, 3, 4, 5]))
    assert kinds(agree(net, tmp_path)) == [ops.FloatConv]


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda n: n.op("ReduceMean", "x", name="bad"), "over axes all"),
        (lambda n: n.op("ReduceMax", "x", np.array([1, 2]), name="bad"), r"over axes \[1, 2\]"),
        (lambda n: n.op("ReduceSum", "x", np.array([0]), name="bad"), r"over axes \[0\]"),
        (
            lambda n: n.op(
                "ReduceMean",
                n.op("Reshape", "x", np.array([1, 4, 2, 3, 6])),
                np.array([2]),
                name="bad",
            ),
            "groups of channels",
        ),
        (
            lambda n: n.op(
                "MaxPool", "x", kernel_shape=[1, 1], strides=[2, 2], ceil_mode=1, name="bad"
            ),
            "a position more than onnxruntime computes",
        ),
        (
            lambda n: n.op(
                "MaxPool",
                "x",
                kernel_shape=[2, 2],
                dilations=[2, 2],
                auto_pad="SAME_UPPER",
                name="bad",
            ),
            "auto_pad with dilations",
        ),
        (
            lambda n: n.op(
                "AveragePool",
                "x",
                kernel_shape=[1, 1],
                strides=[3, 3],
                auto_pad="SAME_UPPER",
                name="bad",
            ),
            "auto_pad with dilations or with gaps",
        ),
    ],
)
def test_refusals(build: Build, says: str, tmp_path: Path) -> None:
    net = Net()
    build(net)
    with pytest.raises(UnsupportedError, match=f"'bad' on .*{says}"):
        net.graph(tmp_path)


def test_groups_of_very_many_channels_are_refused(tmp_path: Path) -> None:
    """Their weights would take 3 GB."""
    net = Net((1, 40_000, 1, 1))
    grouped = net.op("Reshape", "x", np.array([1, 20_000, 2, 1, 1]))
    net.op("ReduceMean", grouped, np.array([2]), name="bad", keepdims=0)
    with pytest.raises(UnsupportedError, match=r"'bad' on .*\[40000, 20000\] is too large"):
        net.graph(tmp_path)
