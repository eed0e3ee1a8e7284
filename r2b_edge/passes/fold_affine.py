"""Fold ChannelAffine into its neighbours: another ChannelAffine, a FloatConv or Dense before it, a Dense after it.

What BatchNorm, conv biases and learned scales come to. An affine map before a padded convolution stays, since the
border is zero behind it, not before it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.ops.base import Floats, Op


def fold_affine(graph: Graph) -> None:
    """Merge each ChannelAffine with the only producer or with all of its readers, until nothing changes."""
    while _fold_one(graph):
        graph.prune()


def _fold_one(graph: Graph) -> bool:
    producers, consumers = graph.producers(), graph.consumers()
    for node in graph.nodes:
        if not isinstance(node.op, ops.ChannelAffine):
            continue
        before = producers.get(node.inputs[0])
        if (
            before is not None
            and before.output not in graph.outputs
            and len(consumers[before.output]) == 1
        ):
            merged = _after(before.op, node.op)
            if merged is not None:
                _replace(graph, node, Node(before.name, merged, before.inputs, node.output))
                return True
        readers = consumers[node.output]
        if readers and node.output not in graph.outputs:
            folded = [_before(node.op, reader.op) for reader in readers]
            if all(op is not None for op in folded):
                for reader, op in zip(readers, folded, strict=True):
                    assert op is not None
                    _replace(graph, reader, Node(reader.name, op, node.inputs, reader.output))
                return True
    return False


def _replace(graph: Graph, old: Node, new: Node) -> None:
    graph.nodes[graph.nodes.index(old)] = new


def _after(op: Op, affine: ops.ChannelAffine) -> Op | None:
    """`affine` applied to the output of `op`, as one op."""
    scale, offset = affine.scale.astype(np.float64), affine.offset.astype(np.float64)
    match op:
        case ops.ChannelAffine():
            return ops.ChannelAffine(_f32(op.scale * scale), _f32(op.offset * scale + offset))
        case ops.FloatConv():
            weight = _f32(op.weight * scale[:, None, None, None])
            return dataclasses.replace(op, weight=weight, bias=_f32(op.bias * scale + offset))
        case ops.Dense():
            return ops.Dense(_f32(op.weight * scale[:, None]), _f32(op.bias * scale + offset))
    return None


def _before(affine: ops.ChannelAffine, op: Op) -> Op | None:
    """`op` applied to the output of `affine`, as one op."""
    if isinstance(op, ops.Dense):
        weight = op.weight.astype(np.float64)
        return ops.Dense(_f32(weight * affine.scale), _f32(op.bias + weight @ affine.offset))
    return None


def _f32(values: NDArray[np.float64]) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float32)
