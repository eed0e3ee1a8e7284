"""A Real-to-Binary net in small, and others, for all tests of the C exporter; inputs for them."""

from __future__ import annotations

import numpy as np

from r2b_edge.graph.graph import Array, Graph
from r2b_edge.ops import (
    Add,
    AvgPool,
    BinaryConv,
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
    Step,
    Window,
)

from .harness import Builder


def real_to_binary(channels: int = 8, units: int = 2, size: int = 8, swap: bool = False) -> Graph:
    """A stem, Real-to-Binary units, a downsample between them, a classifier. `swap` exchanges operands."""
    b = Builder(1)

    def two(op: Op, first: str, second: str) -> str:
        return b.add(op, *((second, first) if swap else (first, second)))

    def unit(x: str, inputs: int, outputs: int, stride: int) -> str:
        around = Window((3, 3), (stride, stride), (1, 1, 1, 1))
        bits = b.add(Step(b.floats(inputs) / 4, b.signs(inputs)), x)
        conv = b.add(BinaryConv(b.signs(outputs, inputs, 3, 3), around), bits)
        scaled = b.add(ChannelAffine(b.floats(outputs) / 9, b.floats(outputs)), conv)
        hidden = b.add(Dense(b.floats(4, inputs), b.floats(4)), b.add(GlobalAvgPool(), x))
        gate = b.add(
            Dense(b.floats(outputs, 4), b.floats(outputs)), b.add(Clip(0.0, np.inf), hidden)
        )
        gated = two(Mul(), scaled, b.add(Sigmoid(), gate))
        bent = b.add(PReLU(b.floats(outputs)), gated)
        if stride == 1:
            return two(Add(), bent, x)
        half = b.add(AvgPool(Window((2, 2), (2, 2))), x)
        down = b.add(
            FloatConv(b.floats(outputs, inputs, 1, 1), b.floats(outputs), Window((1, 1))), half
        )
        return two(Add(), bent, down)

    image = b.input(1, 3, size, size)
    stem = FloatConv(
        b.floats(channels, 3, 3, 3) / 5, b.floats(channels), Window((3, 3), (1, 1), (1, 1, 1, 1))
    )
    x = b.add(MaxPool(Window((2, 2), (2, 2))), b.add(Clip(0.0, np.inf), b.add(stem, image)))
    for _ in range(units):
        x = unit(x, channels, channels, 1)
    x = unit(x, channels, 2 * channels, 2)
    scores = b.add(Dense(b.floats(10, 2 * channels), b.floats(10)), b.add(GlobalAvgPool(), x))
    return b.done(scores)


def random_inputs(graph: Graph, seed: int) -> dict[str, Array]:
    """An input for each of the graph's: integers now and then, so that thresholds are hit exactly; bytes are bytes."""
    rng = np.random.default_rng(seed)
    values: dict[str, Array] = {}
    for name in graph.inputs:
        x = rng.normal(size=graph.type(name).shape, scale=2.0)
        x = np.where(rng.random(x.shape) < 0.2, np.round(x), x)
        if name in graph.uint8_inputs:
            x = np.clip(np.round(128 + 64 * x), 0, 255)
        values[name] = x.astype(np.float32)
    return values


def echo() -> Graph:
    """A net that gives its input back beside what it makes of it, and which could overwrite it."""
    b = Builder(3)
    x = b.input(1, 20, 3, 3)
    y = b.add(Clip(0.0, np.inf), x)
    z = b.add(PReLU(b.floats(20)), b.add(Add(), y, x))
    return b.done(x, z, y)


NETS = {
    "net": real_to_binary(),
    "wide": real_to_binary(channels=40, units=1, size=12, swap=True),
    "echo": echo(),
}
"""Whole nets, by the name of their program."""

OTHER_NETS = ("net_neon", "wide_neon", "net_mve", "wide_mve")
"""The same nets with the kernels of another family: <net>_<family>."""
