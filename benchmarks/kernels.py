"""Instructions of the binary convolution by shape: python -m benchmarks.kernels [--target rpi4] [--families portable].

Each shape is a program of one layer, built for the target and run once under its emulator with the counting plug-in.
MAC/insn is nominal: taps beyond the map count as well. The figures are emulated instructions, never a time.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from r2b_edge import targets
from r2b_edge.exporters.c import build_program, write
from r2b_edge.graph.graph import Array, Graph, Origin, Tensor, TensorType
from r2b_edge.ops import (
    Add,
    BinaryConv,
    ChannelAffine,
    GlobalAvgPool,
    Mul,
    Op,
    PReLU,
    Step,
    Window,
)
from r2b_edge.runners.count import count_instructions
from r2b_edge.toolchain.build import build


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


def every_shape() -> Iterator[Shape]:
    """Channels, widths, kernels and strides in all combinations: no cliffs?"""
    sizes = itertools.product((32, 64, 128, 256, 512), (7, 10, 14, 28, 56, 112), (1, 3, 5), (1, 2))
    for channels, size, kernel, stride in sizes:
        yield Shape(size, channels, 64, kernel, stride)


def layer(shape: Shape, in_unit: bool) -> Graph:
    """The convolution of signs; `in_unit`: with scale, gate, PReLU and skip, giving the map, its mean and its signs."""
    rng = np.random.default_rng(0)
    graph = Graph("benchmark")
    outputs = shape.outputs

    def floats(n: int) -> Array:
        return rng.normal(size=n).astype(np.float32)

    def given(*sizes: int) -> str:
        name = graph.fresh("input")
        graph.tensors[name] = Tensor(name, TensorType(sizes), Origin(name))
        graph.inputs.append(name)
        return name

    def add(op: Op, *inputs: str) -> str:
        name = graph.fresh(type(op).__name__.lower())
        graph.add(name, op, inputs, name, Origin(name))
        return name

    weight_shape = (outputs, shape.channels, shape.kernel, shape.kernel)
    weight = rng.choice(np.array([-1, 1], np.int8), size=weight_shape)
    x = given(1, shape.channels, shape.size, shape.size)
    signs = Step(floats(shape.channels), np.ones(shape.channels, np.int8))
    value = add(BinaryConv(weight, shape.window), add(signs, x))
    graph.outputs = [value]
    if in_unit:
        value = add(ChannelAffine(floats(outputs), np.zeros(outputs, np.float32)), value)
        value = add(PReLU(floats(outputs)), add(Mul(), value, given(1, outputs)))
        value = add(Add(), value, given(1, outputs, shape.out, shape.out))
        after = add(Step(floats(outputs), np.ones(outputs, np.int8)), value)
        reader = BinaryConv(np.ones((1, outputs, 1, 1), np.int8), Window((1, 1)))
        graph.outputs = [value, add(GlobalAvgPool(), value), add(reader, after)]
    return graph


def instructions(graph: Graph, target: targets.Target) -> int:
    """Emulated instructions of a program's first convolution."""
    program = build_program(graph, target, "benchmark", {})
    inputs = {
        t.index: t.pack(np.zeros(t.type.shape, np.float32))
        for t in (program.tensor[name] for name in program.inputs)
    }
    with tempfile.TemporaryDirectory(prefix="r2b-benchmark-") as folder:
        write(program, target, Path(folder, "c"))
        built = build(Path(folder, "c"), target, Path(folder, "build"))
        counts = count_instructions(built.runner, target, inputs, Path(folder, "count"))
    index = next(s.index for s in program.steps if s.kernel.startswith("bconv"))
    return counts.steps[index]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--families", help="comma-separated; the target's own by default")
    parser.add_argument("--all", action="store_true", help="all shapes, not those of ResNet-18")
    chosen = parser.parse_args(arguments)
    target = targets.load(chosen.target)
    if chosen.families:
        target = target.model_copy(update={"families": tuple(chosen.families.split(","))})
    print(f"emulated instructions, {target.name}, families {', '.join(target.families)}")
    print(f"{'shape':26} {'float out':>12} {'MAC/insn':>9} {'in a unit':>12} {'MAC/insn':>9}")
    for shape in every_shape() if chosen.all else RESNET:
        figures = [instructions(layer(shape, in_unit), target) for in_unit in (False, True)]
        cells = (f"{n:12,} {shape.macs / n:9.1f}" for n in figures)
        print(f"{shape!s:26} {' '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
