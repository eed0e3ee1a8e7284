"""A Where on a condition of one tensor, with values that are no steps, becomes a Select.

Leaky activations, clamps and shifted PReLUs are written so. The probe gives the condition's thresholds, so that it
needs no tensor of its own.
"""

from __future__ import annotations

import numpy as np

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.ops.base import Floats
from r2b_edge.passes.bits import staircase
from r2b_edge.passes.cone import cones
from r2b_edge.passes.probe import find_stairs


def select(graph: Graph) -> None:
    """Replace every raw float Where whose condition has one source; the others are left to `legal`."""
    for node in list(graph.nodes):
        raw = isinstance(node.op, ops.Elementwise) and node.op.kind == "Where"
        if raw and all(graph.type(i).dtype == "float32" for i in (*node.inputs[1:], node.output)):
            _replace(graph, node)


def _replace(graph: Graph, node: Node) -> None:
    assert isinstance(node.op, ops.Elementwise)
    condition, *values = node.op.operands
    found = _condition(graph, node) if condition is None else None
    if found is None:
        return
    source, stairs = found
    channels = graph.type(node.output).channels
    a, b = (None if v is None else _full(v, channels) for v in values)
    inputs = (source, *node.inputs[1:])
    graph.nodes[graph.nodes.index(node)] = Node(
        node.name, ops.Select(stairs, a, b), inputs, node.output
    )


def _full(value: Floats, channels: int) -> Floats:
    return np.broadcast_to(np.asarray(value, np.float32).reshape(-1), (channels,)).copy()


def _condition(graph: Graph, node: Node) -> tuple[str, ops.Staircase] | None:
    """The nearest tensor of which the condition is a function of few steps, and that function as 0 and 1."""
    condition = node.inputs[0]
    # A graph of nothing but the condition: what else reads its parts is no reason to stop there.
    part = Graph("condition", list(graph.inputs), [], list(graph.nodes), dict(graph.tensors))
    mask = graph.fresh(f"{condition}~mask")
    cast, origin = ops.Elementwise("Cast", (None,), "float32"), graph.tensors[condition].origin
    part.add(mask, cast, (condition,), mask, origin)
    part.outputs = [mask]
    part.prune()
    for cone in cones(part, mask):
        found = find_stairs(cone, part.type(mask).channels)
        if found is not None:
            return cone.source, staircase(found)
    return None
