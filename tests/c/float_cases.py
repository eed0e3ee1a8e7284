"""Random convolutions of floats, of bytes and of 8-bit integers."""

from __future__ import annotations

import dataclasses

import numpy as np

from r2b_edge.ops import ChannelAffine, FloatConv, MaxPool, QuantConv, Window
from r2b_edge.ops.binary import PIXEL
from r2b_edge.ops.integers import EXACT_INTEGERS, largest_sum

from .drawing import fan_in, groups_of, size, stored, window
from .harness import Builder


def float_conv(b: Builder, grouped: bool = True) -> str:
    groups, channels, outputs = groups_of(b)
    if not grouped:
        groups, channels, outputs = 1, channels // groups, outputs // groups
    height, width = size(b)
    w = window(b, height, width)
    weight, half = stored(b, fan_in(b.floats(outputs, channels // groups, *w.kernel)))
    conv = FloatConv(weight, b.floats(outputs), w, groups, half=half)
    return b.add(conv, b.input(1, channels, height, width))


def bytes_conv(b: Builder, grouped: bool = True) -> str:
    """A convolution of bytes, with an affine map between them or none."""
    groups, channels, outputs = groups_of(b)
    if not grouped:
        groups, channels, outputs = 1, channels // groups, outputs // groups
    height, width = size(b)
    w = window(b, height, width)
    x = b.input(1, channels, height, width, uint8=True)
    scale = np.float32(1 / 256)
    if b.rng.random() < 0.6:
        centred = ChannelAffine(scale * b.floats(channels), b.floats(channels))
        x, scale = b.add(centred, x), np.float32(1)
    weight, half = stored(b, scale * fan_in(b.floats(outputs, channels // groups, *w.kernel)))
    return b.add(FloatConv(weight, b.floats(outputs), w, groups, half=half), x)


def unpacked(b: Builder) -> str:
    """A map of bytes that no convolution reads."""
    x = b.input(1, int(b.rng.integers(1, 71)), *size(b), uint8=True)
    return b.add(MaxPool(Window((1, 1))), x)


FEW_SPARE = (7, 8, 13, 16, 24, 39, 40, 64)
"""Output channels whose blocks of 8 are nearly full, in odd and even numbers."""


def float_blocks(b: Builder, uint8: bool = False) -> str:
    """No groups, a row of taps in one run: for kernels that work on groups of pixels and blocks of 8 channels.

    Maps that are narrower than a line of 32 pixels and wider, runs of 1 to 3 floats beside four, windows that are
    beyond the map in part and as a whole. Some are single pixels, whose rows follow each other without a gap.
    """
    channels = int(b.rng.choice([1, 2, 3, 4, 8, int(b.rng.integers(1, 40))]))
    outputs = int(b.rng.choice(FEW_SPARE))
    height, width = int(b.rng.integers(1, 8)), int(b.rng.choice([1, 4, 9, 16, 31, 40, 70]))
    w = window(b, height, width)
    while w.dilations[1] != 1 and w.kernel[1] != 1:
        w = window(b, height, width)
    w = PIXEL if b.rng.random() < 0.15 else w
    weight, half = stored(b, fan_in(b.floats(outputs, channels, *w.kernel)))
    x = b.input(1, channels, height, width, uint8=uint8)
    if uint8:
        scale = np.float32(1 / 128)
        x = b.add(ChannelAffine(scale * b.floats(channels), b.floats(channels)), x)
    return b.add(FloatConv(weight, b.floats(outputs), w, half=half), x)


def winograd_conv(b: Builder) -> str:
    """7x7 and 3x3 with stride 2, on maps that fill tiles and groups of tiles, or leave them half full.

    Some maps are so small that no tile lies inside of their border; pads differ from side to side.
    """
    size = int(b.rng.choice([3, 7]))
    channels, outputs = int(b.rng.choice([1, 2, 3, 3, 4])), int(b.rng.choice([8, 16, 24]))
    height = int(b.rng.integers(1, 40))
    width = int(b.rng.choice([64, 65, 71, 96, int(b.rng.integers(1, 100))]))
    pads = (size // 2,) * 4
    if b.rng.random() < 0.5 or min(height, width) + size // 2 < size:
        pads = tuple(int(p) for p in b.rng.integers(0, size, size=4))
        pads = (max(pads[0], size - height), max(pads[1], size - width), *pads[2:])
    w = Window((size, size), (2, 2), pads)
    weight = fan_in(b.floats(outputs, channels, size, size))
    return b.add(FloatConv(weight, b.floats(outputs), w), b.input(1, channels, height, width))


def quant_conv(b: Builder) -> str:
    """A map or a vector in 8-bit integers; steps in which inputs lie between two integers, and beyond both ends."""
    _, channels, outputs = groups_of(b)
    inverse = float(np.float32(b.rng.choice([0.5, 1.0, 2.0, 2.5, 31.7, 127.0, 1e4])))
    zero_point = int(b.rng.choice([0, 128, 255, int(b.rng.integers(256))]))

    shape: tuple[int, ...] = (1, channels)
    w = PIXEL
    if b.rng.random() < 0.7:
        height, width = size(b)
        shape = (1, channels, height, width)
        w = dataclasses.replace(window(b, height, width), dilations=(1, 1))
    weight = b.rng.integers(-127, 128, (outputs, channels, *w.kernel)).astype(np.int8)
    if largest_sum(weight, zero_point) >= EXACT_INTEGERS:
        weight //= 8
    sums = b.add(QuantConv(weight, inverse, zero_point, w), b.input(*shape))
    b.graph.outputs.append(sums)
    scale = np.float32(4 / largest_sum(weight, zero_point)) * (1 + b.rng.random(outputs))
    return b.add(ChannelAffine(scale.astype(np.float32), b.floats(outputs)), sums)
