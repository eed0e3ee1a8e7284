"""x / 2 * (1 + erf(x / sqrt(2))), in whatever order its factors stand, is Gelu(x).

That is how exporters write it for older opsets; erf itself is no operator of TFLite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Node, Origin

TOLERANCE = 1e-6
"""Of the factor 1 / sqrt(2), which is rounded to float32, perhaps twice."""
Line = tuple[str, float, float]
"""A tensor, a factor and an offset."""


def gelu(graph: Graph) -> None:
    """Replace each such product by a Gelu and its factor."""
    producers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        found = _of(producers, node) if isinstance(node.op, ops.Mul) else None
        if found is None:
            nodes.append(node)
            continue
        x, factor = found
        channels, origin = graph.type(x).channels, graph.tensors[node.output].origin
        if factor == 1:
            nodes.append(Node(node.name, ops.Unary("Gelu"), (x,), node.output))
            continue
        part = graph.fresh(f"{node.output}~gelu")
        scale = ops.ChannelAffine(
            np.full(channels, factor, np.float32), np.zeros(channels, np.float32)
        )
        nodes += [
            graph.make(part, ops.Unary("Gelu"), (x,), part, Origin(origin.onnx, factor)),
            Node(node.name, scale, (part,), node.output),
        ]
    graph.nodes = nodes


def _of(producers: dict[str, Node], node: Node) -> tuple[str, float] | None:
    """Tensor x and factor f where the product is f * Gelu(x); None where it is none."""
    for first, second in (node.inputs, node.inputs[::-1]):
        *_, (erf, scale, offset) = _lines(producers, second)
        inner = producers.get(erf)
        if inner is None or not isinstance(inner.op, ops.Elementwise) or inner.op.kind != "Erf":
            continue
        for x, slope, shift in _lines(producers, inner.inputs[0]):
            if abs(slope - math.sqrt(0.5)) > TOLERANCE or shift != 0 or scale != offset:
                continue
            for same, factor, rest in _lines(producers, first):
                if same == x and rest == 0 and factor * scale != 0:
                    return x, 2 * factor * scale
    return None


def _lines(producers: dict[str, Node], tensor: str) -> Iterator[Line]:
    """The tensor as factor * source + offset: each source from itself back through affine maps of equal channels."""
    factor, offset = 1.0, 0.0
    yield tensor, factor, offset
    while (node := producers.get(tensor)) is not None and isinstance(node.op, ops.ChannelAffine):
        scales, offsets = node.op.scale, node.op.offset
        if (scales != scales[0]).any() or (offsets != offsets[0]).any():
            return
        factor, offset = factor * float(scales[0]), offset + factor * float(offsets[0])
        (tensor,) = node.inputs
        yield tensor, factor, offset
