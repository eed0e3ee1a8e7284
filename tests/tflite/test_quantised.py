"""Staircase, BinaryMaxPool, Reshape and binary dense layers in LCE's interpreter, against the ops' references."""

from __future__ import annotations

import numpy as np
import pytest
from tflite_nets import Net, disagreements, feeds, floats, signs

from r2b_edge.checking.lce import LceExecutor
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.ops import BinaryConv, BinaryMaxPool, Reshape, Staircase, Window
from r2b_edge.ops.binary import PIXEL

Random = np.random.Generator


@pytest.fixture
def random(require_lce: None) -> Random:
    return np.random.default_rng(14)


def exact(net: Net, random: Random, *outputs: str, integers: bool = False) -> LceExecutor:
    graph = net.done(*outputs)
    executor = LceExecutor(convert(graph))
    inputs = feeds(graph, random)
    if integers:  # so that thresholds are hit
        inputs = {name: np.round(2 * value) / 2 for name, value in inputs.items()}
    assert disagreements(graph, executor, inputs) == []
    return executor


@pytest.mark.parametrize("shape", [(1, 5, 4, 3), (1, 37)])
@pytest.mark.parametrize("count", [1, 3, 15])
def test_staircase(shape: tuple[int, ...], count: int, random: Random) -> None:
    """Thresholds that are hit exactly, equal ones, and infinite ones."""
    thresholds = np.sort(np.round(2 * floats(random, shape[1], count)) / 2, axis=1)
    thresholds[::2, -1] = np.inf
    net = Net(shape)
    stairs = Staircase(thresholds.astype(np.float32), floats(random, shape[1], count + 1))
    executor = exact(net, random, net.add(stairs, "x0"), integers=True)
    assert set(executor.steps[0].nodes) == {"node_0"}


def test_minus_zero_is_zero(require_lce: None) -> None:
    net = Net((1, 2, 1, 1))
    stairs = Staircase(np.zeros((2, 1), np.float32), np.float32([[-1, 1], [3, 5]]))
    y = net.add(stairs, "x0")
    graph = net.done(y)
    zeros = np.float32([-0.0, -0.0]).reshape(1, 2, 1, 1)
    assert LceExecutor(convert(graph)).run({"x0": zeros})[y].ravel().tolist() == [1, 5]


@pytest.mark.parametrize("channels", [1, 31, 32, 40, 64])
@pytest.mark.parametrize(
    "window",
    [
        Window((2, 2), (2, 2)),
        Window((3, 3), (2, 2), (1, 1, 1, 1)),
        Window((3, 2), (1, 3), (0, 1, 2, 0)),
        Window((1, 1), (2, 1)),
    ],
)
def test_binary_max_pool(channels: int, window: Window, random: Random) -> None:
    net = Net((1, channels, 7, 6), dtype="bits")
    exact(net, random, net.add(BinaryMaxPool(window), "x0"))


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("channels", [8, 40, 64])
def test_binary_dense(channels: int, groups: int, random: Random) -> None:
    net = Net((1, channels), dtype="bits")
    weight = signs(random, 3 * groups, channels // groups, 1, 1)
    exact(net, random, net.add(BinaryConv(weight, PIXEL, groups=groups), "x0"))


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1, 6, 4, 5), (1, 120)),
        ((1, 120), (1, 6, 4, 5)),
        ((1, 6, 4, 5), (1, 4, 10, 3)),
        ((1, 6, 1, 5), (1, 1, 6, 5)),
        ((1, 1, 6, 5), (1, 30, 1, 1)),
        ((1, 7), (1, 7, 1, 1)),
    ],
)
def test_reshape(shape: tuple[int, ...], wanted: tuple[int, ...], random: Random) -> None:
    net = Net(shape)
    exact(net, random, net.add(Reshape(wanted), "x0"))
