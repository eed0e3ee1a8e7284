"""The graph to a TFLite file, step by step."""

from __future__ import annotations

from collections.abc import Sequence

# The emitters register themselves when they are imported.
from r2b_edge.exporters.tflite import (  # noqa: F401
    emit_binary,
    emit_elementwise,
    emit_layers,
    emit_moving,
    emit_pools,
    emit_quantised,
    emit_reshape,
)
from r2b_edge.exporters.tflite.emit_layers import fusable
from r2b_edge.exporters.tflite.model import TfliteModel, TfliteStep
from r2b_edge.exporters.tflite.registry import EMITTERS, Context
from r2b_edge.exporters.tflite.writer import Writer, printable, unique
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.ops import BinaryConv, ChannelAffine, Clip, Dense, FloatConv

DESCRIPTION = "Written by r2b-edge. Needs Larq Compute Engine's custom ops. Maps are NHWC, vectors [1, C], float32."


def convert(graph: Graph) -> TfliteModel:
    """Write the graph as a TFLite file with Larq Compute Engine ops.

    Args:
        graph: verified, after the passes; batch 1. Maps are NCHW in the graph and NHWC in the file, its inputs
            and outputs included; vectors are [1, C] in both.

    Raises:
        UnsupportedError: an op has a form that TFLite cannot express; names the node.
    """
    writer = Writer()
    context = Context(graph, writer)
    for name in graph.inputs:
        context.write(name)
    steps: list[TfliteStep] = []
    for nodes in group(graph):
        start = writer.operator_count
        EMITTERS[type(nodes[0].op)](context, nodes)
        operators = range(start, writer.operator_count)
        steps.append(
            TfliteStep(
                index=len(steps),
                nodes=tuple(node.name for node in nodes),
                inputs=tuple(dict.fromkeys(nodes[0].inputs)),
                outputs=(nodes[-1].output,),
                operators=operators,
                kernels=writer.kernels(operators),
            )
        )
    data = writer.finish(
        _signature(context, graph.inputs), _signature(context, graph.outputs), DESCRIPTION
    )
    return TfliteModel(
        data, tuple(steps), context.tensors, tuple(graph.inputs), tuple(graph.outputs)
    )


def group(graph: Graph) -> list[tuple[Node, ...]]:
    """The nodes in execution order, each with the one that is fused into it.

    BinaryConv takes a ChannelAffine (LceBconv2d's scale and bias), FloatConv and Dense take a ReLU or ReLU6: always
    the only reader of a tensor that is no output of the graph.
    """
    readers = graph.consumers()
    fused: set[str] = set()
    groups: list[tuple[Node, ...]] = []
    for node in graph.nodes:
        if node.output in fused:
            continue
        nodes: tuple[Node, ...] = (node,)
        if len(readers[node.output]) == 1 and node.output not in graph.outputs:
            (reader,) = readers[node.output]
            if _fuses(node, reader):
                nodes = (node, reader)
                fused.add(reader.output)
        groups.append(nodes)
    return groups


def _fuses(node: Node, reader: Node) -> bool:
    if isinstance(node.op, BinaryConv):
        return isinstance(reader.op, ChannelAffine)
    layer = isinstance(node.op, FloatConv | Dense)
    return layer and isinstance(reader.op, Clip) and fusable(reader.op)


def _signature(context: Context, names: Sequence[str]) -> dict[str, int]:
    taken: set[str] = set()
    return {unique(printable(name), taken): context.read(name) for name in names}
