"""The last pass: what is left must be in the graph's own ops, or the model is refused by name."""

from __future__ import annotations

from r2b_edge import ops
from r2b_edge.errors import UnsupportedError
from r2b_edge.graph.graph import Graph

NO_READER = "what binarises a tensor must be read by a binary convolution, with nothing but padding between them"


def legal(graph: Graph) -> None:
    """Refuse raw ops that no pass has understood.

    Raises:
        UnsupportedError: names the node, and the layer that would have been binary, if there is one.
    """
    graph.prune()
    suspect = next((f for f in graph.findings if f.suspect), None)
    hint = NO_READER if suspect is None else f"{suspect.name!r} stays float: {suspect.reason}"
    for node in graph.nodes:
        kind = graph.type(node.inputs[0])
        if isinstance(node.op, ops.Elementwise):
            raise UnsupportedError(
                f"{node.op.kind} {node.name!r} on {kind} has no float kernel", hint
            )
        if isinstance(node.op, ops.Reshape):
            raise UnsupportedError(
                f"the reshape {node.name!r} of {kind} is supported before a dense layer only"
            )
        if (
            isinstance(node.op, ops.FloatConv)
            and node.op.pad_value != 0
            and any(node.op.window.pads)
        ):
            raise UnsupportedError(
                f"the float convolution {node.name!r} is padded with {node.op.pad_value:g}, not 0"
            )
