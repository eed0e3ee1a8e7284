"""What exact means: one tensor of one step against the reference.

* bits are equal, except where the reference's value before the sign lies within MARGIN of its threshold: a margin tie.
  The values of a Staircase likewise, with all that the step makes of them;
* a margin tie is no fault where an integer dot product lies on the threshold, so that the bit is +1, as produced, and
  the reference's own rounding moved its float sum beyond: a true tie. The others are few, at most MAX_TIES;
* integers are equal;
* floats differ by at most TOLERANCE x the largest finite magnitude of the tensor. Where a step clips inside of itself
  (a dense layer with its ReLU), a value may also lie between the clips of what is TOLERANCE x the largest magnitude
  before the clip below and above: a clip can leave next to nothing of a tensor, but it passes on the rounding of the
  sums before it, which is the reference's own too, and no more than that.

Floats are compared as the reference shows them, after the origin's scale and offset. Where the scale is 0, the
reference does not show the value, which then reaches nothing: it must show the offset, and the value counts as hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from r2b_edge.checking.reference import Reference, affine_of
from r2b_edge.graph.graph import Array, Graph, Node, Tensor
from r2b_edge.ops import (
    AvgPool,
    BinaryMaxPool,
    ChannelAffine,
    MaxPool,
    Op,
    QuantConv,
    Staircase,
    Step,
)
from r2b_edge.ops.base import per_channel
from r2b_edge.ops.integers import quantise

TOLERANCE = 1e-5
MARGIN = 1e-5
MAX_TIES = 1e-4
"""Of a tensor's bits; more margin ties than this make it inexact."""
DTYPES = {"bits": np.int8, "int32": np.int32, "float32": np.float32}
"""What an executor gives for a graph's dtypes; see Values."""
MAX_ZEROS = 1e-6
"""Of a tensor's bits; where torch's sign(0) = 0 shows more often than this, the bit does not stand for it."""


@dataclass
class Tally:
    """What was seen of one output tensor over all samples.

    Args:
        name: of the tensor in the graph.
        dtype: its dtype there.
        before_clip: the tensor that the step clips to make this one, if it does; a pool may follow the clip.
        stairs: Staircases in the step that this one comes from: a value whose threshold is near may be another one.
        compared: values that the reference shows.
        hidden: values that it does not show.
        wrong: values outside of the contract.
        margin_ties: bits, and values of a Staircase, that differ inside of the margin.
        true_ties: of these, those that are right, and the reference's bit is rounded off; see the module.
        zeros: zeros of torch's sign in the reference.
        probed: values compared on inputs that no sample brought, see probes.py.
        wrong_probed: of these, those outside of the contract.
        max_abs_error: of floats; infinite where one is not finite.
        max_probed_error: the same of the probes.
    """

    name: str
    dtype: str
    before_clip: str | None = None
    stairs: tuple[Node, ...] = ()
    compared: int = 0
    hidden: int = 0
    wrong: int = 0
    margin_ties: int = 0
    true_ties: int = 0
    zeros: int = 0
    probed: int = 0
    wrong_probed: int = 0
    max_abs_error: float = 0.0
    max_probed_error: float = 0.0

    @property
    def exact(self) -> bool:
        """Compared, and within the contract in every value of every sample."""
        ties = self.margin_ties - self.true_ties
        few = ties <= MAX_TIES * self.compared and self.zeros <= MAX_ZEROS * self.compared
        right = self.wrong == 0 and self.wrong_probed == 0
        return self.compared + self.hidden > 0 and right and few

    def blank(self) -> Tally:
        """A tally of the same tensor in which nothing is counted yet."""
        return Tally(self.name, self.dtype, self.before_clip, self.stairs)

    def add_probe(self, probe: Tally) -> None:
        """Take over what a probe has found, but for its margin ties, which it asks for."""
        self.probed += probe.compared + probe.hidden
        self.wrong_probed += probe.wrong
        self.max_probed_error = max(self.max_probed_error, probe.max_abs_error)


class Comparer:
    """Compares tensors of a graph with the reference.

    Args:
        graph: the graph; its Steps tell what a bit's value before the sign is.
        reference: gives the values.
    """

    def __init__(self, graph: Graph, reference: Reference) -> None:
        self.graph = graph
        self.reference = reference
        self._producers = graph.producers()

    def compare(
        self,
        name: str,
        produced: Array,
        onnx_values: dict[str, Array],
        tally: Tally,
        own: dict[str, Array] | None = None,
        sample: dict[str, Array] | None = None,
    ) -> None:
        """Add one sample's tensor to its tally.

        Args:
            name: of the tensor in the graph.
            produced: what the executor made of it.
            onnx_values: the reference's tensors.
            tally: where to count.
            own: all tensors of the step as the executor has them. A bit whose value before the sign is among them is
                excused by the margin only if it is right for that value, ties included.
            sample: where `onnx_values` are a probe's (see probes.py), those of the sample that it was made from.
                Magnitudes are then at least the sample's: the rounding of what a probe makes small may be the
                reference's own.

        Raises:
            ValueError: it has not the shape or the dtype of its graph tensor.
        """
        tensor = self.graph.tensors[name]
        check_type(name, produced, tensor)
        shown = tensor.origin.inside(onnx_values[tensor.origin.onnx], tensor.type.shape)
        scale, offset = affine_of(tensor, shown)
        hidden = np.broadcast_to(scale == 0, shown.shape)
        tally.hidden += int(hidden.sum())
        tally.compared += int((~hidden).sum())
        if tensor.type.dtype == "bits":
            node = self._producers[name]
            self._bits(tensor, node, produced, shown, onnx_values, tally, own or {}, sample)
        elif tensor.type.dtype == "int32":
            want = self.reference.value(tensor, onnx_values)
            tally.wrong += int(((produced != want) & ~hidden).sum())
            untrue = ~(np.abs(shown - offset) <= TOLERANCE * largest(shown))
            tally.wrong += int((untrue & hidden).sum())
        else:
            self._floats(tensor, produced, shown, onnx_values, tally, sample)

    def _bits(
        self, tensor: Tensor, node: Node, produced: Array, shown: Array, onnx_values: dict[str, Array], tally: Tally,
        own: dict[str, Array], sample: dict[str, Array] | None,
    ) -> None:  # fmt: skip
        want = self.reference.value(tensor, onnx_values)
        near = self._near(node, onnx_values, sample)
        if isinstance(node.op, Step) and node.inputs[0] in own:
            near &= produced == node.op.reference(own[node.inputs[0]])
        differ = produced != want
        tally.wrong += int((differ & ~near).sum())
        tally.margin_ties += int((differ & near).sum())
        if (differ & near).any():
            rounded_off = self._rounded_off(node, onnx_values)
            tally.true_ties += int((differ & near & rounded_off & (produced == 1)).sum())
        scale, offset = affine_of(tensor, shown)
        tally.zeros += int((np.abs(shown - offset) < 0.5 * np.abs(scale)).sum())

    def _rounded_off(self, node: Node, onnx_values: dict[str, Array]) -> Array:
        """Where the reference's rounding alone makes a Step's bit -1.

        The value before it is an integer dot product or an affine map of one, and in exact arithmetic the threshold
        itself, but the reference shows a sum beyond it. The products are exact in double; a sum that is not can only
        be taken for off the threshold.
        """
        nowhere = np.zeros(self.graph.type(node.output).shape, dtype=np.bool_)
        if not isinstance(node.op, Step):
            return nowhere
        before, factor, shift = node.inputs[0], np.ones(1), np.zeros(1)
        affine = self._producers.get(before)
        if affine is not None and isinstance(affine.op, ChannelAffine):
            before = affine.inputs[0]
            factor, shift = affine.op.scale.astype(np.float64), affine.op.offset.astype(np.float64)
        dots, read = self.graph.tensors[before], self.graph.tensors[node.inputs[0]]
        if dots.type.dtype != "int32" or dots.origin.onnx not in onnx_values:
            return nowhere
        dot = self.reference.value(dots, onnx_values).astype(np.float64)
        exact = dot * per_channel(factor, dot) + per_channel(shift, dot)
        shown = read.origin.inside(onnx_values[read.origin.onnx], read.type.shape)
        scale, offset = affine_of(read, shown)
        with np.errstate(divide="ignore", invalid="ignore"):
            rounded = (shown.astype(np.float64) - offset) / scale
        threshold, direction = (per_channel(v, dot) for v in (node.op.threshold, node.op.direction))
        return np.asarray((exact == threshold) & ((rounded - threshold) * direction < 0))

    def _near(
        self, node: Node, onnx_values: dict[str, Array], sample: dict[str, Array] | None
    ) -> Array:
        """Where a Step or a Staircase decides within the margin, in the shape of its output.

        The two that stand for the sign of what is not monotonic count as one. A BinaryMaxPool reads bits: nothing is
        near.
        """
        tensor = self.graph.tensors[node.inputs[0]]
        if isinstance(node.op, BinaryMaxPool):
            return np.zeros(self.graph.type(node.output).shape, dtype=np.bool_)
        assert isinstance(node.op, Step | Staircase)
        before = self.reference.value(tensor, onnx_values)
        thresholds = node.op.thresholds.T if isinstance(node.op, Staircase) else [node.op.threshold]
        with np.errstate(invalid="ignore"):  # an infinity is no distance from itself, and no tie
            distances = [
                np.abs(before.astype(np.float64) - per_channel(t, before)) for t in thresholds
            ]
        near = np.asarray(
            np.min(distances, axis=0) <= MARGIN * self._largest(tensor, before, sample)
        )
        stairs = self._producers.get(tensor.name)
        if isinstance(node.op, Step) and stairs is not None and isinstance(stairs.op, Staircase):
            # A probe does not know what lies before its step.
            known = self.graph.tensors[stairs.inputs[0]].origin.onnx in onnx_values
            near |= known and self._near(stairs, onnx_values, sample)
        return near

    def _floats(
        self, tensor: Tensor, produced: Array, shown: Array, onnx_values: dict[str, Array], tally: Tally,
        sample: dict[str, Array] | None,
    ) -> None:  # fmt: skip
        scale, offset = affine_of(tensor, shown)
        error = apart(produced.astype(np.float64) * scale + offset, shown)
        least = 0.0 if sample is None else largest(sample[tensor.origin.onnx])
        bound = np.asarray(TOLERANCE * max(largest(shown), least))
        if tally.before_clip is not None:
            bound = np.maximum(bound, self._passed_on(tally, onnx_values) * np.abs(scale))
        wrong = ~(error <= bound)
        for node in tally.stairs:
            near = self._pooled(self._near(node, onnx_values, sample), node, tensor.name)
            if near.ndim > wrong.ndim:  # a mean over the map
                near = near.any(axis=(2, 3))
            near = near & np.isfinite(error)  # a NaN is on no stair
            tally.margin_ties += int((wrong & near).sum())
            error = np.where(wrong & near, 0.0, error)
            wrong &= ~near
        tally.wrong += int(wrong.sum())
        worst = float(error.max(initial=0.0)) if np.isfinite(error).all() else np.inf
        tally.max_abs_error = max(tally.max_abs_error, worst)

    def _pooled(self, near: Array, stairs: Node, name: str) -> Array:
        """Where a window of the pools between a Staircase and `name`, in one step, holds one that is near."""
        pools: list[MaxPool | AvgPool] = []
        while (node := self._producers.get(name)) is not None and node is not stairs:
            if isinstance(node.op, MaxPool | AvgPool):
                pools.insert(0, node.op)
            name = node.inputs[0]
        if node is None:  # by way of another input: no pool is between
            return near
        for pool in pools:
            near = MaxPool(pool.window).reference(near.astype(np.float32)) > 0
        return near

    def _largest(self, tensor: Tensor, value: Array, sample: dict[str, Array] | None) -> float:
        least = 0.0 if sample is None else largest(self.reference.value(tensor, sample))
        return max(largest(value), least)

    def _passed_on(self, tally: Tally, onnx_values: dict[str, Array]) -> Array:
        """How far each value may be off for what the clip that makes it passes on of the rounding before it."""
        assert tally.before_clip is not None
        before = self.reference.value(self.graph.tensors[tally.before_clip], onnx_values)
        rising: list[Op] = []  # the clip, and a pool behind it
        name = tally.name
        while name != tally.before_clip:
            node = self._producers[name]
            rising.insert(0, node.op)
            (name,) = node.inputs

        def behind(value: Array) -> Array:
            for op in rising:
                value = op.reference(value).astype(np.float64)
            return value

        exact = behind(before)
        slack = TOLERANCE * largest(before)
        with np.errstate(invalid="ignore"):
            sides = [behind((before + s).astype(np.float64)) for s in (-slack, slack)]
            return np.asarray(np.maximum(exact - sides[0], sides[1] - exact))

    def first_difference(
        self, names: list[str], values: dict[str, Array], onnx_values: dict[str, Array]
    ) -> Tally | None:
        """The first tensor, in the order of `names`, whose bits or bytes differ from the reference's at all.

        Real values that a QuantConv reads are compared by the bytes that they become: a tie of the margin is one that
        differs although the real value does not, beyond the tolerance.
        """
        for name in names:
            tally = self._first_bytes(name, values[name], onnx_values)
            if tally is not None:
                return tally
            if self.graph.type(name).dtype == "bits":
                tally = Tally(name, "bits")
                self.compare(name, values[name], onnx_values, tally)
                if tally.wrong or tally.margin_ties:
                    return tally
        return None

    def _first_bytes(
        self, name: str, produced: Array, onnx_values: dict[str, Array]
    ) -> Tally | None:
        """What differs of the bytes that QuantConvs make of a tensor; None if nothing does."""
        quantised = [
            n.op for n in self.graph.nodes if name in n.inputs and isinstance(n.op, QuantConv)
        ]
        for op in quantised:
            want = self.reference.value(self.graph.tensors[name], onnx_values)
            near = apart(produced, want) <= TOLERANCE * largest(want)
            one, other = (quantise(v, op.inverse, op.zero_point) for v in (produced, want))
            if (one != other).any():
                tally = Tally(name, "float32")
                tally.wrong = int(((one != other) & ~near).sum())
                tally.margin_ties = int(((one != other) & near).sum())
                return tally
        return None


def check_type(name: str, produced: Array, tensor: Tensor) -> None:
    """Refuse what has not the shape or the dtype of its graph tensor; numpy would broadcast and convert it.

    Raises:
        ValueError: names the tensor and both sides.
    """
    if tuple(produced.shape) != tensor.type.shape:
        raise ValueError(f"{name!r} has shape {produced.shape}, not {tensor.type.shape}")
    if produced.dtype != DTYPES[tensor.type.dtype]:
        raise ValueError(f"{name!r} holds {produced.dtype}, not {tensor.type.dtype}")


def largest(values: Array) -> float:
    """The largest finite magnitude: an infinity would make every error small beside it."""
    magnitudes = np.abs(values.astype(np.float64))
    return float(magnitudes.max(initial=0.0, where=np.isfinite(magnitudes)))


def apart(a: Array, b: Array) -> Array:
    """How far apart numbers are: 0 for equal infinities; NaN, which is within no bound, where one is NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(a == b, 0.0, np.abs(a.astype(np.float64) - b)))
