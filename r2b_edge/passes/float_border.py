"""A real convolution whose border is not 0 becomes one with a border of 0.

    conv(x with border p) = conv(x - p with border 0) + p * sum(W),
so that the backends know one border for real values.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node, Origin


def float_border(graph: Graph) -> None:
    """Rewrite each FloatConv with pads and a pad value other than 0."""
    nodes: list[Node] = []
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, ops.FloatConv) or op.pad_value == 0 or not any(op.window.pads):
            nodes.append(node)
            continue
        (x,) = node.inputs
        channels, value = graph.type(x).channels, np.float32(op.pad_value)
        below = ops.ChannelAffine(np.ones(channels, np.float32), np.full(channels, -value))
        have = graph.tensors[x].origin
        # onnx = scale * x + offset = scale * (x - p) + (offset + scale * p)
        offset = np.asarray(have.offset + np.asarray(have.scale) * value, dtype=np.float32)
        shown = Origin(have.onnx, have.scale, offset)
        moved = graph.fresh(f"{node.output}~moved")
        nodes.append(graph.make(f"{node.name}~border", below, [x], moved, shown))
        sums = op.weight.sum(axis=(1, 2, 3), dtype=np.float64)
        bias = (op.bias + float(value) * sums).astype(np.float32)
        conv = dataclasses.replace(op, bias=bias, pad_value=0.0)
        nodes.append(Node(node.name, conv, (moved,), node.output))
    graph.nodes = nodes
