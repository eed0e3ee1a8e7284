"""The verifier: a planted bug is caught, and a check that would be worthless does not start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exactness import canonical, verdict_of
from small_onnx import Net, floats, signs

from r2b_edge import ops, passes
from r2b_edge.checking.executor import ExecutorStep, GraphExecutor, Values, chain
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.samples import random_samples, split_samples
from r2b_edge.checking.verify import Verifier
from r2b_edge.errors import InputError
from r2b_edge.graph import Graph

Pair = tuple[Graph, Reference]


@pytest.fixture
def pair(random: np.random.Generator, tmp_path: Path) -> Pair:
    """Binary convolution, PReLU, skip, binary convolution, mean, dense layer."""
    net = Net((1, 8, 6, 6))
    x = "x"
    for _ in range(2):
        z = net.sign(net.random_batch_norm(x, 8, random))
        y = net.conv(z, 0.1 * signs(random, 8, 8, 3, 3), floats(random, 8), pads=[1] * 4)
        x = net.op("Add", net.op("PRelu", y, floats(random, 8, 1, 1)), x)
    mean = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.op("Gemm", mean, floats(random, 8, 5), floats(random, 5))
    return canonical(net, tmp_path)


class Faulty(GraphExecutor):
    """Spoils the output of one kind of op, by a function of the value, in steps and in whole runs."""

    def __init__(self, graph: Graph, kind: type, error: float) -> None:
        super().__init__(graph)
        self.kind = kind
        self.error = error

    def run_step(self, index: int, inputs: Values) -> Values:
        values = super().run_step(index, inputs)
        node = self.graph.nodes[index]
        if isinstance(node.op, self.kind):
            value = values[node.output].copy()
            place = (0,) * value.ndim
            value[place] = -value[place] if value.dtype == np.int8 else value[place] + self.error
            values[node.output] = value
        return values

    def run(self, inputs: Values) -> Values:
        values = chain(self, inputs)
        return {name: values[name] for name in self.graph.outputs}


@pytest.mark.parametrize(
    "kind", [ops.Step, ops.BinaryConv, ops.ChannelAffine, ops.PReLU, ops.Add, ops.GlobalAvgPool, ops.Dense]
)  # fmt: skip
def test_one_wrong_value_makes_its_step_inexact(kind: type, pair: Pair) -> None:
    graph, reference = pair
    verdict = verdict_of(graph, reference, Faulty(graph, kind, 2))
    wrong = {t[0].name for t in verdict.tallies if not t[0].exact}
    assert wrong == {n.output for n in graph.nodes if isinstance(n.op, kind)}
    assert not verdict.exact


def test_the_right_executor_is_exact(pair: Pair) -> None:
    graph, reference = pair
    verdict = verdict_of(graph, reference)
    assert verdict.exact
    assert verdict.steps_exact == len(graph.nodes)
    assert verdict.samples == 3
    assert verdict.agreed == 3


def test_an_error_in_one_sample_of_many_is_seen(pair: Pair) -> None:
    graph, reference = pair

    class Once(Faulty):
        calls = 0

        def run_step(self, index: int, inputs: Values) -> Values:
            if isinstance(self.graph.nodes[index].op, ops.BinaryConv):
                Once.calls += 1
            # Sample 0: its steps, a whole run and the chain, two convolutions each; then sample 1's steps.
            self.error = 2 if Once.calls == 7 else 0
            return super().run_step(index, inputs)

    verdict = verdict_of(graph, reference, Once(graph, ops.BinaryConv, 0), probes=0)
    assert sum(t[0].wrong for t in verdict.tallies) == 1
    assert not verdict.exact


class Swapped(GraphExecutor):
    """All steps are right, the whole network is not."""

    def run(self, inputs: Values) -> Values:
        return {name: -value for name, value in super().run(inputs).items()}


def test_a_whole_run_that_disagrees_without_any_different_bit(pair: Pair) -> None:
    graph, reference = pair
    verdict = verdict_of(graph, reference, Swapped(graph))
    assert verdict.steps_exact == len(graph.nodes)
    assert verdict.agreed == 0
    assert not verdict.exact
    assert verdict.faults[0] == f"the whole run differs from its own steps in {graph.outputs[0]!r}"
    assert len(verdict.faults) == 4
    assert verdict.faults[1].endswith("and no bit differs")


def test_a_top1_that_a_wrong_bit_explains_is_not_excused(pair: Pair) -> None:
    graph, reference = pair

    class Inverted(GraphExecutor):
        def run_step(self, index: int, inputs: Values) -> Values:
            values = super().run_step(index, inputs)
            invert = isinstance(self.graph.nodes[index].op, ops.Step | ops.Dense)
            return {name: -value if invert else value for name, value in values.items()}

        def run(self, inputs: Values) -> Values:
            values = chain(self, inputs)
            return {name: values[name] for name in self.graph.outputs}

    verdict = verdict_of(graph, reference, Inverted(graph))
    assert verdict.faults
    assert not verdict.traced
    first = next(n.output for n in graph.nodes if isinstance(n.op, ops.Step))
    assert f"the first bits that differ, in {first!r}, are no margin ties" in verdict.faults[0]


def test_a_top1_of_equal_outputs_is_a_tie(random: np.random.Generator, tmp_path: Path) -> None:
    """Such as the whole numbers that a binary layer gives: rounding decides which of them counts as the largest."""
    net = Net((1, 8))
    net.op("Gemm", "x", np.repeat(floats(random, 8, 1), 2, axis=1), np.zeros(2, np.float32))
    graph, reference = canonical(net, tmp_path)

    class Second(GraphExecutor):
        def run(self, inputs: Values) -> Values:
            rounding = np.array([[0, 1e-6]], np.float32)
            return {n: y + np.abs(y) * rounding for n, y in super().run(inputs).items()}

    verdict = verdict_of(graph, reference, Second(graph))
    assert verdict.exact
    assert verdict.agreed == 0
    assert verdict.traced[0] == "sample 0: top-1 is 1, the reference's 0: a tie within rounding"
    assert len(verdict.traced) == 3


def test_an_output_that_is_not_a_number_is_not_taken_for_a_small_error(pair: Pair) -> None:
    graph, reference = pair

    class Nan(GraphExecutor):
        def run(self, inputs: Values) -> Values:
            return {name: value * np.float32(np.nan) for name, value in super().run(inputs).items()}

    verdict = verdict_of(graph, reference, Nan(graph))
    assert verdict.max_abs_error == np.inf
    assert not verdict.exact


def merged(graph: Graph, drop: int | None, double: int | None) -> GraphExecutor:
    """An executor whose steps leave out one BinaryConv, or hold it twice."""
    executor = GraphExecutor(graph)
    steps = list(executor.steps)
    if drop is not None:
        steps[drop] = ExecutorStep((), steps[drop].inputs, steps[drop].outputs)
    if double is not None:
        steps.append(steps[double])
    executor.steps = tuple(steps)
    return executor


def test_each_binary_convolution_belongs_to_one_step(pair: Pair) -> None:
    graph, reference = pair
    at = next(i for i, n in enumerate(graph.nodes) if isinstance(n.op, ops.BinaryConv))
    with pytest.raises(AssertionError, match="is in 0 steps"):
        Verifier("test", merged(graph, at, None), graph, reference)
    with pytest.raises(AssertionError, match="is in 2 steps"):
        Verifier("test", merged(graph, None, at), graph, reference)


def test_a_step_without_output_is_no_step(pair: Pair) -> None:
    graph, reference = pair
    executor = GraphExecutor(graph)
    executor.steps = (*executor.steps, ExecutorStep((), (), ()))
    with pytest.raises(AssertionError, match="no output to compare"):
        Verifier("test", executor, graph, reference)


def test_an_executor_that_keeps_an_output_to_itself(pair: Pair) -> None:
    graph, reference = pair

    class Silent(GraphExecutor):
        def run_step(self, index: int, inputs: Values) -> Values:
            return {}

    with pytest.raises(KeyError):
        verdict_of(graph, reference, Silent(graph))


def test_steps_read_the_references_values_not_those_of_other_steps(pair: Pair) -> None:
    """A wrong step does not spoil the verdict of the steps after it."""
    graph, reference = pair
    verdict = verdict_of(graph, reference, Faulty(graph, ops.Step, 0))
    assert verdict.steps_exact == len(graph.nodes) - 2


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_samples(dtype: type, pair: Pair) -> None:
    samples = split_samples(np.ones((3, 8, 6, 6), dtype), pair[0])
    assert len(samples) == 3
    assert samples[0]["x"].shape == (1, 8, 6, 6)
    assert samples[0]["x"].dtype == np.float32


def spoiled(value: float) -> np.ndarray:
    samples = np.zeros((2, 8, 6, 6), np.float32)
    samples[1, 2, 3, 4] = value
    return samples


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros((3, 8, 6, 6)), "samples are float64"),
        (np.zeros((3, 8, 6, 6), np.int64), "samples are int64"),
        (np.array([object()]), "samples are object"),
        (np.zeros((3, 6, 6, 8), np.float32), r"shape \[3, 6, 6, 8\]; the model takes \[N, 8, 6, 6\]"),
        (np.zeros((8, 6, 6), np.float32), r"shape \[8, 6, 6\]"),
        (np.zeros((3, 1, 8, 6, 6), np.float32), r"shape \[3, 1, 8, 6, 6\]"),
        (np.zeros((0, 8, 6, 6), np.float32), r"shape \[0, 8, 6, 6\]"),
        (np.float32(1), r"shape \[\]"),
        (spoiled(np.nan), "NaN or infinity"),
        (spoiled(np.inf), "NaN or infinity"),
    ],
)  # fmt: skip
def test_samples_that_do_not_fit(samples: np.ndarray, says: str, pair: Pair) -> None:
    with pytest.raises(InputError, match=says):
        split_samples(np.asarray(samples), pair[0])


def test_samples_for_two_inputs(tmp_path: Path) -> None:
    net = Net()
    net.inputs.append(net.inputs[0].FromString(net.inputs[0].SerializeToString()))
    net.inputs[1].name = "w"
    net.op("Add", "x", "w")
    with pytest.raises(InputError, match="2 inputs"):
        split_samples(np.zeros((1, 4, 6, 6), np.float32), net.graph(tmp_path))


def test_random_samples_are_seeded_images(pair: Pair) -> None:
    first, second = random_samples(pair[0], 2), random_samples(pair[0], 2)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])
    assert first[0]["x"].shape == (1, 8, 6, 6)
    assert (first[0]["x"] != first[1]["x"]).any()
    assert 0 <= first[0]["x"].min() < 60 < 190 < first[0]["x"].max() <= 255


class FusedClip(GraphExecutor):
    """The oracle with a Clip fused into the layer before it, as a backend does it, and an error added before it."""

    def __init__(self, graph: Graph, error: float) -> None:
        super().__init__(graph)
        self.error = np.float32(error)
        conv, clip = graph.nodes
        self.steps = (ExecutorStep((conv.name, clip.name), conv.inputs, (clip.output,)),)

    def run_step(self, index: int, inputs: Values) -> Values:
        conv, clip = self.graph.nodes
        before = conv.op.reference(inputs[conv.inputs[0]]) + self.error
        return {clip.output: clip.op.reference(before)}


@pytest.mark.parametrize(("error", "exact"), [(0.0, True), (4e-6, True), (1e-4, False)])
def test_a_fused_clip_is_compared_at_the_scale_before_it(
    error: float, exact: bool, tmp_path: Path
) -> None:
    """The clip leaves values up to 0.1 of sums near 1, whose rounding it passes on."""
    net = Net((1, 4, 6, 6))
    weight = np.abs(floats(np.random.default_rng(3), 4, 4, 1, 1)) * 0.1
    y = net.conv("x", -weight, np.full(4, 0.1, np.float32))
    net.op("Relu", y)
    graph = passes.run(net.graph(tmp_path))
    reference = Reference(tmp_path / "model.onnx", graph)
    assert [type(node.op) for node in graph.nodes] == [ops.FloatConv, ops.Clip]
    verifier = Verifier("fused", FusedClip(graph, error), graph, reference)
    verifier.add(reference.run({"x": np.abs(floats(np.random.default_rng(4), 1, 4, 6, 6))}))
    assert [t.exact for step in verifier.verdict.tallies for t in step] == [exact]
