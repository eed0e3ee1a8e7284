"""Which channels of a tensor are never below 0, by the ops that make it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node

Bools = NDArray[np.bool_]
POSITIVE = ("Abs", "Exp", "Sqrt", "Softplus")


def nonnegative(graph: Graph, name: str) -> Bools:
    """[C]: True where it is known."""
    producers, known = graph.producers(), dict[str, Bools]()

    def of(tensor: str) -> Bools:
        if tensor not in known:
            node = producers.get(tensor)
            value = False if node is None else _made(node, of)
            shape = (graph.type(tensor).channels,)
            known[tensor] = np.broadcast_to(np.asarray(value, np.bool_), shape)
        return known[tensor]

    return of(name)


def _made(node: Node, of: Callable[[str], Bools]) -> Bools | bool:
    """What the op makes of inputs, of which `of` tells."""
    match node.op:
        case ops.Clip(low=low):
            return low >= 0
        case ops.Sigmoid():
            return True
        case ops.Softmax(log=log):
            return not log
        case ops.Unary(kind=kind) | ops.Elementwise(kind=kind):
            return kind in POSITIVE
        case ops.Staircase(values=values):
            return np.asarray((values >= 0).all(axis=1))
        case ops.Pairwise(kind="Max"):
            return of(node.inputs[0]) | of(node.inputs[1])
        case ops.MaxPool() | ops.AvgPool() | ops.GlobalAvgPool():
            return of(node.inputs[0])
        case ops.Add() | ops.Mul() | ops.Pairwise(kind="Min"):
            return np.logical_and(*(of(i) for i in node.inputs))
        case ops.Concat():
            return np.concatenate([of(i) for i in node.inputs])
        case ops.Gather(channels=indices, fill=fill):
            holes = any((i < 0).any() for i in node.op.indices)
            taken = np.where(indices < 0, fill >= 0, of(node.inputs[0])[indices])
            return np.asarray(taken & (fill >= 0 or not holes))
        case ops.Reshape() | ops.ChannelReduce():
            return bool(of(node.inputs[0]).all())
    return False
