"""Raw elementwise ops that no binarisation has absorbed get their meaning in the graph's float ops."""

from __future__ import annotations

import numpy as np

from r2b_edge import ops
from r2b_edge.graph.graph import Array, Graph, Node, Origin
from r2b_edge.ops.base import Op
from r2b_edge.ops.elementwise import UNARY

POWERS = {0.5: "Sqrt", -1.0: "Reciprocal"}


def lower(graph: Graph) -> None:
    """Replace every raw node of float tensors that has such a meaning; the others are left to `legal`."""
    nodes: list[Node] = []
    for node in graph.nodes:
        floats = all(graph.type(i).dtype == "float32" for i in (*node.inputs, node.output))
        raw = isinstance(node.op, ops.Elementwise) and floats
        nodes += _lowered(graph, node) if raw else [node]
    graph.nodes = nodes


def _lowered(graph: Graph, node: Node) -> list[Node]:
    assert isinstance(node.op, ops.Elementwise)
    kind, operands = node.op.kind, node.op.operands
    channels = graph.type(node.output).channels
    if kind == "Div" and len(node.inputs) == 1 and operands[0] is not None:
        scale = np.broadcast_to(operands[0], (channels,)).astype(np.float32)
        origin = graph.tensors[node.output].origin
        inverse = graph.fresh(f"{node.output}~inverse")
        name, output = f"{node.name}~inverse", node.output
        affine = ops.ChannelAffine(scale, np.zeros(channels, np.float32))
        return [
            graph.make(
                name, ops.Unary("Reciprocal"), node.inputs, inverse, Origin(origin.onnx, scale)
            ),
            graph.make(node.name, affine, [inverse], output, origin),
        ]
    op, inputs = _meaning(kind, operands, node.inputs, channels)
    return [node] if op is None else [Node(node.name, op, inputs, node.output)]


def _meaning(
    kind: str, operands: tuple[Array | None, ...], inputs: tuple[str, ...], channels: int
) -> tuple[Op | None, tuple[str, ...]]:
    """The float op that a raw one is, with its inputs; None where there is none."""
    if len(inputs) == 2 and len(operands) == 2 and kind in ("Sub", "Div", "Max", "Min"):
        return ops.Pairwise(kind), inputs
    if len(operands) == 1 and kind in UNARY:
        return ops.Unary(kind), inputs
    if len(operands) == 1 and kind == "Neg":
        return ops.ChannelAffine(np.full(channels, -1, np.float32), np.zeros(channels, np.float32)), inputs  # fmt: skip
    constant = next((v for v in operands if v is not None), None)
    if len(operands) != 2 or len(inputs) != 1 or constant is None:
        return None, inputs
    value = np.asarray(constant, np.float32)
    if kind in ("Max", "Min"):
        if value.size > 1:
            return ops.ConstantMap(kind, value.reshape(-1, 1, 1)), inputs
        bound = float(value.reshape(-1)[0])
        return (ops.Clip(bound, np.inf) if kind == "Max" else ops.Clip(-np.inf, bound)), inputs
    if kind == "Pow" and operands[1] is not None and (value == value.reshape(-1)[0]).all():
        power = float(value.reshape(-1)[0])
        if power == 2:
            return ops.Mul(), inputs * 2
        return (ops.Unary(POWERS[power]) if power in POWERS else None), inputs
    return None, inputs
