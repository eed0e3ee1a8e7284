"""Runs an executor against the reference: every step on the reference's inputs, then the whole network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from r2b_edge.checking.compare import TOLERANCE, Comparer, Tally
from r2b_edge.checking.executor import Executor, ExecutorStep, Values, chain
from r2b_edge.checking.reference import Reference
from r2b_edge.graph.graph import Array, Graph
from r2b_edge.ops import BinaryConv, Clip


@dataclass
class Verdict:
    """What was found of one executor.

    Args:
        tallies: one list a step, one tally an output tensor.
        samples: how many were run.
        agreed: samples whose top-1 equals the reference's; None where the output is no vector.
        correct: samples whose top-1 equals the label; None without labels.
        max_abs_error: of the whole network's outputs, against the reference's.
        traced: one line for each sample whose top-1 differs because of margin ties.
        faults: what is wrong although every step is exact: a top-1 that differs without a margin tie, a whole run that
            differs from its steps.
    """

    tallies: list[list[Tally]]
    samples: int = 0
    agreed: int | None = None
    correct: int | None = None
    max_abs_error: float = 0.0
    traced: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def steps_exact(self) -> int:
        """Steps whose output tensors are all exact."""
        return sum(bool(step) and all(t.exact for t in step) for step in self.tallies)

    @property
    def margin_ties(self) -> int:
        """Over all steps and samples."""
        return sum(t.margin_ties for step in self.tallies for t in step)

    @property
    def exact(self) -> bool:
        """Every step exact, and no fault in the whole run."""
        return self.steps_exact == len(self.tallies) and not self.faults


class Verifier:
    """Feeds samples to one executor and keeps its verdict.

    Raises:
        AssertionError: a step writes nothing comparable, or a BinaryConv is in no step or in two: the check itself
            would be worthless.
    """

    def __init__(self, name: str, executor: Executor, graph: Graph, reference: Reference) -> None:
        self.name = name
        self.executor = executor
        self.graph = graph
        self.reference = reference
        self.comparer = Comparer(graph, reference)
        self.verdict = Verdict([self._tallies(step) for step in executor.steps])
        covered = [name for step in executor.steps for name in step.nodes]
        for node in graph.nodes:
            if isinstance(node.op, BinaryConv):
                assert covered.count(node.name) == 1, (
                    f"{name}: {node.name} is in {covered.count(node.name)} steps"
                )
        assert all(step.outputs for step in executor.steps), (
            f"{name}: a step has no output to compare"
        )

    def _tallies(self, step: ExecutorStep) -> list[Tally]:
        """One tally an output; it knows the tensor before the clip that ends in it, if the step holds both."""
        inside = {node.output: node for node in self.graph.nodes if node.name in step.nodes}

        def before_clip(name: str) -> str | None:
            node = inside.get(name)
            clips = node is not None and isinstance(node.op, Clip) and node.inputs[0] in inside
            return node.inputs[0] if node is not None and clips else None

        return [Tally(n, self.graph.type(n).dtype, before_clip(n)) for n in step.outputs]

    def add(self, onnx_values: dict[str, Array], label: int | None = None) -> None:
        """Check one sample, for which the reference gave `onnx_values`."""
        tensors = self.graph.tensors
        for index, step in enumerate(self.executor.steps):
            given = {n: self.reference.value(tensors[n], onnx_values) for n in step.inputs}
            produced = self.executor.run_step(index, given)
            for tally in self.verdict.tallies[index]:
                self.comparer.compare(tally.name, produced[tally.name], onnx_values, tally)
        inputs = {n: self.reference.value(tensors[n], onnx_values) for n in self.graph.inputs}
        self._whole(inputs, onnx_values, label)
        self.verdict.samples += 1

    def _whole(self, inputs: Values, onnx_values: dict[str, Array], label: int | None) -> None:
        """Run the whole network, which single steps do not show to be put together rightly."""
        verdict = self.verdict
        outputs = self.executor.run(inputs)
        reference = self.reference.outputs(onnx_values)
        for name, want in reference.items():
            error = np.abs(outputs[name].astype(np.float64) - want)
            worst = float(error.max(initial=0.0)) if np.isfinite(error).all() else np.inf
            verdict.max_abs_error = max(verdict.max_abs_error, worst)
        if verdict.samples == 0:
            self._same_as_steps(inputs, outputs)
        top, want_top = self.reference.top1(outputs), self.reference.top1(reference)
        if top is None or want_top is None:
            return
        verdict.agreed = (verdict.agreed or 0) + (top == want_top)
        if label is not None:
            verdict.correct = (verdict.correct or 0) + (top == label)
        if top != want_top:
            self._trace(inputs, onnx_values, top, want_top)

    def _same_as_steps(self, inputs: Values, outputs: Values) -> None:
        """The whole run must give what its own steps give, one after another."""
        values = chain(self.executor, inputs)
        for name, output in outputs.items():
            bound = TOLERANCE * float(np.abs(values[name]).max(initial=0.0))
            if not (np.abs(output.astype(np.float64) - values[name]) <= bound).all():
                self.verdict.faults.append(f"the whole run differs from its own steps in {name!r}")

    def _trace(self, inputs: Values, onnx_values: dict[str, Array], top: int, want: int) -> None:
        """Find the first bit that differs in a run of the whole network: it must be a margin tie."""
        values = chain(self.executor, inputs)
        order = [name for step in self.executor.steps for name in step.outputs]
        first = self.comparer.first_difference(order, values, onnx_values)
        what = f"sample {self.verdict.samples}: top-1 is {top}, the reference's {want}"
        if first is None:
            self.verdict.faults.append(f"{what}, and no bit differs")
        elif first.wrong:
            self.verdict.faults.append(
                f"{what}; the first bits that differ, in {first.name!r}, are no margin ties"
            )
        else:
            self.verdict.traced.append(f"{what}; traced to margin ties in {first.name!r}")
