"""Elementwise float ops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r2b_edge.exporters.tflite.registry import Context, channels, emits, stored_shape
from r2b_edge.graph.graph import Node
from r2b_edge.ops import (
    Add,
    ChannelAffine,
    Clip,
    ConstantMap,
    Mul,
    Pairwise,
    PReLU,
    Sigmoid,
    Softmax,
    Unary,
)

_UNARY: dict[str, tuple[str, tuple[str, dict[str, int]] | None]] = {
    "Abs": ("ABS", ("AbsOptions", {})),
    "Ceil": ("CEIL", None),
    "Elu": ("ELU", None),
    "Exp": ("EXP", ("ExpOptions", {})),
    "Floor": ("FLOOR", None),
    "Gelu": ("GELU", ("GeluOptions", {"approximate": False})),
    "HardSwish": ("HARD_SWISH", ("HardSwishOptions", {})),
    "Log": ("LOG", None),
    "Round": ("ROUND", None),
    "Sqrt": ("SQRT", None),
    "Tanh": ("TANH", None),
}
_PAIRWISE = {
    "Add": ("ADD", "AddOptions"),
    "Div": ("DIV", "DivOptions"),
    "Max": ("MAXIMUM", "MaximumMinimumOptions"),
    "Min": ("MINIMUM", "MaximumMinimumOptions"),
    "Mul": ("MUL", "MulOptions"),
    "Sub": ("SUB", "SubOptions"),
}
"""Operators and their options by the names of the graph's functions."""
_RECTIFIERS = {(0.0, np.inf): "RELU", (0.0, 6.0): "RELU6"}


@emits(ChannelAffine)
def emit_channel_affine(context: Context, nodes: Sequence[Node]) -> None:
    """MUL and ADD with vectors along the channels; one of them where the other does nothing."""
    (node,) = nodes
    op = node.op
    assert isinstance(op, ChannelAffine)
    kind = context.type(node.inputs[0])
    scale, offset = channels(op.scale, kind.channels), channels(op.offset, kind.channels)
    value = context.read(node.inputs[0])
    shifted = bool(np.any(offset != 0))
    if not shifted or np.any(scale != 1):
        inputs = [value, context.constant(f"{node.output}/scale", scale)]
        if shifted:
            value = context.temporary(f"{node.output}/scaled", stored_shape(kind))
        else:
            value = context.write(node.output)
        context.writer.builtin("MUL", inputs, [value], ("MulOptions", {}))
    if shifted:
        inputs = [value, context.constant(f"{node.output}/offset", offset)]
        context.writer.builtin("ADD", inputs, [context.write(node.output)], ("AddOptions", {}))


@emits(PReLU)
def emit_prelu(context: Context, nodes: Sequence[Node]) -> None:
    """PRELU; the slope is [1, 1, C] for a map, [C] for a vector."""
    (node,) = nodes
    assert isinstance(node.op, PReLU)
    kind = context.type(node.inputs[0])
    slope = channels(node.op.slope, kind.channels)
    if kind.is_map:
        slope = slope[None, None, :]
    inputs = [context.read(node.inputs[0]), context.constant(f"{node.output}/slope", slope)]
    context.writer.builtin("PRELU", inputs, [context.write(node.output)])


@emits(Clip)
def emit_clip(context: Context, nodes: Sequence[Node]) -> None:
    """RELU, RELU6, or MAXIMUM and MINIMUM with the bounds that are finite."""
    (node,) = nodes
    op = node.op
    assert isinstance(op, Clip)
    value = context.read(node.inputs[0])
    if operator := _RECTIFIERS.get((op.low, op.high)):
        context.writer.builtin(operator, [value], [context.write(node.output)])
        return
    bounds = [("MAXIMUM", op.low), ("MINIMUM", op.high)]
    # Without any bound, one of them with an infinite bound copies the tensor.
    needed = [pair for pair in bounds if np.isfinite(pair[1])] or bounds[:1]
    shape = stored_shape(context.type(node.output))
    for operator, bound in needed:
        inputs = [value, context.constant("bound", [bound])]
        if operator == needed[-1][0]:
            value = context.write(node.output)
        else:
            value = context.temporary(f"{node.output}/bounded", shape)
        context.writer.builtin(operator, inputs, [value], ("MaximumMinimumOptions", {}))


@emits(Sigmoid)
def emit_sigmoid(context: Context, nodes: Sequence[Node]) -> None:
    """LOGISTIC."""
    (node,) = nodes
    context.writer.builtin("LOGISTIC", [context.read(node.inputs[0])], [context.write(node.output)])


@emits(Unary)
def emit_unary(context: Context, nodes: Sequence[Node]) -> None:
    """The operator of that name; DIV for a reciprocal, several for a softplus."""
    (node,) = nodes
    assert isinstance(node.op, Unary)
    value = context.read(node.inputs[0])
    if node.op.kind == "Softplus":
        _softplus(context, node, value)
        return
    if node.op.kind == "Reciprocal":
        inputs = [context.constant("one", [1.0]), value]
        context.writer.builtin("DIV", inputs, [context.write(node.output)], ("DivOptions", {}))
        return
    operator, options = _UNARY[node.op.kind]
    context.writer.builtin(operator, [value], [context.write(node.output)], options)


def _softplus(context: Context, node: Node, value: int) -> None:
    """max(x, 0) - log(sigmoid(|x|)). Where every x is far below 0, the logarithm's absolute error of 6e-8 shows."""
    shape = stored_shape(context.type(node.output))
    parts = {}
    for name in ("relu", "size", "sigmoid", "log"):
        parts[name] = context.temporary(f"{node.output}/{name}", shape)
    builtin = context.writer.builtin
    builtin("RELU", [value], [parts["relu"]])
    builtin("ABS", [value], [parts["size"]], ("AbsOptions", {}))
    builtin("LOGISTIC", [parts["size"]], [parts["sigmoid"]])
    builtin("LOG", [parts["sigmoid"]], [parts["log"]])
    inputs = [parts["relu"], parts["log"]]
    builtin("SUB", inputs, [context.write(node.output)], ("SubOptions", {}))


@emits(Softmax)
def emit_softmax(context: Context, nodes: Sequence[Node]) -> None:
    """SOFTMAX or LOG_SOFTMAX, which go along the last axis: the channels."""
    (node,) = nodes
    assert isinstance(node.op, Softmax)
    inputs, outputs = [context.read(node.inputs[0])], [context.write(node.output)]
    if node.op.log:
        context.writer.builtin("LOG_SOFTMAX", inputs, outputs, ("LogSoftmaxOptions", {}))
    else:
        context.writer.builtin("SOFTMAX", inputs, outputs, ("SoftmaxOptions", {"beta": 1.0}))


@emits(ConstantMap)
def emit_constant_map(context: Context, nodes: Sequence[Node]) -> None:
    """ADD, MUL, MAXIMUM or MINIMUM with a constant [1, H or 1, W or 1, C or 1], [1, C or 1] for a vector."""
    (node,) = nodes
    assert isinstance(node.op, ConstantMap)
    value = node.op.value.transpose(1, 2, 0)[None]
    if not context.type(node.output).is_map:
        value = value.reshape(1, -1)
    operator, table = _PAIRWISE[node.op.kind]
    inputs = [context.read(node.inputs[0]), context.constant(f"{node.output}/value", value)]
    context.writer.builtin(operator, inputs, [context.write(node.output)], (table, {}))


@emits(Add)
@emits(Mul)
@emits(Pairwise)
def emit_pairwise(context: Context, nodes: Sequence[Node]) -> None:
    """The operator of that name.

    A vector [1, C] or a map of one channel [1, H, W, 1] beside a map [1, H, W, C] broadcasts as it is: TFLite aligns
    the last axes.
    """
    (node,) = nodes
    kind = node.op.kind if isinstance(node.op, Pairwise) else type(node.op).__name__
    operator, table = _PAIRWISE[kind]
    inputs = [context.read(name) for name in node.inputs]
    context.writer.builtin(operator, inputs, [context.write(node.output)], (table, {}))
