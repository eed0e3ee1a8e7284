"""Functions of few values, and the maximum of bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r2b_edge.exporters.tflite.geometry import plan
from r2b_edge.exporters.tflite.registry import Context, emits, stored_shape
from r2b_edge.graph.graph import Node
from r2b_edge.ops import BinaryMaxPool, Select, Staircase


@emits(Staircase)
def emit_staircase(context: Context, nodes: Sequence[Node]) -> None:
    """A GREATER_EQUAL and a SELECT_V2 for each threshold, in ascending order: the last that holds decides.

    The values are copied, never computed, so that they are the graph's to the bit.
    """
    (node,) = nodes
    assert isinstance(node.op, Staircase)
    _stairs(context, node, node.op, context.write(node.output))


def _stairs(context: Context, node: Node, op: Staircase, target: int) -> None:
    """Write the staircase of the node's first input into a tensor."""
    x, shape = context.read(node.inputs[0]), stored_shape(context.type(node.output))
    value = context.constant(f"{node.output}/value", op.values[:, 0])
    count = op.thresholds.shape[1]
    for k in range(count):
        reached = context.temporary(f"{node.output}/reached", shape, "bool")
        threshold = context.constant(f"{node.output}/threshold", op.thresholds[:, k])
        context.writer.builtin(
            "GREATER_EQUAL", [x, threshold], [reached], ("GreaterEqualOptions", {})
        )
        inputs = [reached, context.constant(f"{node.output}/value", op.values[:, k + 1]), value]
        last = k == count - 1
        value = target if last else context.temporary(f"{node.output}/so_far", shape)
        context.writer.builtin("SELECT_V2", inputs, [value], ("SelectV2Options", {}))


@emits(Select)
def emit_select(context: Context, nodes: Sequence[Node]) -> None:
    """The condition's staircase, a GREATER that makes it a boolean, and a SELECT_V2."""
    (node,) = nodes
    op = node.op
    assert isinstance(op, Select)
    shape = stored_shape(context.type(node.output))
    mask = context.temporary(f"{node.output}/mask", shape)
    _stairs(context, node, op.condition, mask)
    holds = context.temporary(f"{node.output}/holds", shape, "bool")
    half = context.constant("half", [0.5])
    context.writer.builtin("GREATER", [mask, half], [holds], ("GreaterOptions", {}))
    tensors = iter(node.inputs[1:])
    values = [
        context.read(next(tensors)) if v is None else context.constant(f"{node.output}/value", v)
        for v in (op.a, op.b)
    ]
    output = context.write(node.output)
    context.writer.builtin("SELECT_V2", [holds, *values], [output], ("SelectV2Options", {}))


@emits(BinaryMaxPool)
def emit_binary_max_pool(context: Context, nodes: Sequence[Node]) -> None:
    """LceBMaxPool2d; a border that is not SAME holds words of -1, which never win.

    Their unused bits do not matter: a maximum is the `and` of words, and each window holds a word of the map, whose
    unused bits are 0.
    """
    (node,) = nodes
    assert isinstance(node.op, BinaryMaxPool)
    source, kind = context.read(node.inputs[0]), context.type(node.inputs[0])
    window = node.op.window
    assert window.dilations == (1, 1)  # no others are made: passes/bits.py
    padding = plan(window, kind.shape[2], kind.shape[3])
    padded = context.pad(node.output, source, stored_shape(kind), padding.pads, np.int32(-1))
    options = {
        "filter_height": window.kernel[0],
        "filter_width": window.kernel[1],
        "padding": padding.mode,
        "stride_height": window.strides[0],
        "stride_width": window.strides[1],
    }
    context.writer.custom("LceBMaxPool2d", [padded], [context.write(node.output)], options)
