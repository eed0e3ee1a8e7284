"""Random layers of the table lookup for pairs of vectors."""

from __future__ import annotations

from r2b_edge.ops import BinaryConv, Window

from .drawing import step
from .harness import Builder


def lut4_pairs(b: Builder) -> str:
    """Three rows at stride 1 for pairs of vectors of 32 pixels: maps of one row and of several in a vector, kernel
    columns up to 8 pixels away, shapes that a vector at a time does faster.

    In turn, so that a few layers have all: groups of channels that lack 0 to 7 of 8, a column in one run and in
    several, 3x3 and wide windows, borders of zeros and others.
    """
    turn = sum(isinstance(node.op, BinaryConv) for node in b.graph.nodes)
    groups = turn % 8 + 1 + 8 * (turn // 4 % 4)
    channels = 4 * groups - int(b.rng.choice([0, 0, 1, 2, 3]))
    outputs = int(b.rng.choice([8, 32, int(b.rng.integers(1, 44))]))
    height = int(b.rng.integers(1, 12))
    width = int(b.rng.choice([4, 8, 16, 32, int(b.rng.integers(1, 33))]))
    pads = (1, 1, 1, 1)
    kernel_x, dilation_x = 3, 1
    if turn % 4 > 1:
        kernel_x, dilation_x = 5, int(b.rng.integers(1, 3))
        if turn % 8 > 4:
            kernel_x = int(b.rng.integers(1, 6))
        reach = (kernel_x - 1) * dilation_x  # the output is as wide as the map
        left = int(b.rng.integers(0, reach + 1)) if turn % 8 > 4 else reach // 2
        pads = (int(b.rng.integers(1, 3)), left, int(b.rng.integers(1, 3)), reach - left)
    w = Window((3, kernel_x), (1, 1), pads, (1, dilation_x))
    bits = b.add(step(b, channels), b.input(1, channels, height, width))
    weight = b.signs(outputs, channels, *w.kernel)
    pad_value = int(b.rng.choice([-1, 1])) if turn % 2 else 0
    return b.add(BinaryConv(weight, w, pad_value), bits)
