"""Find the binary convolutions and dense layers by meaning, and state them as Step, BinaryConv and ChannelAffine.

With z = m + h*s, s in {-1, +1}, and weights alpha*W per output channel, W in {-1, +1}:
    conv(z) + bias = h*alpha*dot(s, W) + m*alpha*sum(W) + bias,
where the border's value p in z stands for b = (p - m) / h among the bits. So activations {0, 1} (m = h = 1/2) with
zero padding are bits with padding -1. Where b is none of -1, 0 and +1,
    dot with a border of b = dot with a border of 0 + b*S,
S the sum of the weights that lie on the border: a constant map.

A layer that is not binary stays as it is, and its finding says why.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from r2b_edge import ops
from r2b_edge.graph.findings import LayerFinding
from r2b_edge.graph.graph import Graph, Node, Origin, TensorType
from r2b_edge.ops.base import Floats
from r2b_edge.ops.binary import PIXEL
from r2b_edge.passes.bits import Binarised, Bits, NoBits, onnx_name
from r2b_edge.passes.weights import BinaryWeights, split

TIE_NOTE = "sign(0) = 0 of its input counts as +1; where(x >= 0, 1, -1) leaves no doubt"


def binarize(graph: Graph) -> None:
    """Rewrite every FloatConv and Dense whose input takes two values and whose weights are +-alpha a channel."""
    binarised = Binarised(graph)
    for node in list(graph.nodes):
        if not isinstance(node.op, ops.FloatConv | ops.Dense):
            continue
        conv = node.op if isinstance(node.op, ops.FloatConv) else _as_conv(node.op)
        weights, bits = split(conv.weight), binarised.of(node.inputs[0])
        if isinstance(bits, Bits) and any(bits.pads):
            if any(conv.window.pads) and conv.pad_value != bits.border:
                bits = binarised.whole(node.inputs[0])
            elif not isinstance(node.op, ops.Dense):
                conv = _with_pads(conv, bits)
        finding = _finding(graph, node, conv, weights, bits)
        if finding.binary:
            assert isinstance(bits, Bits)
            _rewrite(graph, node, conv, weights, bits)
        graph.findings.append(finding)


def _as_conv(dense: ops.Dense) -> ops.FloatConv:
    """A dense layer is a convolution over a map of one pixel."""
    return ops.FloatConv(dense.weight[:, :, None, None], dense.bias, PIXEL)


def _finding(
    graph: Graph, node: Node, conv: ops.FloatConv, weights: BinaryWeights, bits: Bits | NoBits
) -> LayerFinding:
    reason, values = weights.reason, 2
    if isinstance(bits, NoBits):
        values = bits.values
        suffix = "only its weights are binary" if not reason else ""
        reason = "; ".join(filter(None, [bits.reason, suffix or _of_real_input(weights)]))
    ties = isinstance(bits, Bits) and bits.ties
    note = ""
    if not reason and weights.zeros:
        share = f"{weights.zeros:,} of {weights.signs.size:,} weights"
        note = f"{share} are 0 and count as +1; `check` shows what it changes"
    elif not reason and ties:
        note = TIE_NOTE
    return LayerFinding(
        name=node.name,
        kind=type(node.op).__name__ if reason else "BinaryConv",
        binary=not reason,
        reason=reason,
        output=onnx_name(graph, node.output),
        note=note,
        input_values=values,
        weights=weights.kind,
        zero_weights=weights.zeros,
        weight_count=weights.signs.size,
        border=conv.pad_value if any(conv.window.pads) else None,
        ties=ties,
    )


def _of_real_input(weights: BinaryWeights) -> str:
    """What to say of weights beside a real input: of real ones nothing, since the layer is an ordinary one."""
    return "" if weights.kind == "real" else weights.reason


def _rewrite(
    graph: Graph, node: Node, conv: ops.FloatConv, weights: BinaryWeights, bits: Bits
) -> None:
    """Put the binary layer in the node's place."""
    signs = weights.signs
    window = conv.window
    border = (conv.pad_value - bits.middle) / bits.half if any(window.pads) else 0.0
    whole = round(border) if round(border, 5) in (-1.0, 0.0, 1.0) else None
    scale = (bits.half * weights.alpha).astype(np.float32)
    offset = (bits.middle * weights.alpha * signs.sum(axis=(1, 2, 3)) + conv.bias).astype(
        np.float32
    )
    name, origin = node.name, graph.tensors[node.output].origin.onnx
    binary = ops.BinaryConv(signs, window, whole or 0, conv.groups)
    dot = graph.fresh(f"{node.output}~dot")
    affine = ops.ChannelAffine(scale, offset)
    if whole is not None:
        new = [
            graph.make(name, binary, [bits.tensor], dot, Origin(origin, scale, offset)),
            graph.make(f"{name}~affine", affine, [dot], node.output, Origin(origin)),
        ]
    else:
        column = (slice(None), None, None)
        extra = scale[column] * _border_sums(binary, graph.type(bits.tensor), border)
        shown = Origin(origin, scale, offset[column] + extra)
        inner = graph.fresh(f"{node.output}~inner")
        new = [
            graph.make(name, binary, [bits.tensor], dot, shown),
            graph.make(f"{name}~affine", affine, [dot], inner, Origin(origin, 1.0, extra)),
            graph.make(f"{name}~border", ops.ConstantMap("Add", extra), [inner], node.output, Origin(origin)),
        ]  # fmt: skip
    at = graph.nodes.index(node)
    graph.nodes[at : at + 1] = new


def _with_pads(conv: ops.FloatConv, bits: Bits) -> ops.FloatConv:
    """The convolution with the border that its input has around the bits."""
    top, left, bottom, right = (a + b for a, b in zip(conv.window.pads, bits.pads, strict=True))
    window = dataclasses.replace(conv.window, pads=(top, left, bottom, right))
    return dataclasses.replace(conv, window=window, pad_value=bits.border)


def _border_sums(conv: ops.BinaryConv, x: TensorType, border: float) -> Floats:
    """S times the border's value, [O, OH, OW]: S from the difference of two borders on a map of any bits."""
    ones = np.ones((1, *x.shape[1:]), np.int8)
    with_ones = dataclasses.replace(conv, pad_value=1).reference(ones)
    without = dataclasses.replace(conv, pad_value=0).reference(ones)
    return np.asarray(border * (with_ones - without)[0], dtype=np.float32)
