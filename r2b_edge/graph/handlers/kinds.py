"""Maps and vectors: one where the other is, and results whose ONNX shape is neither."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from r2b_edge.graph.from_onnx import Importer, graph_shape
from r2b_edge.graph.graph import Origin
from r2b_edge.graph.views import whole
from r2b_edge.ops.base import Op
from r2b_edge.ops.floating import GlobalAvgPool
from r2b_edge.ops.moving import Gather


def as_vector(im: Importer, name: str) -> str:
    """The graph tensor, a map of one pixel as a vector."""
    kind = im.graph.type(name)
    if not kind.is_map or kind.shape[2:] != (1, 1):
        return name
    vector = im.graph.fresh(f"{name}~vector")
    origin = im.graph.tensors[name].origin
    return im.graph.add(vector, GlobalAvgPool(), (name,), vector, origin).output


def as_map(im: Importer, name: str) -> str:
    """The graph tensor, a vector as a map of one pixel."""
    kind = im.graph.type(name)
    if kind.is_map:
        return name
    pixel, one = im.graph.fresh(f"{name}~pixel"), np.zeros(1, np.int32)
    op = Gather(np.arange(kind.channels, dtype=np.int32), one, one)
    return im.graph.add(pixel, op, (name,), pixel, im.graph.tensors[name].origin).output


def as_one_kind(im: Importer, names: Sequence[str]) -> list[str]:
    """The graph tensors; where vectors are among them, maps of one pixel are vectors too."""
    if all(im.graph.type(name).is_map for name in names):
        return list(names)
    return [as_vector(im, name) for name in names]


def emit_chain(
    im: Importer, node: onnx.NodeProto, steps: Sequence[tuple[Op, float]], source: str
) -> None:
    """Emit ops one after another, the last of which gives the node's output, in whatever shape it has in ONNX.

    Args:
        im: the importer.
        node: the ONNX node.
        steps: the ops, each with the factor from its value to the node's output.
        source: what the first one reads.

    Raises:
        ValueError: the last one's values are not as many as the output's.
    """
    output = str(node.output[0])
    for op, factor in steps[:-1]:
        part = im.graph.fresh(f"{output}~part")
        source = im.graph.add(part, op, (source,), part, Origin(output, factor)).output
    last = steps[-1][0]
    have, want = last.infer(im.graph.type(source)).shape, im.shapes.get(output, ())
    padded = graph_shape(want) if len(have) == 4 else want
    if not want or (padded[: len(have)] == have and set(padded[len(have) :]) <= {1}):
        im.emit(node, last, source)
        return
    made = im.graph.fresh(f"{output}~value")
    im.graph.add(im.name(node, output), last, (source,), made, Origin(output))
    if np.prod(have) != np.prod(want):
        raise ValueError(f"its output {list(want)} is neither a map nor a vector of channels")
    im.set_view(node, whole(made, want))
