"""`--float-storage fp16`: the weights of float convolutions and dense layers become values of IEEE half precision.

They are nearly all that is float in a binary network: stem, 1x1 downsamples, gates, classifier. What there is one of a
channel (biases, scales, slopes) stays float32: it is little, and every result is made of it. Thresholds stay too, since
a sign that rounding turns is not a small error.

Unlike other passes this one changes what the network computes, by up to 2^-11 of each weight: rounding to nearest, ties
to even. Graph.rounding keeps by how much, so that the reference can be rounded alike (graph/rounding.py). Biases into
which weights went are not: `graph_of` makes the graph a second time, from the rounded model.onnx.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from r2b_edge.graph.graph import Graph
from r2b_edge.ops import Dense, FloatConv
from r2b_edge.ops.base import Floats

LARGEST = 65504.0
"""Of finite halves. What rounds to it lies below 65520."""
MOST_LOST = 2.0**-10
"""Of the sum of the magnitudes of an output channel's weights. Rounding to 11 bits loses at most half of it; more is
lost where weights are below 2^-14, as halves have fewer bits there."""


def half_weights(graph: Graph) -> None:
    """Round the weights of each FloatConv and Dense, or note why they stay in float32."""
    for index, node in enumerate(graph.nodes):
        if not isinstance(node.op, FloatConv | Dense):
            continue
        weight = node.op.weight
        with np.errstate(over="ignore"):
            half = weight.astype(np.float16).astype(np.float32)
        reason = _loss(weight, half)
        if not reason and node.name not in graph.stored_weights:
            reason = (
                "model.onnx does not hold them one by one, so that it could not be rounded alike"
            )
        if reason:
            graph.notes.append(f"{node.name}: its weights stay in float32: {reason}")
            continue
        factor = np.divide(half, weight, out=np.ones_like(weight), where=weight != 0)
        graph.rounding[graph.stored_weights[node.name]] = factor
        op = dataclasses.replace(node.op, weight=half, half=True)
        graph.nodes[index] = dataclasses.replace(node, op=op)


def _loss(weight: Floats, half: Floats) -> str:
    """Why the weights cannot be rounded, or ""."""
    largest = float(np.abs(weight).max(initial=0.0))
    if not np.isfinite(half).all():
        return f"the largest is {largest:.4g}, and half precision ends at {LARGEST:.0f}"
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    lost = np.abs(rows - half.reshape(rows.shape)).sum(axis=1)
    share = lost / np.maximum(np.abs(rows).sum(axis=1), np.finfo(np.float64).tiny)
    worst = int(share.argmax())
    if share[worst] > MOST_LOST:
        return (
            f"in half precision those of output channel {worst} would lose {share[worst]:.2g} of their magnitude, "
            "they are too small"
        )
    return ""
