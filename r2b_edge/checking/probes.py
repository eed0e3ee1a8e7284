"""Inputs for single steps that no sample brings: a sample's own, spread wide, with values moved onto the thresholds.

Random images reach little of a trained network. Sums stay on one side of a threshold, a clip or a sigmoid saturates,
and a tie of real numbers never happens by itself: `<` for `<=`, a threshold that is a little off, or a bound that
nothing reaches would all pass. A step is run alone anyway, so it can be given any inputs; onnxruntime gives the answer
from the part of model.onnx between the ONNX tensors that its inputs and outputs come from.

1. Real values change places within their channel and are scaled, by 1/8 to 8, except in the first probe of a step;
   they keep their signs, since what follows a ReLU may rely on them. Bits become random, from almost all -1 to almost
   all +1 by channel, and windows of them are copied from the weights that read them but for some flips: this drives
   the sums to where random bits do not, and next to where a sign that follows directly turns.
2. A quarter of the values before each sign move onto their threshold, or EDGE beside it, just outside of the margin. If
   the step reads them, they are set; if it adds a map of their shape, that map gets the difference.
3. A quarter of the values that a QuantConv reads lie halfway between two integers, or beyond the ends of a byte.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from r2b_edge.checking.compare import MARGIN, largest
from r2b_edge.checking.executor import ExecutorStep
from r2b_edge.checking.part import Part, Values
from r2b_edge.checking.reference import Reference, affine_of
from r2b_edge.graph.graph import Array, Graph, Node, Tensor
from r2b_edge.ops import BinaryConv, ChannelAffine, QuantConv, Step, Window
from r2b_edge.ops.base import per_channel
from r2b_edge.ops.integers import LEVELS

PROBES = 3
"""Of each step, made from as many of the first samples."""
EDGE = 4 * MARGIN
"""Of the largest value before the sign; the values move onto their thresholds and this far to both sides."""
MOVED = 0.25
"""Of the values before a sign; the others keep the tensor at its own magnitude, by which floats are compared."""
BEYOND = 40
"""Steps beyond each end of a byte."""
OCTAVES = 3.0
"""Real values are scaled by 2^-OCTAVES to 2^OCTAVES, up to the largest of the tensor.

Beyond that, the reference itself may be wrong: onnxruntime's Sigmoid is the same for all arguments below -18.
"""
NO_SUBNORMAL = np.float32(1e-25)
"""The least distance from a threshold: differences below 2^-126 are flushed to zero in some backends."""


class Prober:
    """Makes the probes of one executor's steps.

    Args:
        graph: what the steps compute.
        reference: has model.onnx.
        steps: of the executor.
    """

    def __init__(self, graph: Graph, reference: Reference, steps: Sequence[ExecutorStep]) -> None:
        self.graph = graph
        self.reference = reference
        self.steps = steps
        self._nodes = {node.name: node for node in graph.nodes}
        self._parts: dict[int, Part | None] = {}

    def probe(self, index: int, onnx_values: Values, number: int) -> Values | None:
        """The ONNX tensors of a step, its inputs made from a sample's.

        Args:
            index: of the step.
            onnx_values: the sample's tensors.
            number: of the probe; the first one keeps real inputs but for what moves onto thresholds.

        Returns:
            Every tensor that comparing the step's outputs takes; None if model.onnx does not compute them from the
            tensors that the step's inputs come from alone.
        """
        if index not in self._parts:
            self._parts[index] = self._part(index)
        part = self._parts[index]
        if part is None:
            return None
        random = np.random.default_rng([number, index])
        step = self.steps[index]
        given = {self._origin(name): onnx_values[self._origin(name)] for name in step.inputs}
        for name in step.inputs:
            tensor = self.graph.tensors[name]
            if number > 0 or tensor.type.dtype == "bits":
                given[tensor.origin.onnx] = self._spread(step, tensor, given, random)
            for node in self._own(step):
                if isinstance(node.op, QuantConv) and name in node.inputs:
                    given[tensor.origin.onnx] = self._between(node.op, tensor, given, random)
        values = part.run(given)
        for node in self._own(step):
            if isinstance(node.op, Step):
                before = self.graph.tensors[node.inputs[0]]
                both = (self.reference.value(before, known) for known in (values, onnx_values))
                edge = EDGE * max(map(largest, both))
                moved = self._onto(step, before, node.op, values, edge, random)
                if moved is not None:
                    given |= moved
                    values = part.run(given)
        return values

    def _origin(self, name: str) -> str:
        return self.graph.tensors[name].origin.onnx

    def _own(self, step: ExecutorStep) -> list[Node]:
        return [self._nodes[name] for name in step.nodes if name in self._nodes]

    def _part(self, index: int) -> Part | None:
        step = self.steps[index]
        inside = [name for node in self._own(step) for name in (*node.inputs, node.output)]
        given = dict.fromkeys(self._origin(name) for name in step.inputs)
        wanted = dict.fromkeys(self._origin(name) for name in (*inside, *step.outputs))
        try:
            return Part(self.reference.model, list(given), list(wanted))
        except LookupError:
            return None

    def _shown(self, tensor: Tensor, value: Array, like: Array) -> Array:
        """The ONNX tensor for a graph tensor's value; `like` is one, kept where it does not show the value.

        Inputs in uint8 are rounded to what they can hold.
        """
        if tensor.name in self.graph.uint8_inputs:
            value = np.clip(np.rint(value), 0, 255)
        scale, offset = affine_of(tensor, value)
        whole = like.astype(np.float32)  # a copy, whose border stays
        part = tensor.origin.inside(whole, value.shape)
        part[...] = np.where(scale == 0, part, value * scale + offset)
        return whole

    def _spread(
        self, step: ExecutorStep, tensor: Tensor, given: Values, random: np.random.Generator
    ) -> Array:
        value = self.reference.value(tensor, given)
        channels = value.shape[:2] + (1,) * (value.ndim - 2)
        if tensor.type.dtype == "bits":
            value = np.where(random.random(value.shape) < random.random(channels), 1, -1)
            for node in self._own(step):
                if isinstance(node.op, BinaryConv) and tensor.name in node.inputs:
                    value = _like_weights(value, node.op, self._aims(step, node.output), random)
        else:
            value = random.permuted(value.reshape(*value.shape[:2], -1), axis=2).reshape(
                value.shape
            )
            if tensor.type.dtype == "float32":
                most = largest(value)
                value = value * np.exp2(random.uniform(-OCTAVES, OCTAVES, channels))
                value = np.clip(value, -most, most)
        return self._shown(tensor, value, given[tensor.origin.onnx])

    def _between(
        self, op: QuantConv, tensor: Tensor, given: Values, random: np.random.Generator
    ) -> Array:
        """A quarter of the values halfway between two integers that they could stand for, some beyond both ends."""
        value = self.reference.value(tensor, given)
        low, high = -op.zero_point, LEVELS - op.zero_point
        halves = random.integers(low - BEYOND, high + BEYOND, size=value.shape) + 0.5
        if value.min(initial=0.0) >= 0:
            halves = np.abs(halves)
        moved = np.where(random.random(value.shape) < MOVED, halves / op.inverse, value)
        return self._shown(tensor, moved, given[tensor.origin.onnx])

    def _aims(
        self, step: ExecutorStep, name: str, scale: Array | float = 1.0, offset: Array | float = 0.0
    ) -> Array | None:
        """The values of `name`, [C], at which a sign of the step turns that reads it, at most an affine map later."""
        for node in self._own(step):
            if name not in node.inputs:
                continue
            if isinstance(node.op, Step):
                with np.errstate(divide="ignore", invalid="ignore"):
                    return np.asarray((node.op.threshold - offset) / scale)
            if isinstance(node.op, ChannelAffine):
                return self._aims(step, node.output, node.op.scale, node.op.offset)
        return None

    def _onto(
        self,
        step: ExecutorStep,
        before: Tensor,
        op: Step,
        values: Values,
        edge: float,
        random: np.random.Generator,
    ) -> Values | None:
        """The input that moves the values before a sign onto their thresholds, or `edge` beside them.

        None if the step has no such input.
        """
        name, tensors = before.name, self.graph.tensors
        kinds = [tensors[i] for i in step.inputs if tensors[i].type.shape == before.type.shape]
        moving = [t for t in kinds if t.name == name or t.type.dtype == "float32"]
        if not moving:
            return None
        tensor = next((t for t in moving if t.name == name), moving[-1])
        now = self.reference.value(before, values).astype(np.float64)
        threshold = per_channel(op.threshold, now).astype(np.float64)
        ulp = _ulp(op.threshold, now)
        sides = np.array([0 * ulp, 0 * ulp, -edge + 0 * ulp, edge + 0 * ulp, -ulp, ulp])
        exactly = tensor.name == name  # else rounding decides on which side a value comes to lie
        wanted = threshold + np.choose(random.integers(6 if exactly else 4, size=now.shape), sides)
        if tensor.type.dtype == "int32":
            wanted = np.rint(wanted) + random.integers(-1, 2, size=now.shape)
        move = (random.random(now.shape) < MOVED) & np.isfinite(threshold)
        value = self.reference.value(tensor, values).astype(np.float64)
        moved = np.where(move, wanted if exactly else wanted + (value - now), value)
        if value.min(initial=0.0) >= 0:
            moved = np.maximum(moved, 0)
        return {tensor.origin.onnx: self._shown(tensor, moved, values[tensor.origin.onnx])}


def _ulp(threshold: Array, like: Array) -> Array:
    """The distance to the next float, or a little more where that is tiny; in the shape of `like`."""
    finite = np.where(np.isfinite(threshold), np.abs(threshold), 0)
    step = np.maximum(np.spacing(finite.astype(np.float32)), NO_SUBNORMAL).astype(np.float64)
    return np.broadcast_to(per_channel(step, like), like.shape)


def _like_weights(
    bits: Array, op: BinaryConv, aims: Array | None, random: np.random.Generator
) -> Array:
    """Bits whose windows, side by side, are the weights of an output channel each, with some of them flipped.

    Args:
        bits: [1, C, H, W] or [1, C]; the result has its shape.
        op: the convolution that reads them.
        aims: [O], the sums to come near to, on either side; None or not finite: any number of flips.
        random: decides.
    """
    pixels = bits.reshape(*bits.shape, *(1,) * (4 - bits.ndim))
    top, left, bottom, right = op.window.pads
    inner = (..., slice(top, top + pixels.shape[2]), slice(left, left + pixels.shape[3]))
    around = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(pixels.astype(np.int8), around, constant_values=op.pad_value)
    onto = np.zeros(padded.shape, dtype=np.bool_)
    onto[inner] = True
    outputs, depth = op.weight.shape[:2]
    channels = itertools.cycle(random.permutation(outputs).tolist())
    rows, columns = (_windows(op.window, axis, padded.shape[2 + axis], random) for axis in (0, 1))
    for (y, x), o in zip(itertools.product(rows, columns), channels, strict=False):
        first = o // (outputs // op.groups) * depth
        at = (0, slice(first, first + depth), y, x)
        inside, window, weight = onto[at], padded[at], op.weight[o]
        taps = int(inside.sum())
        flips = int(random.integers(taps + 1))
        if aims is not None and np.isfinite(aims[o]):
            rest = float((window * weight)[~inside].sum())
            below = np.clip((taps + rest - aims[o]) / 2, 0, taps)
            flips = int(random.choice([np.floor(below), np.ceil(below)]))
        keep = np.ones(taps, dtype=np.int8)
        keep[random.permutation(taps)[:flips]] = -1
        window[inside] = weight[inside] * keep
    return padded[inner].reshape(bits.shape)


def _windows(window: Window, axis: int, size: int, random: np.random.Generator) -> list[slice]:
    """The rows or columns of windows that do not overlap, on a padded map of this size; the first one at random."""
    stride, dilation = window.strides[axis], window.dilations[axis]
    extent = (window.kernel[axis] - 1) * dilation + 1
    apart = -(-extent // stride) * stride
    last = size - extent
    first = stride * int(random.integers(min(apart, last + 1) // stride or 1))
    return [slice(at, at + extent, dilation) for at in range(first, last + 1, apart)]
