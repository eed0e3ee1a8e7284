"""Reshape: the graph numbers values by channel, then row, then column; the file by row, column, channel."""

from __future__ import annotations

from collections.abc import Sequence

from r2b_edge.exporters.tflite.registry import Context, emits, stored_shape
from r2b_edge.graph.graph import Node
from r2b_edge.ops import Reshape


@emits(Reshape)
def emit_reshape(context: Context, nodes: Sequence[Node]) -> None:
    """TRANSPOSE to channels first, RESHAPE, TRANSPOSE back; each TRANSPOSE only where it moves something."""
    (node,) = nodes
    kind, wanted = context.type(node.inputs[0]), context.type(node.output)
    value = context.read(node.inputs[0])
    if kind.is_map and kind.channels > 1 and kind.shape[2:] != (1, 1):
        first = context.temporary(f"{node.output}/channels_first", kind.shape)
        context.transpose(value, first, (0, 3, 1, 2))
        value = first
    if wanted.is_map and wanted.channels > 1 and wanted.shape[2:] != (1, 1):
        last = context.temporary(f"{node.output}/reshaped", wanted.shape)
        context.reshape(value, last, wanted.shape)
        context.transpose(last, context.write(node.output), (0, 2, 3, 1))
    else:
        context.reshape(value, context.write(node.output), stored_shape(wanted))
