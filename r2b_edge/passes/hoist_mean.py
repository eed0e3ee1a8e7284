"""GlobalAvgPool(ChannelAffine(x)) -> ChannelAffine(GlobalAvgPool(x)): the mean of an affine map is affine.

So the mean that a gate needs is the mean of the map itself, which the epilogue that writes the map can take along, and
the affine part goes into the dense layer behind it. Done where nothing but global pools reads the affine map.
"""

from __future__ import annotations

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node, Origin


def hoist_mean(graph: Graph) -> None:
    """Swap the two wherever the affine map has no other reader."""
    producers, consumers = graph.producers(), graph.consumers()
    nodes: list[Node] = []
    for node in graph.nodes:
        affine = producers.get(node.inputs[0])
        if (
            isinstance(node.op, ops.GlobalAvgPool)
            and affine is not None
            and isinstance(affine.op, ops.ChannelAffine)
            and affine.output not in graph.outputs
            and all(isinstance(reader.op, ops.GlobalAvgPool) for reader in consumers[affine.output])
        ):
            origin = graph.tensors[node.output].origin
            mean = graph.fresh(f"{node.output}~mean")
            before = Origin(origin.onnx, affine.op.scale, affine.op.offset)
            nodes.append(graph.make(node.name, ops.GlobalAvgPool(), affine.inputs, mean, before))
            nodes.append(graph.make(f"{node.name}~affine", affine.op, [mean], node.output, origin))
        else:
            nodes.append(node)
    graph.nodes = nodes
