"""What stays float behind a sign or a quantiser becomes one Staircase, whatever its form.

A binarised tensor that a skip or a real convolution reads, a 2-bit activation, an asymmetric two-valued one: the nodes
that compute it are piecewise constant, so that one op with the probe's thresholds gives the same values.
"""

from __future__ import annotations

from collections.abc import Iterator

from r2b_edge import ops
from r2b_edge.graph.graph import Graph
from r2b_edge.passes.bits import staircase
from r2b_edge.passes.cone import cones
from r2b_edge.passes.probe import find_stairs


def staircases(graph: Graph) -> None:
    """Replace the inputs of layers that take 2 to 16 values, and what follows raw nodes with jumps.

    The deepest source is taken. What is not piecewise constant stays for others.
    """
    graph.prune()
    for tensor in [*_coarse_inputs(graph), *_behind_jumps(graph)]:
        _replace(graph, tensor)
        graph.prune()


def _coarse_inputs(graph: Graph) -> Iterator[str]:
    coarse = {f.name for f in graph.findings if not f.binary and f.input_values}
    yield from dict.fromkeys(node.inputs[0] for node in graph.nodes if node.name in coarse)


def _behind_jumps(graph: Graph) -> list[str]:
    """What raw nodes with jumps lead to through elementwise nodes; the last first, since its cone is the largest."""
    reached: dict[str, None] = {}
    for node in graph.nodes:
        jumps = isinstance(node.op, ops.Elementwise) and node.op.jumps
        if node.op.elementwise and (jumps or not reached.keys().isdisjoint(node.inputs)):
            reached[node.output] = None
    return [name for name in reversed(reached) if graph.type(name).dtype == "float32"]


def _replace(graph: Graph, tensor: str) -> None:
    """Compute `tensor` by a Staircase, if its cone is one and it is not pruned yet."""
    node = graph.producers().get(tensor)
    if node is None or not node.op.elementwise or isinstance(node.op, ops.Staircase):
        return
    best = None
    for cone in cones(graph, tensor):
        found = find_stairs(cone, graph.type(tensor).channels)
        if found is not None:
            best = cone.source, staircase(found)
        elif best is not None:
            break
    if best is not None:
        source, op = best
        origin = graph.tensors[tensor].origin
        graph.nodes[graph.nodes.index(node)] = graph.make(node.name, op, [source], tensor, origin)
