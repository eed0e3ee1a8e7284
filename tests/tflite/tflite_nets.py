"""Graphs made by hand, and the comparison with the numpy oracle that all tests here use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2b_edge.checking.lce import LceExecutor
from r2b_edge.graph import interpret
from r2b_edge.graph.graph import Array, Graph, Origin, Tensor, TensorType
from r2b_edge.graph.spec import verify
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

TOLERANCE = 1e-5


class Net:
    """A graph under construction: `add` gives the name of the tensor that the op writes."""

    def __init__(self, *shapes: tuple[int, ...], dtype: str = "float32") -> None:
        self.graph = Graph("net")
        for i, shape in enumerate(shapes):
            name = f"x{i}"
            self.graph.inputs.append(name)
            self.graph.tensors[name] = Tensor(name, TensorType(shape, dtype), Origin(name))

    def add(self, op: Op, *inputs: str) -> str:
        index = len(self.graph.nodes)
        output = f"{type(op).__name__}_{index}"
        self.graph.add(f"node_{index}", op, inputs, output, Origin(output))
        return output

    def done(self, *outputs: str) -> Graph:
        self.graph.outputs = list(outputs)
        verify(self.graph, "the test")
        return self.graph


def floats(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.normal(size=shape).astype(np.float32)


def signs(random: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    return random.choice(np.array([-1, 1], dtype=np.int8), shape)


def feeds(graph: Graph, random: np.random.Generator, batch: int = 2) -> dict[str, Array]:
    values: dict[str, Array] = {}
    for name in graph.inputs:
        kind = graph.type(name)
        make = signs if kind.dtype == "bits" else floats
        values[name] = make(random, batch, *kind.shape[1:])
    return values


def disagreements(
    graph: Graph, executor: LceExecutor, inputs: dict[str, Array], whole: bool = True
) -> list[str]:
    """Every tensor of every step, and of the whole file's outputs, that is not exact as the contract defines it."""
    oracle = interpret.run(graph, inputs)
    found = []
    for index, step in enumerate(executor.steps):
        given = {name: oracle[name] for name in step.inputs}
        for name, value in executor.run_step(index, given).items():
            if not exact(graph, name, value, oracle[name]):
                found.append(f"step {index} {step.nodes}: {name}")
    outputs = executor.run(inputs) if whole else {}
    for name, value in outputs.items():
        if not exact(graph, name, value, oracle[name]):
            found.append(f"whole: {name}")
    return found


def exact(graph: Graph, name: str, value: Array, want: Array) -> bool:
    kind = graph.type(name)
    if value.shape != want.shape:
        return False
    if kind.dtype != "float32":
        return value.dtype == want.dtype and bool((value == want).all())
    error = np.abs(value.astype(np.float64) - want)
    return bool((error <= TOLERANCE * np.abs(want).max()).all())


def r2b_net(random: np.random.Generator, width: int = 32, size: int = 32) -> Graph:
    """A Real-to-Binary network in small: stem, four gated units with skips, real 1x1 downsample, classifier."""
    net = Net((1, 3, size, size))
    x = net.add(_affine(random, 3), net.graph.inputs[0])
    stem = FloatConv(
        0.2 * floats(random, width, 3, 3, 3),
        floats(random, width),
        Window((3, 3), (2, 2), (1,) * 4),
    )
    x = net.add(stem, x)
    for outputs, stride in ((width, 1), (width, 1), (2 * width, 2), (2 * width, 1)):
        x = _unit(net, random, x, outputs, stride)
    pooled = net.add(GlobalAvgPool(), x)
    logits = net.add(Dense(floats(random, 10, 2 * width), floats(random, 10)), pooled)
    return net.done(logits)


def r2b_resnet18(random: np.random.Generator) -> Graph:
    """Real-to-Binary ResNet-18 at 224 x 224, 1000 classes, gates in float32, as the passes leave it: no falling step,
    no offset after a binary convolution."""
    net = Net((1, 3, 224, 224))
    stem = FloatConv(
        0.1 * floats(random, 64, 3, 7, 7), floats(random, 64), Window((7, 7), (2, 2), (3,) * 4)
    )
    x = net.add(Clip(0.0, np.inf), net.add(stem, "x0"))
    x = net.add(MaxPool(Window((3, 3), (2, 2), (1,) * 4)), x)
    for stage, outputs in enumerate((64, 128, 256, 512)):
        for unit in range(4):
            x = _unit(net, random, x, outputs, 2 if stage and not unit else 1, plain=True)
    pooled = net.add(GlobalAvgPool(), x)
    classifier = Dense(floats(random, 1000, 512), floats(random, 1000))
    return net.done(net.add(classifier, pooled))


def _unit(
    net: Net, random: np.random.Generator, x: str, outputs: int, stride: int, plain: bool = False
) -> str:
    inputs = net.graph.type(x).channels
    direction = np.ones(inputs, np.int8) if plain else signs(random, inputs)
    bits = net.add(Step(0.3 * floats(random, inputs), direction), x)
    window = Window((3, 3), (stride, stride), (1, 1, 1, 1))
    y = net.add(BinaryConv(signs(random, outputs, inputs, 3, 3), window), bits)
    affine = _affine(random, outputs, 0.05)
    if plain:
        affine = ChannelAffine(affine.scale, np.zeros(outputs, np.float32))
    y = net.add(affine, y)
    hidden = max(inputs // 8, 1)
    gate = net.add(GlobalAvgPool(), x)
    gate = net.add(Dense(floats(random, hidden, inputs), floats(random, hidden)), gate)
    gate = net.add(Clip(0.0, np.inf), gate)
    gate = net.add(Dense(floats(random, outputs, hidden), floats(random, outputs)), gate)
    y = net.add(Mul(), y, net.add(Sigmoid(), gate))
    y = net.add(PReLU(0.3 * floats(random, outputs)), y)
    if stride > 1:
        x = net.add(AvgPool(Window((2, 2), (2, 2))), x)
        weight = floats(random, outputs, inputs, 1, 1) / np.float32(inputs**0.5)
        x = net.add(FloatConv(weight, floats(random, outputs), Window((1, 1))), x)
    return net.add(Add(), y, x)


def _affine(random: np.random.Generator, channels: int, scale: float = 1.0) -> ChannelAffine:
    return ChannelAffine(np.float32(scale) * floats(random, channels), floats(random, channels))


def parsed(data: bytes) -> Any:
    """The file as the schema's object API reads it."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(data)
