"""Which layers make gates: what a map is multiplied by.

In a product (or a quotient) of a map and something smaller beside it (a vector along its channels, a map of one
channel, a single number) the smaller one is the gate; of two equal shapes either may be. A layer belongs to a gate if
its value flows into the gate and not into the other factor: the network before a block flows into both, and is no part
of the block's gate.
"""

from __future__ import annotations

from collections.abc import Mapping

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node


def gate_layers(graph: Graph) -> set[str]:
    """The names of all nodes that make a gate and nothing else that is multiplied by it."""
    makers = graph.producers()
    found: set[str] = set()
    for node in graph.nodes:
        product = isinstance(node.op, ops.Mul) or (
            isinstance(node.op, ops.Pairwise) and node.op.kind == "Div"
        )
        if not product or len(set(node.inputs)) < 2:
            continue
        a, b = node.inputs
        full = graph.type(node.output).shape
        for gate, other in ((a, b), (b, a)):
            if graph.type(gate).shape != full or graph.type(other).shape == full:
                found |= _before(makers, gate) - _before(makers, other)
    return found


def _before(makers: Mapping[str, Node], name: str) -> set[str]:
    """The names of the nodes that a tensor is computed from."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting += node.inputs
    return found
