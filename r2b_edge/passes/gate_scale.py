"""Mul(ChannelAffine(dot), s * v) -> Mul(s * ChannelAffine(dot), v): a scale leaves the gate for the convolution.

Real-to-Binary nets often write conv(x) * (alpha * gate). The scale of a binary convolution costs nothing in any
backend, a product on the gate's vector is an operation more.
"""

from __future__ import annotations

import numpy as np

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node, Origin, Tensor
from r2b_edge.ops.base import Floats


def gate_scale(graph: Graph) -> None:
    """Move the scale where both sides have no other reader and the scaled vector has no offset.

    A scale of 0 stays, since the reference would not show the map any more.
    """
    producers, consumers = graph.producers(), graph.consumers()

    def only(name: str) -> Node | None:
        """The ChannelAffine that writes `name` for one reader alone."""
        node = producers.get(name)
        alone = len(consumers[name]) == 1 and name not in graph.outputs
        return (
            node if node is not None and alone and isinstance(node.op, ops.ChannelAffine) else None
        )

    replaced: dict[str, Node] = {}
    for node in graph.nodes:
        if not isinstance(node.op, ops.Mul) or len(set(node.inputs)) < 2:
            continue
        full, vector = sorted(node.inputs, key=lambda name: not graph.type(name).is_map)
        affine, scaled = only(full), only(vector)
        if (
            affine is None
            or scaled is None
            or graph.type(vector).is_map
            or not graph.type(full).is_map
        ):
            continue
        assert isinstance(affine.op, ops.ChannelAffine)
        assert isinstance(scaled.op, ops.ChannelAffine)
        scale = scaled.op.scale
        if scaled.op.offset.any() or not scale.all():
            continue
        if graph.type(affine.inputs[0]).dtype != "int32":
            continue
        op = ops.ChannelAffine(affine.op.scale * scale, affine.op.offset * scale)
        replaced[affine.name] = Node(affine.name, op, affine.inputs, full)
        replaced[node.name] = Node(node.name, node.op, (full, scaled.inputs[0]), node.output)
        graph.tensors[full] = _scaled(graph.tensors[full], scale)
    graph.nodes = [replaced.get(node.name, node) for node in graph.nodes]


def _scaled(tensor: Tensor, scale: Floats) -> Tensor:
    """The tensor times `scale`, whose origin takes it back."""
    undo = np.asarray(tensor.origin.scale, np.float64) / scale
    origin = Origin(tensor.origin.onnx, undo.astype(np.float32), tensor.origin.offset)
    return Tensor(tensor.name, tensor.type, origin)
