"""A falling Step whose readers are binary convolutions becomes a rising one: their weights take the sign.

BatchNorm's negative gammas make channels that are +1 where x <= t. Their complement is +1 where x >= u, u the
next float above t, and a convolution of the complement with the negated weights gives the same dot product, as
long as the border is 0, which is its own complement. So no backend spends an operation, or a constant, on directions.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node, Tensor
from r2b_edge.ops.base import Floats
from r2b_edge.ops.binary import normal_thresholds


def flip_steps(graph: Graph) -> None:
    """Flip the channels of every Step that only BinaryConvs with border 0 and one group read."""
    consumers = graph.consumers()
    replaced: dict[str, Node] = {}
    for node in graph.nodes:
        if not isinstance(node.op, ops.Step) or node.output in graph.outputs:
            continue
        falling = node.op.direction < 0
        readers = consumers[node.output]
        if falling.any() and all(_takes(reader) for reader in readers):
            replaced[node.name] = _rising(graph, node, node.op)
            for reader in readers:
                assert isinstance(reader.op, ops.BinaryConv)
                sign = np.where(falling, -1, 1).astype(np.int8)
                weight = reader.op.weight * sign[None, :, None, None]
                op = dataclasses.replace(reader.op, weight=weight)
                replaced[reader.name] = dataclasses.replace(reader, op=op)
    graph.nodes = [replaced.get(node.name, node) for node in graph.nodes]


def _takes(reader: Node) -> bool:
    op = reader.op
    return (
        isinstance(op, ops.BinaryConv)
        and op.groups == 1
        and (op.pad_value == 0 or not any(op.window.pads))
    )


def _rising(graph: Graph, node: Node, op: ops.Step) -> Node:
    falling = op.direction < 0
    above: Floats = np.nextafter(op.threshold, np.float32(np.inf))
    tensor = graph.tensors[node.output]
    scale = np.where(falling, -1, 1) * np.asarray(tensor.origin.scale, dtype=np.float32)
    origin = dataclasses.replace(tensor.origin, scale=scale.astype(np.float32))
    graph.tensors[node.output] = Tensor(tensor.name, tensor.type, origin)
    rising = np.ones_like(op.direction)
    threshold = normal_thresholds(np.where(falling, above, op.threshold), rising)
    step = ops.Step(threshold, rising, op.ties)
    return dataclasses.replace(node, op=step)
