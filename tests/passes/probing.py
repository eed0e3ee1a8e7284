"""What the probe finds of a small network, checked against onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import TensorProto
from small_onnx import Net

from r2b_edge.passes import bits
from r2b_edge.passes.probe import FoundStep
from r2b_edge.passes.stairs import FoundStairs

Build = Callable[[Net], str]
TINIEST = np.float32(1.401298464324817e-45)


def probe(
    build: Build, folder: Path, channels: int = 1
) -> tuple[str, FoundStep | FoundStairs] | str:
    """What is found before a 1x1 convolution that reads build's output."""
    net = Net((1, channels, 2, 2))
    net.conv(build(net), np.ones((1, channels, 1, 1), np.float32))
    graph = net.graph(folder)
    return bits.probe(graph, graph.nodes[-1].inputs[0])


def found(build: Build, folder: Path, channels: int = 1) -> FoundStep:
    """The step from x; that it agrees with onnxruntime on both sides of each threshold is checked."""
    result = probe(build, folder, channels)
    assert not isinstance(result, str), result
    source, step = result
    assert source == "x"
    assert isinstance(step, FoundStep)
    agrees(build, step, channels)
    return step


def agrees(build: Build, step: FoundStep, channels: int) -> None:
    """At each threshold, at 1 and 2 ulp from it, and at points of all magnitudes."""
    random = np.random.default_rng(3)
    t = np.where(np.isfinite(step.threshold), step.threshold, 0).astype(np.float32)
    up = np.nextafter(t, np.float32(np.inf))
    down = np.nextafter(t, np.float32(-np.inf))
    near = [
        t,
        up,
        np.nextafter(up, np.float32(np.inf)),
        down,
        np.nextafter(down, -np.float32(1e30)),
    ]
    sizes = 2.0 ** random.uniform(-30, 6, (200, channels))
    away = (sizes * random.choice([-1, 1], sizes.shape)).astype(np.float32)
    points = np.concatenate([np.stack(near), away, t + away])
    net = Net((len(points), channels, 1, 1))
    output = build(net)
    values = net.onnxruntime(points[:, :, None, None], output)[output][:, :, 0, 0]
    rising = step.direction > 0
    bits = np.where(rising, points >= step.threshold, points <= step.threshold)
    want = np.where(bits, step.high, step.low)
    tolerance = 1e-6 * (step.high - step.low) + 2e-6 * (np.abs(points) + np.abs(t))
    wrong = np.abs(values - want) > tolerance
    if step.ties:
        wrong &= np.abs(points - t) > 1e-5 * np.abs(t) + 1e-30
    assert not wrong.any(), (points[wrong], values[wrong], want[wrong])


def where(net: Net, condition: str, high: float = 1.0, low: float = -1.0) -> str:
    return net.op("Where", condition, high, low)


def cast(net: Net, condition: str) -> str:
    return net.op("Cast", condition, to=TensorProto.FLOAT)
