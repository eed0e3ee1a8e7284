"""The last pass: what is left must be in the graph's own ops, or the model is refused by name."""

from __future__ import annotations

from r2b_edge import ops
from r2b_edge.errors import UnsupportedError
from r2b_edge.graph.graph import Graph, Node

NO_READER = "what binarises a tensor must be read by a binary convolution, with nothing but padding between them"


def legal(graph: Graph) -> None:
    """Refuse raw ops that no pass has understood.

    Raises:
        UnsupportedError: the first of `faults`.
    """
    graph.prune()
    for _, fault in faults(graph):
        raise fault


def faults(graph: Graph) -> list[tuple[Node, UnsupportedError]]:
    """Every node that no exporter can express, with the error that says why.

    It names the node, and the layer that would have been binary, if there is one.
    """
    suspect = next((f for f in graph.findings if f.suspect), None)
    hint = NO_READER if suspect is None else f"{suspect.name!r} stays float: {suspect.reason}"
    found = ((node, _fault(graph, node, hint)) for node in graph.nodes)
    return [(node, fault) for node, fault in found if fault is not None]


def _fault(graph: Graph, node: Node, hint: str) -> UnsupportedError | None:
    kind = graph.type(node.inputs[0])
    if isinstance(node.op, ops.Elementwise):
        return UnsupportedError(f"{node.op.kind} {node.name!r} on {kind} has no float kernel", hint)
    if isinstance(node.op, ops.Reshape) and kind.dtype != "float32":
        return UnsupportedError(f"the reshape {node.name!r} of {kind} has no kernel", hint)
    return None
