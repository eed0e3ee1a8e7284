"""Find the binary convolutions by meaning, and state them as Step, BinaryConv and ChannelAffine.

With z = m + h*s, s in {-1, +1}, and weights alpha*W per output channel, W in {-1, +1}:
    conv(z) + bias = h*alpha*dot(s, W) + m*alpha*sum(W) + bias,
where the border's value p in z stands for the bit (p - m) / h, which must be -1, 0 or +1. So activations {0, 1}
(m = h = 1/2) with zero padding are bits with padding -1.

A convolution that is not binary stays as it is, and its finding says why.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from r2b_edge import ops
from r2b_edge.graph.graph import BINARY_INPUT, Graph, LayerFinding, Node, Origin
from r2b_edge.ops.binary import normal_thresholds
from r2b_edge.passes.cone import cones
from r2b_edge.passes.probe import FoundStep, find_step

ALPHA_TOLERANCE = 1e-5
MAX_ZERO_WEIGHTS = 1e-4


@dataclasses.dataclass(frozen=True, eq=False)
class _Bits:
    """The bits that stand for a convolution's input z = middle + half * bits."""

    tensor: str
    middle: float
    half: float


@dataclasses.dataclass(frozen=True, eq=False)
class _Weights:
    """signs * alpha[O], if `reason` is "", with `zeros` weights that are exactly 0 and count as +1."""

    signs: NDArray[np.int8]
    alpha: NDArray[np.float64]
    zeros: int
    reason: str


def binarize(graph: Graph) -> None:
    """Rewrite every FloatConv whose input takes two values and whose weights are +-alpha per output channel."""
    probed: dict[str, _Bits | str] = {}
    for node in list(graph.nodes):
        if not isinstance(node.op, ops.FloatConv | ops.Dense):
            continue
        note = ""
        if isinstance(node.op, ops.FloatConv):
            weights = _binary_weights(node.op.weight)
            reason = _rewrite(graph, node, node.op, weights, probed)
            if weights.zeros and not reason:
                note = (
                    f"{weights.zeros} weights are 0 and count as +1; `check` shows what it changes"
                )
            elif not reason and _has_ties(graph, node.output):
                note = "sign(0) = 0 of its input counts as +1; where(x >= 0, 1, -1) leaves no doubt"
        else:
            reason = _dense_reason(graph, node)
        kind = type(node.op).__name__ if reason else "BinaryConv"
        onnx_name = _onnx_name(graph, node.output)
        graph.findings.append(LayerFinding(node.name, kind, not reason, reason, onnx_name, note))


def _onnx_name(graph: Graph, tensor: str) -> str:
    return graph.tensors[tensor].origin.onnx


def _has_ties(graph: Graph, output: str) -> bool:
    """Does the binary convolution behind `output` read a Step with a third value at its threshold?"""
    producers = graph.producers()
    bits = producers[producers[output].inputs[0]].inputs[0]
    step = producers[bits].op
    return isinstance(step, ops.Step) and step.ties


def _dense_reason(graph: Graph, node: Node) -> str:
    found = _probe(graph, node.inputs[0])
    if isinstance(found, str):
        return found
    return f"{BINARY_INPUT}binary dense layers are not supported yet"


def _rewrite(
    graph: Graph, node: Node, op: ops.FloatConv, weights: _Weights, probed: dict[str, _Bits | str]
) -> str:
    """Replace the node if it is binary; "" if it was, else the reason why not."""
    (z,) = node.inputs
    signs, alpha, reason = weights.signs, weights.alpha, weights.reason
    if z not in probed:
        probed[z] = _step(graph, z)
    bits = probed[z]
    if isinstance(bits, str):
        return f"{bits}; {reason}" if reason else bits
    if reason:
        return f"{BINARY_INPUT}{reason}"
    border = (op.pad_value - bits.middle) / bits.half
    if any(op.window.pads) and round(border, 5) not in (-1.0, 0.0, 1.0):
        return f"its border holds {op.pad_value:g}, which is none of the input's values nor their middle"
    pad_value = round(border) if any(op.window.pads) else 0
    scale = (bits.half * alpha).astype(np.float32)
    sums = signs.sum(axis=(1, 2, 3))
    offset = (bits.middle * alpha * sums + op.bias).astype(np.float32)
    dot = graph.fresh(f"{node.output}~dot")
    binary = ops.BinaryConv(signs, op.window, pad_value, op.groups)
    origin = graph.tensors[node.output].origin
    new = [
        graph.make(node.name, binary, [bits.tensor], dot, Origin(origin.onnx, scale, offset)),
        graph.make(
            f"{node.name}~affine", ops.ChannelAffine(scale, offset), [dot], node.output, origin
        ),
    ]
    at = graph.nodes.index(node)
    graph.nodes[at : at + 1] = new
    return ""


def _probe(graph: Graph, z: str) -> tuple[str, FoundStep] | str:
    """The deepest source from which z is a step, with the step; or why there is none."""
    best: tuple[str, FoundStep] | None = None
    reason = "its input is real"
    for cone in cones(graph, z):
        found = find_step(cone, graph.type(z).channels)
        if not isinstance(found, str):
            best = (cone.source, _with_zeros(graph, cone.source, found))
        elif best is None:
            reason = (
                "its input is real" if found == "it is real" else f"its input is no step: {found}"
            )
        else:
            break
    return best or reason


def _with_zeros(graph: Graph, source: str, step: FoundStep) -> FoundStep:
    """torch.sign of what a ReLU has passed is 0 or +1, not -1 or +1: its tie is no single point, but every zero."""
    at_zero = step.ties and not step.threshold.any() and (step.direction > 0).all()
    if not at_zero or not _nonnegative(graph, source):
        return step
    above = np.full_like(step.threshold, np.nextafter(np.float32(0), np.float32(1)))
    middle = (step.low + step.high) / 2
    return FoundStep(above, step.direction, middle, step.high, ties=False)


def _nonnegative(graph: Graph, name: str) -> bool:
    """Is the tensor never below 0, by the ops that make it?"""
    node = graph.producers().get(name)
    match node.op if node is not None else None:
        case ops.Clip(low=low):
            return low >= 0
        case ops.Sigmoid():
            return True
        case ops.MaxPool() | ops.AvgPool() | ops.GlobalAvgPool() | ops.Add() | ops.Mul():
            assert node is not None
            return all(_nonnegative(graph, i) for i in node.inputs)
    return False


def _step(graph: Graph, z: str) -> _Bits | str:
    """Add the Step that computes z's bits, right after its source."""
    found = _probe(graph, z)
    if isinstance(found, str):
        return found
    source, step = found
    half, middle = (step.high - step.low) / 2, (step.high + step.low) / 2
    op = ops.Step(normal_thresholds(step.threshold, step.direction), step.direction, step.ties)
    name = graph.fresh(f"{z}~bits")
    node = graph.make(f"{z}~step", op, [source], name, Origin(_onnx_name(graph, z), half, middle))
    at = next((i + 1 for i, n in enumerate(graph.nodes) if n.output == source), 0)
    graph.nodes.insert(at, node)
    return _Bits(name, middle, half)


def _binary_weights(weight: NDArray[np.float32]) -> _Weights:
    """Split weights into signs and alpha, where each output channel holds +-alpha only.

    Alpha is the median magnitude of what is not 0. A channel of zeros has alpha 0. Single zeros among +-alpha count as
    +1, up to MAX_ZERO_WEIGHTS of all.
    """
    rows = np.abs(weight.reshape(weight.shape[0], -1).astype(np.float64))
    middle = np.minimum(((rows == 0).sum(axis=1) + rows.shape[1]) // 2, rows.shape[1] - 1)
    alpha = np.sort(rows, axis=1)[np.arange(len(rows)), middle]
    off = np.abs(rows - alpha[:, None]) > ALPHA_TOLERANCE * alpha[:, None]
    zeros = (rows == 0) & (alpha[:, None] > 0)
    signs = np.where(weight < 0, -1, 1).astype(np.int8)
    real, zero = int((off & ~zeros).sum()), int(zeros.sum())
    reason = ""
    if real:
        reason = f"its weights are real: {real:,} of {rows.size:,} are not ±alpha of their channel"
    elif zero > MAX_ZERO_WEIGHTS * rows.size:
        reason = f"{zero:,} of {rows.size:,} weights are 0"
    return _Weights(signs, alpha, zero, reason)
