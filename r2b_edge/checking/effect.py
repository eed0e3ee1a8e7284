"""What rounding weights changes, end to end: the reference as it is exported against model.onnx as trained."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from r2b_edge.checking.compare import apart, largest
from r2b_edge.checking.reference import Reference
from r2b_edge.graph.graph import Array
from r2b_edge.report import Effect, FlippedBits


@dataclass
class EffectTally:
    """Runs every sample once more, with the weights as trained.

    Args:
        exported: the reference of the check.
        trained: the same network with its weights as model.onnx has them.
    """

    exported: Reference
    trained: Reference
    samples: int = 0
    agreed: int | None = None
    correct: int | None = None
    max_abs_error: float = 0.0
    largest_output: float = 0.0
    flipped: dict[str, int] = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)

    def add(self, sample: dict[str, Array], values: dict[str, Array], label: int | None) -> None:
        """Compare one sample, of which `exported` made the ONNX tensors `values`."""
        before = self.trained.run(sample)
        was, now = self.trained.outputs(before), self.exported.outputs(values)
        for name, value in now.items():
            error = apart(value, was[name])
            worst = float(error.max(initial=0.0)) if np.isfinite(error).all() else np.inf
            self.max_abs_error = max(self.max_abs_error, worst)
            self.largest_output = max(self.largest_output, largest(was[name]))
        top, top_was = self.exported.top1(now), self.trained.top1(was)
        if top_was is not None:
            self.agreed = (self.agreed or 0) + (top == top_was)
            if label is not None:
                self.correct = (self.correct or 0) + (top_was == label)
        for tensor in self.exported.graph.tensors.values():
            if tensor.type.dtype != "bits" or tensor.origin.onnx not in before:
                continue
            one, other = self.trained.value(tensor, before), self.exported.value(tensor, values)
            name = tensor.origin.onnx
            self.flipped[name] = self.flipped.get(name, 0) + int((one != other).sum())
            self.bits[name] = self.bits.get(name, 0) + one.size
        self.samples += 1

    def effect(self) -> Effect:
        """For the report."""
        return Effect(
            samples=self.samples,
            top1_agreement=self.agreed,
            accuracy=None if self.correct is None else self.correct / self.samples,
            max_abs_error=self.max_abs_error if np.isfinite(self.max_abs_error) else None,
            largest_output=self.largest_output,
            bits=tuple(
                FlippedBits(tensor=name, flipped=count, of=self.bits[name])
                for name, count in self.flipped.items()
            ),
        )
