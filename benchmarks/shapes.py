"""The layers that are measured: shapes, and graphs with many of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from r2b_edge.graph.graph import Array, Graph, Origin, Tensor, TensorType
from r2b_edge.ops import (
    Add,
    BinaryConv,
    ChannelAffine,
    Gather,
    MaxPool,
    Mul,
    Op,
    PReLU,
    Step,
    Window,
)


@dataclass(frozen=True)
class Shape:
    """A binary convolution on a square map with zero padding of half a kernel."""

    size: int
    channels: int
    outputs: int
    kernel: int = 3
    stride: int = 1

    @property
    def window(self) -> Window:
        """Its window."""
        pad = self.kernel // 2
        return Window((self.kernel,) * 2, (self.stride,) * 2, (pad,) * 4)

    @property
    def out(self) -> int:
        """Height and width of the output."""
        return self.window.output_size(self.size, self.size)[0]

    @property
    def macs(self) -> int:
        """Products, those with the padding included."""
        return self.out**2 * self.outputs * self.channels * self.kernel**2

    def __str__(self) -> str:
        kernel = f"{self.kernel}x{self.kernel}/{self.stride}"
        return f"{kernel} {self.size}x{self.size}x{self.channels}->{self.outputs}"


RESNET = (
    *(Shape(s, c, c) for s, c in ((56, 64), (28, 128), (14, 256), (7, 512))),
    *(Shape(s, c, 2 * c, stride=2) for s, c in ((56, 64), (28, 128), (14, 256))),
)
"""The binary layers of a ResNet-18 at 224x224."""

SMALL = (
    *(Shape(s, c, c) for s, c in ((16, 64), (8, 128), (32, 32))),
    *(Shape(s, c, o) for s, c, o in ((32, 64, 64), (16, 64, 128), (16, 128, 128), (8, 256, 256), (8, 32, 64))),
    *(Shape(s, c, 2 * c, stride=2) for s, c in ((32, 32), (16, 64))),
    *(Shape(s, c, c, kernel) for s, c, kernel in ((16, 64, 5), (16, 64, 1), (16, 128, 1))),
)  # fmt: skip
"""Those of networks for microcontrollers."""

CORNER = Window((1, 1), (64, 64))
"""Of maps up to 64 pixels wide: one pixel."""
FINISHES = ("float", "unit", "signs")
"""What follows a convolution; see `layers`."""


def every_shape(is_small: bool) -> Iterator[Shape]:
    """Channels, widths, kernels and strides in all combinations: no cliffs?"""
    channels = (16, 32, 48, 64, 128, 256) if is_small else (32, 64, 128, 256, 512)
    sizes = (4, 7, 8, 14, 16, 28, 32, 64) if is_small else (7, 10, 14, 28, 56, 112)
    for c, size, kernel, stride in itertools.product(channels, sizes, (1, 3, 5), (1, 2)):
        yield Shape(size, c, 64, kernel, stride)


def layers(shapes: Sequence[Shape], finish: str) -> Graph:
    """A graph with a convolution of each shape, in order.

    Signs are made of one pixel that is repeated, and one pixel of a result is kept, so that many layers fit in a small
    memory.

    Args:
        shapes: of the convolutions.
        finish: one of FINISHES: "float", the sums are stored; "unit", scale, gate, PReLU and skip, the map and its
            signs; "signs", scale, offset and signs only.
    """
    b = _Builder()
    for shape in shapes:
        b.layer(shape, finish)
    return b.graph


class _Builder:
    def __init__(self) -> None:
        self.graph = Graph("benchmark")
        self.rng = np.random.default_rng(0)

    def floats(self, n: int) -> Array:
        return self.rng.normal(size=n).astype(np.float32)

    def given(self, *sizes: int) -> str:
        name = self.graph.fresh("input")
        self.graph.tensors[name] = Tensor(name, TensorType(sizes), Origin(name))
        self.graph.inputs.append(name)
        return name

    def add(self, op: Op, *inputs: str) -> str:
        name = self.graph.fresh(type(op).__name__.lower())
        self.graph.add(name, op, inputs, name, Origin(name))
        return name

    def spread(self, channels: int, size: int) -> str:
        """A map whose pixels are all an input's."""
        pixel = self.given(1, channels, 1, 1)
        same = np.zeros(size, np.int32)
        return self.add(Gather(np.arange(channels, dtype=np.int32), same, same), pixel)

    def keep(self, name: str) -> None:
        """Have a map stored; an output is one pixel of it."""
        self.graph.outputs.append(self.add(MaxPool(CORNER), name))

    def signs(self, name: str) -> str:
        channels = self.graph.type(name).channels
        return self.add(Step(self.floats(channels), np.ones(channels, np.int8)), name)

    def keep_signs(self, name: str) -> None:
        outputs = self.graph.type(name).channels
        reader = BinaryConv(np.ones((1, outputs, 1, 1), np.int8), CORNER)
        self.graph.outputs.append(self.add(reader, self.signs(name)))

    def layer(self, shape: Shape, finish: str) -> None:
        outputs = shape.outputs
        weight_shape = (outputs, shape.channels, shape.kernel, shape.kernel)
        weight = self.rng.choice(np.array([-1, 1], np.int8), size=weight_shape)
        bits = self.signs(self.spread(shape.channels, shape.size))
        value = self.add(BinaryConv(weight, shape.window), bits)
        if finish == "float":
            return self.keep(value)
        offset = self.floats(outputs) if finish == "signs" else np.zeros(outputs, np.float32)
        value = self.add(ChannelAffine(self.floats(outputs), offset), value)
        if finish == "unit":
            value = self.add(Mul(), value, self.given(1, outputs))
            value = self.add(PReLU(self.floats(outputs)), value)
            value = self.add(Add(), value, self.spread(outputs, shape.out))
            self.keep(value)
        self.keep_signs(value)
        return None
