"""When two outputs tie, so that rounding decides which of them is the largest.

Each of the two may be off by TOLERANCE x the largest magnitude of their tensor (see compare.py): where the reference
holds them apart by no more than twice that, both orders are within the contract. The outputs of a last layer can also
cancel, all of them, to far less than the terms that they are sums of. The rounding of a sum is bounded by its terms,
however they are ordered: |fl(w x) - w x| <= n u |w| |x| (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
section 3.1), and no step can do better. The magnitude is then that of the terms.
"""

from __future__ import annotations

import numpy as np

from r2b_edge.checking.compare import TOLERANCE, largest
from r2b_edge.checking.reference import Reference
from r2b_edge.graph.graph import Array, Graph, Node
from r2b_edge.ops import Add, ChannelAffine, Dense, GlobalAvgPool, Op


def tied(
    graph: Graph, reference: Reference, onnx_values: dict[str, Array], one: int, other: int
) -> bool:
    """Does the reference hold two outputs of a network apart by no more than both may be off?

    Args:
        graph: with one output, a vector [1, C].
        reference: shows the values.
        onnx_values: the reference's tensors of a sample.
        one: index of an output.
        other: another one.

    Returns:
        False for integers, which are never off.
    """
    (name,) = graph.outputs
    tensor = graph.tensors[name]
    if tensor.type.dtype != "float32":
        return False
    values = reference.value(tensor, onnx_values).astype(np.float64).reshape(-1)
    magnitude = largest(values)
    node = graph.producers().get(name)
    if node is not None:
        magnitude = max(magnitude, _terms(node, graph, reference, onnx_values))
    return bool(abs(values[one] - values[other]) <= 2 * TOLERANCE * magnitude)


def _terms(node: Node, graph: Graph, reference: Reference, onnx_values: dict[str, Array]) -> float:
    """The largest sum of the magnitudes of an output's terms; 0 where a node does not sum."""
    op = _of_magnitudes(node.op)
    if op is None:
        return 0.0
    read = [np.abs(reference.value(graph.tensors[i], onnx_values)) for i in node.inputs]
    return largest(op.reference(*read))


def _of_magnitudes(op: Op) -> Op | None:
    """The sum that an op is, with the magnitudes of its constants."""
    match op:
        case ChannelAffine(scale=scale, offset=offset):
            return ChannelAffine(np.abs(scale), np.abs(offset))
        case Dense(weight=weight, bias=bias):
            return Dense(np.abs(weight), np.abs(bias))
        case Add() | GlobalAvgPool():
            return op
    return None
