"""Runs an executor against the reference: every step on the reference's inputs, then the whole network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from r2b_edge.checking.compare import TOLERANCE, Comparer, Tally, apart, check_type, largest
from r2b_edge.checking.coverage import verify_coverage
from r2b_edge.checking.executor import Executor, ExecutorStep, Values, chain
from r2b_edge.checking.probes import PROBES, Prober
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.ties import tied
from r2b_edge.graph.graph import Array, Graph, Node
from r2b_edge.ops import AvgPool, Clip, MaxPool, Staircase


@dataclass
class Verdict:
    """What was found of one executor.

    Args:
        tallies: one list a step, one tally an output tensor.
        samples: how many were run.
        agreed: samples whose top-1 equals the reference's; None where the output is no vector.
        correct: samples whose top-1 equals the label; None without labels.
        max_abs_error: of the whole network's outputs, against the reference's.
        traced: one line for each sample whose top-1 differs because of margin ties, or of a tie of two outputs.
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
        """Something was compared, every step is exact, and no fault in the whole run."""
        some = self.samples > 0 and bool(self.tallies)
        return some and self.steps_exact == len(self.tallies) and not self.faults


class Verifier:
    """Feeds samples to one executor and keeps its verdict.

    Args:
        name: of the executor, for messages.
        executor: what is checked.
        graph: what it runs.
        reference: what is right.
        probes: how many samples each step is probed with beside its own values, see probes.py.

    Raises:
        AssertionError: the steps leave something uncompared, see coverage.py: the check itself would be worthless.
    """

    def __init__(
        self,
        name: str,
        executor: Executor,
        graph: Graph,
        reference: Reference,
        probes: int = PROBES,
    ) -> None:
        self.name = name
        self.executor = executor
        self.graph = graph
        self.reference = reference
        self.probes = probes
        self.comparer = Comparer(graph, reference)
        self.prober = Prober(graph, reference, executor.steps)
        verify_coverage(name, graph, executor.steps)
        self.verdict = Verdict([self._tallies(step) for step in executor.steps])

    def _tallies(self, step: ExecutorStep) -> list[Tally]:
        """One tally an output; it knows the tensor before the clip that ends in it, if the step holds both.

        A pool may stand between: what a clip passes on, it passes on.
        """
        inside = {node.output: node for node in self.graph.nodes if node.name in step.nodes}

        def before_clip(name: str) -> str | None:
            node = inside.get(name)
            while node is not None and isinstance(node.op, MaxPool | AvgPool):
                node = inside.get(node.inputs[0])
            clips = node is not None and isinstance(node.op, Clip) and node.inputs[0] in inside
            return node.inputs[0] if node is not None and clips else None

        def stairs(name: str) -> tuple[Node, ...]:
            """The Staircases of the step that `name` comes from."""
            node = inside.get(name)
            if node is None:
                return ()
            above = [found for i in node.inputs for found in stairs(i)]
            return tuple(above) + ((node,) if isinstance(node.op, Staircase) else ())

        types = {name: self.graph.type(name).dtype for name in step.outputs}
        return [Tally(n, types[n], before_clip(n), stairs(n)) for n in step.outputs]

    def add(self, onnx_values: dict[str, Array], label: int | None = None) -> None:
        """Check one sample, for which the reference gave `onnx_values`.

        The steps run last to first: what an executor keeps of a step cannot pass for the inputs that the next one is
        given.
        """
        tensors = self.graph.tensors
        for index, tallies in reversed(list(enumerate(self.verdict.tallies))):
            own = self._run_step(index, onnx_values)
            for tally in tallies:
                self.comparer.compare(tally.name, own[tally.name], onnx_values, tally, own)
        inputs = {n: self.reference.value(tensors[n], onnx_values) for n in self.graph.inputs}
        self._whole(inputs, onnx_values, label)
        if self.verdict.samples < self.probes:
            self._probe(onnx_values)
        self.verdict.samples += 1

    def _probe(self, onnx_values: dict[str, Array]) -> None:
        """Check every step on inputs that no sample brings, made from this one's; see probes.py."""
        for index, tallies in reversed(list(enumerate(self.verdict.tallies))):
            values = self.prober.probe(index, onnx_values, self.verdict.samples)
            if values is None:
                continue
            own = self._run_step(index, values)
            for tally in tallies:
                found, produced = tally.blank(), own[tally.name]
                self.comparer.compare(tally.name, produced, values, found, own, onnx_values)
                tally.add_probe(found)

    def _run_step(self, index: int, onnx_values: dict[str, Array]) -> Values:
        """One step on the reference's values of its inputs: these inputs, and the outputs."""
        tensors, names = self.graph.tensors, self.executor.steps[index].inputs
        given = {name: self.reference.value(tensors[name], onnx_values) for name in names}
        produced = self.executor.run_step(index, given)
        outputs = self.executor.steps[index].outputs
        return given | {name: produced[name] for name in outputs}

    def _whole(self, inputs: Values, onnx_values: dict[str, Array], label: int | None) -> None:
        """Run the whole network, which single steps do not show to be put together rightly."""
        verdict = self.verdict
        outputs = self.executor.run(inputs)
        reference = self.reference.outputs(onnx_values)
        close = True
        for name, want in reference.items():
            check_type(name, outputs[name], self.graph.tensors[name])
            error = apart(outputs[name], want)
            worst = float(error.max(initial=0.0)) if np.isfinite(error).all() else np.inf
            verdict.max_abs_error = max(verdict.max_abs_error, worst)
            close &= worst <= TOLERANCE * largest(want)
        if verdict.samples == 0 or not close:
            self._same_as_steps(inputs, outputs)
        top, want_top = self.reference.top1(outputs), self.reference.top1(reference)
        if top is None or want_top is None:
            return
        verdict.agreed = (verdict.agreed or 0) + (top == want_top)
        if label is not None:
            verdict.correct = (verdict.correct or 0) + (top == label)
        # Outputs that agree tie where a binary layer gives them: whole numbers, two of them equal.
        if top != want_top:
            self._trace(inputs, onnx_values, top, want_top, close)

    def _same_as_steps(self, inputs: Values, outputs: Values) -> None:
        """The whole run must give what its own steps give, one after another.

        Where it gives what the reference gives, this needs no proof; that the first sample has it all the same makes
        the steps' own results known to fit together.
        """
        values = chain(self.executor, inputs)
        for name, output in outputs.items():
            if not (apart(output, values[name]) <= TOLERANCE * largest(values[name])).all():
                fault = f"the whole run differs from its own steps in {name!r}"
                if fault not in self.verdict.faults:
                    self.verdict.faults.append(fault)

    def _trace(
        self, inputs: Values, onnx_values: dict[str, Array], top: int, want: int, close: bool
    ) -> None:
        """Find why another output is the largest in a run of the whole network.

        Either all outputs are `close` to the reference's, and the two tie; or the first bit, or byte, that differs is a
        margin tie; or none differs, and the two tie in the reference.
        """
        what = f"sample {self.verdict.samples}: top-1 is {top}, the reference's {want}"
        if close:
            self.verdict.traced.append(f"{what}: a tie within rounding")
            return
        values = chain(self.executor, inputs)
        order = [name for step in self.executor.steps for name in step.outputs]
        first = self.comparer.first_difference(order, values, onnx_values)
        if first is None and tied(self.graph, self.reference, onnx_values, top, want):
            self.verdict.traced.append(f"{what}: a tie within rounding")
        elif first is None:
            self.verdict.faults.append(f"{what}, and no bit differs")
        elif first.wrong:
            self.verdict.faults.append(
                f"{what}; the first bits that differ, in {first.name!r}, are no margin ties"
            )
        else:
            self.verdict.traced.append(f"{what}; traced to margin ties in {first.name!r}")
