"""Arithmetic, comparisons and logic: of a tensor, of two, of a tensor and a constant, with ONNX's broadcasting.

What a cone before a sign may hold comes as a raw `Elementwise`, for the probe to see through; passes/lower.py gives
what is left of them its meaning in floats.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx

from r2b_edge import ops
from r2b_edge.graph.from_onnx import Attributes, Importer, float32, graph_shape, handles
from r2b_edge.graph.graph import Array, Origin
from r2b_edge.graph.handlers.kinds import as_vector
from r2b_edge.ops.base import Op
from r2b_edge.ops.elementwise import PAIRWISE
from r2b_edge.ops.raw import FUNCTIONS
from r2b_edge.ops.windows import Window

ONE = np.ones(1, np.float32)
ZERO = np.zeros(1, np.float32)
TINY = 2.0**-120
"""A divisor below it has an inverse near the end of float32."""
UNARY = {
    "Abs", "Ceil", "Erf", "Exp", "Floor", "Log", "Neg", "Not", "Reciprocal", "Round", "Sign", "Sqrt", "Tanh",
}  # fmt: skip
"""The ops of one input; Where has 3, the others take 2."""


@dataclasses.dataclass(frozen=True)
class _Inputs:
    """The inputs of a node against its output.

    Args:
        tensors: the graph tensors among them, in order.
        constants: one entry an input: a constant in the graph's rank, or None for a tensor.
        shape: of the output in the graph: [1, C, H, W] or [1, C].
    """

    tensors: list[str]
    constants: list[Array | None]
    shape: tuple[int, ...]

    def channel_constants(self) -> tuple[Array | None, ...]:
        """The constants as [C] or [1].

        Raises:
            ValueError: one varies over height or width.
        """
        return tuple(None if value is None else _by_channel(value) for value in self.constants)


@handles(*(kind for kind in FUNCTIONS if kind != "Trunc"))  # that is a Cast
def _elementwise(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    kind = node.op_type
    wanted = 1 if kind in UNARY else 3 if kind == "Where" else 2
    if len(node.input) != wanted:
        raise ValueError(f"{len(node.input)} inputs; {wanted} are supported")
    if kind in ("Div", "Pow") and node.output[0] in im.integers:
        raise ValueError("of integers is not supported")
    if kind == "Where" and _decided(im, node):
        return
    inputs = _read(im, node)
    kinds = {im.graph.type(name).shape for name in inputs.tensors}
    floats = all(im.graph.type(name).dtype == "float32" for name in inputs.tensors)
    # The sums of an integer layer are int32 in the graph, and take a scale as they are.
    numbers = floats or all(im.graph.type(name).dtype == "int32" for name in inputs.tensors)
    if len(inputs.tensors) == 1 and wanted == 2 and numbers and _with_constant(im, node, inputs):
        return
    if len(inputs.tensors) == 2 and floats and (len(kinds) > 1 or kind in ("Add", "Mul")):
        if kind not in PAIRWISE:
            raise ValueError("its inputs have different shapes")
        op = {"Add": ops.Add(), "Mul": ops.Mul()}.get(kind) or ops.Pairwise(kind)
        types = [im.graph.type(name) for name in inputs.tensors]
        try:
            op.infer(*types)
        except ValueError as error:
            raise ValueError(
                f"{error}: beside a whole map, one that repeats over its channels, over its pixels or over both is "
                "supported"
            ) from error
        im.emit(node, op, *inputs.tensors)
        return
    im.emit(node, ops.Elementwise(kind, inputs.channel_constants()), *inputs.tensors)


def _decided(im: Importer, node: onnx.NodeProto) -> bool:
    """Let a choice by a constant stand for what it chooses, if that has the output's shape."""
    condition = im.constant(node.input[0])
    if condition is None or not condition.size or (condition != condition.reshape(-1)[0]).any():
        return False
    chosen, output = node.input[1 if condition.reshape(-1)[0] else 2], node.output[0]
    if chosen in im.constants or im.shapes.get(chosen) != im.shapes.get(output, ()):
        return False
    im.alias[output] = im.dynamic(chosen)
    return True


def _read(im: Importer, node: onnx.NodeProto) -> _Inputs:
    """The inputs, broadcast as ONNX does: aligned at their last axes."""
    shapes = [
        im.constants[i].shape if i in im.constants else im.shapes.get(i) or im.graph.type(im.dynamic(i)).shape
        for i in node.input
    ]  # fmt: skip
    names = [i for i in node.input if i not in im.constants]
    if not names:
        raise ValueError("a constant that was not folded")
    rank = max(map(len, shapes))
    full = np.broadcast_shapes(*shapes)
    own = [im.rank(i) for i in names]
    if not 2 <= rank <= 4 or full[0] != 1:
        raise ValueError(f"its output {list(full)} is neither a map nor a vector of channels")
    for name, r in zip(names, own, strict=True):
        if r != rank and math.prod(im.shapes.get(name, (2,))) != 1:
            raise ValueError("its inputs have different ranks")
    aligned = [graph_shape((1,) * (rank - len(s)) + tuple(s)) for s in shapes]
    constants = [
        im.constants[i].reshape(s) if i in im.constants else None
        for i, s in zip(node.input, aligned, strict=True)
    ]
    tensors = [im.dynamic(i) for i in names]
    shape = graph_shape(full)
    if shape[2:] == (1, 1) and not any(im.graph.type(t).is_map for t in tensors):
        shape = shape[:2]
    if len(tensors) > 1:
        tensors = [_operand(im, name, shape) for name in tensors]
    return _Inputs(tensors, constants, shape)


def _operand(im: Importer, name: str, shape: tuple[int, ...]) -> str:
    """The tensor, a map of one pixel as a vector beside what is larger."""
    kind = im.graph.type(name)
    return name if kind.shape == shape else as_vector(im, name)


def _by_channel(value: Array) -> Array:
    """A constant [1, C or 1, ...] as [C] or [1]."""
    for axis in range(2, value.ndim):
        first = value.take([0], axis=axis)
        if not (value == first).all():
            raise ValueError(
                f"a constant of shape {list(value.shape)} varies along axis {axis}; for this op, only constants per "
                "channel are supported"
            )
        value = first
    return value.reshape(-1)


def _with_constant(im: Importer, node: onnx.NodeProto, inputs: _Inputs) -> bool:
    """Emit a function of a tensor and a constant; False where it is left raw."""
    (x,), kind = inputs.tensors, node.op_type
    first = inputs.constants[0] is not None
    value = next(v for v in inputs.constants if v is not None).astype(np.float64)
    if kind not in PAIRWISE or (kind == "Div" and (first or (np.abs(value) < TINY).any())):
        return False
    minus = kind == "Sub" and first
    if kind == "Sub":
        kind, value = "Add", value if first else -value
    if kind == "Div":
        kind, value = "Mul", 1 / value
    value = _collapsed(value)
    over_space = any(n > 1 for n in value.shape[2:])
    if any(n > m for n, m in zip(value.shape[1:], _sizes(im, x), strict=False)):
        im.emit(node, _repeated(kind, value, im.graph.type(x).shape, minus), x)
        return True
    if im.graph.type(x).shape != inputs.shape:
        raise ValueError(f"a constant makes {im.graph.type(x)} as large as {list(inputs.shape)}")
    if not over_space and kind in ("Max", "Min"):
        return False
    if not over_space:
        scale = -ONE if minus else value if kind == "Mul" else ONE
        im.affine(node, x, scale.reshape(-1), value.reshape(-1) if kind == "Add" else ZERO)
        return True
    if minus:
        x = _minus(im, node, x)
    im.emit(node, ops.ConstantMap(kind, float32(value[0])), x)
    return True


def _sizes(im: Importer, x: str) -> tuple[int, ...]:
    return (*im.graph.type(x).shape[1:], 1, 1)[:3]


def _collapsed(value: Array) -> Array:
    """The constant with height and width 1 where it does not vary along them."""
    for axis in range(2, value.ndim):
        once = value.take([0], axis=axis)
        value = once if (value == once).all() else value
    return value


def _repeated(kind: str, value: Array, shape: tuple[int, ...], minus: bool) -> Op:
    """A tensor of one channel with a constant per channel: a layer with one weight a channel."""
    if kind not in ("Add", "Mul") or shape[1] != 1 or any(n > 1 for n in value.shape[2:]):
        raise ValueError(f"a constant of shape {list(value.shape)} makes {list(shape)} larger")
    constant, channels = value.reshape(-1), value.size
    factor = constant if kind == "Mul" else np.full(channels, -1.0 if minus else 1.0)
    bias = float32(constant if kind == "Add" else np.zeros(channels))
    if len(shape) == 4:
        return ops.FloatConv(float32(factor).reshape(-1, 1, 1, 1), bias, Window((1, 1)))
    return ops.Dense(float32(factor).reshape(-1, 1), bias)


def _minus(im: Importer, node: onnx.NodeProto, x: str) -> str:
    """-x, whose origin is that of x."""
    channels = im.graph.type(x).channels
    op = ops.ChannelAffine(np.full(channels, -1, np.float32), np.zeros(channels, np.float32))
    part = im.graph.fresh(f"{node.output[0]}~minus")
    origin = Origin(im.graph.tensors[x].origin.onnx, -1.0)
    return im.graph.add(part, op, (x,), part, origin).output
