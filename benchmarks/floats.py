"""Instructions of the float kernels by shape: python -m benchmarks.floats [--target rpi4] [--families portable].

As in benchmarks.kernels each shape is a program of one layer, run once under the target's emulator. A product of a
convolution or a dense layer is a MAC, a value that a pool compares or adds counts as one, and so does a value of a map.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.kernels import add_target, target_of
from r2b_edge import targets
from r2b_edge.exporters.c import build_program, write
from r2b_edge.graph.graph import Array, Graph, Origin, Tensor, TensorType
from r2b_edge.ops import AvgPool, ChannelAffine, Clip, Dense, FloatConv, MaxPool, Op, PReLU, Window
from r2b_edge.runners.count import count_instructions
from r2b_edge.toolchain.build import build


@dataclass(frozen=True)
class Layer:
    """A layer on a square map, or on a vector where `size` is 0.

    Args:
        kind: conv, dense, max, mean or map.
        size: height and width of the input.
        channels: of the input.
        outputs: channels of the output.
        kernel: height and width of the window.
        stride: of the window, both ways.
        pad: on each side; half a kernel if None.
        after: relu, prelu, pool (relu and a 3x3 max pool of stride 2, not counted) or nothing, in the same step.
    """

    kind: str
    size: int
    channels: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    pad: int | None = None
    after: str = ""

    @property
    def window(self) -> Window:
        """Its window."""
        pad = self.kernel // 2 if self.pad is None else self.pad
        return Window((self.kernel,) * 2, (self.stride,) * 2, (pad,) * 4)

    @property
    def count(self) -> int:
        """MACs, or values that a pool or a map goes through; those of the padding count as well."""
        pixels = self.window.output_size(self.size, self.size)[0] ** 2 if self.size else 1
        inputs = self.channels if self.kind in ("conv", "dense") else 1
        return pixels * self.outputs * inputs * self.kernel**2

    def __str__(self) -> str:
        if not self.size:
            return f"dense {self.channels}->{self.outputs}"
        window = f" {self.kernel}x{self.kernel}/{self.stride}" if self.kind != "map" else ""
        size = f"{self.size}x{self.size}x{self.channels}->{self.outputs}"
        return f"{self.kind}{window} {size}{' ' if self.after else ''}{self.after}"


CIFAR = (
    Layer("map", 32, 3, 3),
    Layer("conv", 32, 3, 32, 3),
    Layer("conv", 32, 3, 32, 3, 2),
    Layer("conv", 32, 3, 32, 3, 2, after="prelu"),
    Layer("conv", 16, 3, 32, 3),
    Layer("conv", 16, 32, 64),
    Layer("conv", 8, 64, 128),
    Layer("conv", 16, 64, 128, 1, 2, 0),
    Layer("conv", 8, 64, 64, 3),
    Layer("mean", 16, 64, 64, 2, 2, 0),
    Layer("max", 32, 32, 32, 3, 2),
    Layer("dense", 0, 128, 10),
    Layer("dense", 0, 64, 8),
    Layer("dense", 0, 128, 128),
)
"""Layers of the size that a microcontroller has."""
RESNET = (
    Layer("map", 224, 3, 3),
    Layer("conv", 224, 3, 64, 7, 2),
    Layer("conv", 224, 3, 64, 7, 2, after="relu"),
    Layer("conv", 224, 3, 64, 7, 2, after="pool"),
    Layer("conv", 224, 3, 32, 3, 2),
    Layer("max", 112, 64, 64, 3, 2),
    Layer("mean", 56, 64, 64, 2, 2, 0),
    Layer("conv", 28, 64, 128),
    Layer("conv", 14, 128, 256),
    Layer("conv", 7, 256, 512),
    Layer("conv", 56, 64, 128, 1, 2),
    Layer("conv", 14, 256, 256, 3),
    Layer("dense", 0, 512, 1000),
    Layer("dense", 0, 256, 32),
)
"""Layers of a ResNet-18 at 224x224."""


def graph_of(layer: Layer) -> Graph:
    """The layer alone, with random constants."""
    rng = np.random.default_rng(0)
    graph = Graph("benchmark")

    def floats(*shape: int) -> Array:
        return rng.normal(size=shape).astype(np.float32)

    def add(op: Op, value: str) -> str:
        name = graph.fresh(type(op).__name__.lower())
        graph.add(name, op, (value,), name, Origin(name))
        return name

    shape = (1, layer.channels, *((layer.size,) * 2 if layer.size else ()))
    graph.tensors["input"] = Tensor("input", TensorType(shape), Origin("input"))
    graph.inputs.append("input")
    outputs = layer.outputs
    weight = floats(outputs, layer.channels, layer.kernel, layer.kernel)
    op: Op = {
        "conv": FloatConv(weight, floats(outputs), layer.window),
        "dense": Dense(weight[:, :, 0, 0], floats(outputs)),
        "max": MaxPool(layer.window),
        "mean": AvgPool(layer.window),
        "map": ChannelAffine(floats(outputs), floats(outputs)),
    }[layer.kind]
    value = add(op, "input")
    if layer.after:
        value = add(PReLU(floats(outputs)) if layer.after == "prelu" else Clip(0.0, np.inf), value)
    if layer.after == "pool":
        value = add(MaxPool(Window((3, 3), (2, 2), (1, 1, 1, 1))), value)
    graph.outputs = [value]
    return graph


def instructions(graph: Graph, target: targets.Target) -> tuple[str, int]:
    """The kernel of the first step, and its emulated instructions."""
    program = build_program(graph, target, "benchmark", {})
    inputs = {
        t.index: t.pack(np.zeros(t.type.shape, np.float32))
        for t in (program.tensor[name] for name in program.inputs)
    }
    with tempfile.TemporaryDirectory(prefix="r2b-benchmark-") as folder:
        write(program, target, Path(folder, "c"))
        built = build(Path(folder, "c"), target, Path(folder, "build"))
        counts = count_instructions(built.runner, target, inputs, Path(folder, "count"))
    return program.steps[0].kernels[0], counts.steps[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_target(parser)
    chosen = parser.parse_args(arguments)
    target = target_of(chosen)
    print(f"{'layer':34} {'kernel':18} {'instructions':>12} {'MAC/insn':>9}")
    for layer in CIFAR if target.os == "none" else (*CIFAR, *RESNET):
        kernel, count = instructions(graph_of(layer), target)
        print(f"{layer!s:34} {kernel:18} {count:12,} {layer.count / count:9.2f}", flush=True)


if __name__ == "__main__":
    main()
