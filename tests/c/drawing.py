"""What random layers and epilogues are drawn from: windows, sizes, weights, thresholds."""

from __future__ import annotations

import numpy as np

from r2b_edge.graph.graph import Array
from r2b_edge.ops import (
    Staircase,
    Step,
    Window,
)

from .harness import Builder


def step(b: Builder, channels: int) -> Step:
    """Thresholds of every kind: constant channels, both zeros, integers that a dot product hits."""
    special = np.array([np.inf, -np.inf, 0.0, -0.0, 1.0, -3.0, 1e-45], dtype=np.float32)
    usual = b.rng.choice(special, size=channels)
    threshold = np.where(b.rng.random(channels) < 0.5, usual, b.floats(channels))
    return Step(threshold.astype(np.float32), b.signs(channels))


def window(b: Builder, height: int, width: int, largest_pad: int = 3) -> Window:
    """A window that fits into the map: pads on each side by itself, strides, dilations."""
    while True:
        kernel = tuple(int(k) for k in b.rng.choice([1, 2, 3, 5], size=2))
        pads = tuple(int(p) for p in b.rng.integers(0, largest_pad + 1, size=4))
        w = Window(
            kernel,
            tuple(int(s) for s in b.rng.integers(1, 4, size=2)),
            pads,
            tuple(int(d) for d in b.rng.integers(1, 3, size=2)),
        )
        try:
            w.output_size(height, width)
        except ValueError:
            continue
        return w


def size(b: Builder) -> tuple[int, int]:
    height, width = b.rng.integers(1, 10, size=2)
    return int(height), int(width)


def groups_of(b: Builder) -> tuple[int, int, int]:
    """Groups, input channels, output channels."""
    groups = int(b.rng.choice([1, 1, 1, 2, 3, 5]))
    most = 70 // groups
    inside, outside = b.rng.integers(1, most + 1, size=2)
    if b.rng.random() < 0.3:
        inside = 32
    return groups, groups * int(inside), groups * int(outside)


def fan_in(weight: Array) -> Array:
    """Scaled so that a sum is about as large as its terms: a sigmoid behind it is not driven to its ends."""
    return (weight / np.sqrt(weight[0].size)).astype(np.float32)


def stored(b: Builder, weight: Array) -> tuple[Array, bool]:
    """The weights, in every other layer rounded to halves, some of them subnormal; and whether they are."""
    if b.rng.random() < 0.5:
        return weight, False
    small = np.where(b.rng.random(weight.shape) < 0.05, np.float32(1e-4), np.float32(1))
    return (weight * small).astype(np.float16).astype(np.float32), True


def stairs(b: Builder, channels: int) -> Staircase:
    """Thresholds that whole numbers hit, some of them equal, some infinite."""
    count = int(b.rng.integers(1, 6))
    thresholds = np.sort(np.round(2 * b.floats(channels, count)) / 2, axis=1)
    thresholds[:, -1][b.rng.random(channels) < 0.3] = np.inf
    return Staircase(thresholds.astype(np.float32), b.floats(channels, count + 1))
