"""What exact means: one tensor of one step against the reference.

* bits are equal, except where the reference's value before the sign lies within MARGIN of its threshold: a margin tie;
* integers are equal;
* floats differ by at most TOLERANCE x the largest magnitude of the tensor. Where a step clips inside of itself (a dense
  layer with its ReLU), that is the magnitude before the clip: a clip can leave next to nothing of a tensor, but it
  passes on the rounding of the sums before it, which is the reference's own too.

Floats are compared as the reference shows them, after the origin's scale and offset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from r2b_edge.checking.reference import Reference, affine_of
from r2b_edge.graph.graph import Array, Graph, Node, Tensor
from r2b_edge.ops import Step
from r2b_edge.ops.base import per_channel

TOLERANCE = 1e-5
MARGIN = 1e-5
MAX_TIES = 1e-4
"""Of a tensor's bits; more margin ties than this make it inexact."""
MAX_ZEROS = 1e-6
"""Of a tensor's bits; where torch's sign(0) = 0 shows more often than this, the bit does not stand for it."""


@dataclass
class Tally:
    """What was seen of one output tensor over all samples."""

    name: str
    dtype: str
    before_clip: str | None = None
    compared: int = 0
    wrong: int = 0
    margin_ties: int = 0
    zeros: int = 0
    max_abs_error: float = 0.0

    @property
    def exact(self) -> bool:
        """Compared, and within the contract in every value of every sample."""
        few = (
            self.margin_ties <= MAX_TIES * self.compared and self.zeros <= MAX_ZEROS * self.compared
        )
        return self.compared > 0 and self.wrong == 0 and few


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
        self, name: str, produced: Array, onnx_values: dict[str, Array], tally: Tally
    ) -> None:
        """Add one sample's tensor to its tally."""
        tensor = self.graph.tensors[name]
        if tuple(produced.shape) != tensor.type.shape:
            raise ValueError(f"{name!r} has shape {produced.shape}, not {tensor.type.shape}")
        tally.compared += produced.size
        shown = onnx_values[tensor.origin.onnx].reshape(tensor.type.shape)
        if tensor.type.dtype == "bits":
            node = self._producers[name]
            self._bits(tensor, node, produced, shown, onnx_values, tally)
        elif tensor.type.dtype == "int32":
            scale, _ = affine_of(tensor, shown)
            want = self.reference.value(tensor, onnx_values)
            tally.wrong += int(((produced != want) & (scale != 0)).sum())
        else:
            self._floats(tensor, produced, shown, onnx_values, tally)

    def _bits(
        self, tensor: Tensor, node: Node, produced: Array, shown: Array, onnx_values: dict[str, Array], tally: Tally
    ) -> None:  # fmt: skip
        assert isinstance(node.op, Step)
        want = self.reference.value(tensor, onnx_values)
        before = self.reference.value(self.graph.tensors[node.inputs[0]], onnx_values)
        distance = np.abs(before.astype(np.float64) - per_channel(node.op.threshold, before))
        near = distance <= MARGIN * np.abs(before).max(initial=0.0)
        differ = produced != want
        tally.wrong += int((differ & ~near).sum())
        tally.margin_ties += int((differ & near).sum())
        scale, offset = affine_of(tensor, shown)
        tally.zeros += int((np.abs(shown - offset) < 0.5 * np.abs(scale)).sum())

    def _floats(
        self, tensor: Tensor, produced: Array, shown: Array, onnx_values: dict[str, Array], tally: Tally
    ) -> None:  # fmt: skip
        scale, offset = affine_of(tensor, shown)
        error = np.abs(produced.astype(np.float64) * scale + offset - shown)
        magnitude = float(np.abs(shown).max(initial=0.0))
        if tally.before_clip is not None:
            before = self.reference.value(self.graph.tensors[tally.before_clip], onnx_values)
            magnitude = max(magnitude, float(np.abs(before).max(initial=0.0)))
        bound = TOLERANCE * magnitude
        tally.wrong += int((~(error <= bound)).sum())  # a NaN is wrong
        worst = float(error.max(initial=0.0))
        tally.max_abs_error = max(tally.max_abs_error, worst)

    def first_difference(
        self, names: list[str], values: dict[str, Array], onnx_values: dict[str, Array]
    ) -> Tally | None:
        """The first bit tensor, in the order of `names`, that differs from the reference at all."""
        for name in names:
            if self.graph.type(name).dtype == "bits":
                tally = Tally(name, "bits")
                self.compare(name, values[name], onnx_values, tally)
                if tally.wrong or tally.margin_ties:
                    return tally
        return None
