"""Elementwise float ops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r2b_edge.exporters.tflite.registry import Context, channels, emits, stored_shape
from r2b_edge.graph.graph import Node
from r2b_edge.ops import Add, ChannelAffine, Clip, Mul, PReLU, Sigmoid

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


@emits(Add)
def emit_add(context: Context, nodes: Sequence[Node]) -> None:
    """ADD."""
    _binary(context, nodes, "ADD", "AddOptions")


@emits(Mul)
def emit_mul(context: Context, nodes: Sequence[Node]) -> None:
    """MUL."""
    _binary(context, nodes, "MUL", "MulOptions")


def _binary(context: Context, nodes: Sequence[Node], operator: str, table: str) -> None:
    """A vector [1, C] beside a map [1, H, W, C] broadcasts as it is: TFLite aligns the last axes."""
    (node,) = nodes
    inputs = [context.read(name) for name in node.inputs]
    context.writer.builtin(operator, inputs, [context.write(node.output)], (table, {}))
