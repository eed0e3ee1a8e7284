"""Random epilogues."""

from __future__ import annotations

import numpy as np

from r2b_edge.ops import (
    Add,
    BinaryConv,
    ChannelAffine,
    Clip,
    ConstantMap,
    GlobalAvgPool,
    Mul,
    Op,
    Pairwise,
    PReLU,
    Sigmoid,
    Softmax,
    Unary,
    Window,
)

from .drawing import step
from .harness import Builder


def call(b: Builder, value: str) -> str:
    """A function by name after a value: of it alone where it is defined, or of it and a second operand."""
    kind = b.graph.type(value)
    channels, sizes = kind.channels, (*kind.shape[1:], 1, 1)[:3]
    # A map of one channel and of one pixel is a vector of its channels as well as a map of its pixels.
    pairs = [kind.shape, (1, 1)]
    pairs += [(1, channels), (1, 1, *kind.shape[2:])] * (kind.is_map and channels > 1)
    name = ["Sub", "Div", "Max", "Min", "Add", "Mul"][int(b.rng.integers(6))]
    match int(b.rng.integers(5)):
        case 0:
            return b.add(
                Unary(
                    str(
                        b.rng.choice(
                            [
                                "Tanh",
                                "Abs",
                                "Round",
                                "Floor",
                                "Ceil",
                                "Elu",
                                "Gelu",
                                "Softplus",
                                "HardSwish",
                            ]
                        )
                    )
                ),
                value,
            )
        case 1:
            positive = b.add(Clip(0.25, 60.0), value)
            kinds = ["Sqrt", "Log", "Reciprocal", "Exp"]
            return b.add(Unary(kinds[int(b.rng.integers(4))]), positive)
        case 2:
            return b.add(Softmax(bool(b.rng.integers(2))), value)
        case 3:
            shape = [1 if b.rng.random() < 0.4 else n for n in sizes]
            name = name if name not in ("Sub", "Div") else "Add"
            return b.add(ConstantMap(name, b.floats(*shape)), value)
        case _:
            other = b.input(*pairs[int(b.rng.integers(len(pairs)))])
            if name == "Div":
                value, other = (b.add(Clip(0.5, 9.0), v) for v in (value, other))
            op: Op = {"Add": Add(), "Mul": Mul()}.get(name) or Pairwise(name)
            return b.add(op, *([value, other] if b.rng.random() < 0.5 else [other, value]))


def epilogue(b: Builder, value: str) -> list[str]:
    """Random elementwise nodes after a value; what is given back must be the graph's outputs. Bits have none."""
    outputs = []
    kind = b.graph.type(value)
    if kind.dtype == "bits":
        return [value]
    channels = kind.channels
    for _ in range(int(b.rng.integers(0, 6))):
        constants = 1 if b.rng.random() < 0.1 else channels
        low, high = sorted(b.floats(2).tolist())
        low, high = ((low, high), (0.0, np.inf), (-np.inf, high))[int(b.rng.integers(3))]
        match int(b.rng.integers(8)):
            case 0:
                value = b.add(ChannelAffine(b.floats(constants), b.floats(constants)), value)
            case 1:
                value = b.add(PReLU(b.floats(constants)), value)
            case 2:
                value = b.add(Clip(low, high), value)
            case 3:
                value = b.add(Sigmoid(), value)
            case 4:
                value = b.add([Add(), Mul()][int(b.rng.integers(2))], value, b.input(*kind.shape))
            case 5 if kind.is_map:
                value = b.add([Add(), Mul()][int(b.rng.integers(2))], b.input(1, channels), value)
            case 6 | 7:
                value = call(b, value)
        if b.rng.random() < 0.15:
            outputs.append(value)
    taps: list[Op] = [step(b, channels)] + ([GlobalAvgPool()] if kind.is_map else [])
    outputs += [b.add(op, value) for op in taps if b.rng.random() < 0.6]
    if b.rng.random() < 0.6 or not outputs:
        outputs.append(value)
    computed = {node.output for node in b.graph.nodes}
    return [name for name in dict.fromkeys(outputs) if name in computed] or [
        b.add(step(b, channels), value)
    ]


def unit_epilogue(b: Builder, value: str) -> list[str]:
    """What follows a convolution in a Real-to-Binary unit, each part there or not."""
    kind = b.graph.type(value)
    channels = kind.channels
    some = b.rng.random(8) < 0.6
    if some[0]:
        offset = b.floats(channels) if some[1] else np.zeros(channels, np.float32)
        value = b.add(ChannelAffine(b.floats(channels), offset), value)
    if some[2]:
        value = b.add(Mul(), value, b.input(1, channels))
    if some[3]:
        value = b.add(PReLU(2 * b.floats(channels)), value)
    if some[4]:
        value = b.add(Add(), value, b.input(*kind.shape))
    outputs = []
    if some[5]:  # and a reader, which decides their layout
        reader = BinaryConv(b.signs(1, channels, 1, 1), Window((1, 1)))
        outputs.append(b.add(reader, b.add(step(b, channels), value)))
    if some[6]:
        outputs.append(b.add(GlobalAvgPool(), value))
    return [*outputs, *([value] if some[7] or not outputs else [])]


def lut4_units(b: Builder) -> list[str]:
    """Whole vectors, one and several in a row, two rows in one: scale, PReLU and skip in place, with a mean or without,
    a scale alone, the sums themselves, and signs; windows that reach 1 to 3 pixels beyond a vector."""
    outputs = []
    for width, kernel, parts in (
        (16, 3, "scale bend skip"), (32, 3, "scale bend skip mean"), (8, 5, "scale bend skip mean"), (16, 3, "scale"),
        (40, 5, ""), (32, 7, "signs"), (48, 3, "scale bend"),
    ):  # fmt: skip
        pads = (kernel // 2,) * 4
        bits = b.add(step(b, 12), b.input(1, 12, 4, width))
        value = b.add(
            BinaryConv(b.signs(8, 12, kernel, kernel), Window((kernel,) * 2, (1, 1), pads)), bits
        )
        if "scale" in parts:
            value = b.add(ChannelAffine(b.floats(8), np.zeros(8, np.float32)), value)
        if "bend" in parts:
            value = b.add(PReLU(b.floats(8)), value)
        if "skip" in parts:
            value = b.add(Add(), value, b.input(1, 8, 4, width))
        if "mean" in parts:
            outputs.append(b.add(GlobalAvgPool(), value))
        if "skip" in parts or parts == "signs":
            outputs.append(b.add(step(b, 8), value))
        if parts != "signs":
            outputs.append(value)
    return outputs


def signs_epilogue(b: Builder, value: str, bends_twice: bool = True) -> list[str]:
    """Signs alone, behind constants: they may become thresholds of the integers, unless slopes bend twice."""
    channels = b.graph.type(value).channels
    some = b.rng.random(4) < 0.6
    if some[0]:
        offset = np.where(b.rng.random(channels) < 0.3, 0, 4 * b.floats(channels))
        value = b.add(ChannelAffine(b.floats(channels), offset.astype(np.float32)), value)
    if some[1]:
        slope = b.floats(channels)
        value = b.add(PReLU(slope if some[3] and bends_twice else np.abs(slope)), value)
    if some[2]:
        value = b.add(Clip(-2.0, 3.0), value)
    return [b.add(step(b, channels), value)]


def read_signs(b: Builder, value: str) -> list[str]:
    """The same with a reader, which decides their layout."""
    (bits,) = signs_epilogue(b, value)
    channels = b.graph.type(value).channels
    return [b.add(BinaryConv(b.signs(1, channels, 1, 1), Window((1, 1))), bits)]


def same_everywhere(b: Builder, value: str) -> str:
    """Elementwise nodes that do the same at all pixels."""
    channels = b.graph.type(value).channels
    for _ in range(int(b.rng.integers(0, 4))):
        match int(b.rng.integers(6)):
            case 0:
                value = b.add(ChannelAffine(b.floats(channels), b.floats(channels)), value)
            case 1:
                value = b.add(PReLU(b.floats(channels)), value)
            case 2:
                value = b.add(Clip(0.0, np.inf), value)
            case 3:
                value = b.add([Add(), Mul()][int(b.rng.integers(2))], value, b.input(1, channels))
            case 4:
                value = b.add(Unary("Tanh"), value)
            case 5:
                value = b.add(Pairwise("Max"), value, b.input(1, 1))
    return value
