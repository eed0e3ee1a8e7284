"""Margins and tolerances are those of the contract: ties are counted one by one, and no outlier widens a bound."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from exactness import BySteps, canonical, inexact_steps, verdict_of
from hypothesis import given, settings
from hypothesis import strategies as st
from small_onnx import Net, signs

from r2b_edge import ops
from r2b_edge.checking.compare import MARGIN, MAX_TIES, Comparer, Tally
from r2b_edge.checking.executor import ExecutorStep, Values
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verifier
from r2b_edge.graph import Graph
from r2b_edge.graph.graph import Array

Pair = tuple[Graph, Reference]

# --- margin ties ---

CHANNELS, SIZE = 4, 160
BITS = CHANNELS * SIZE * SIZE  # 102,400, of which MAX_TIES allows 10.24


class Ties(BySteps):
    """The oracle, with the first `count` bits of each sample inverted, as rounding may do it where they are near.

    With `fused`, the sign and what is before it are one step: the value that it decides on is not shown.
    """

    def __init__(self, graph: Graph, count: int, fused: bool = True) -> None:
        super().__init__(graph)
        self.count = count
        self.fused = fused
        first, sign, *rest = self.steps
        if fused:
            both = ExecutorStep((*first.nodes, *sign.nodes), first.inputs, sign.outputs)
            self.steps = (both, *rest)

    def run_step(self, index: int, inputs: Values) -> Values:
        first, sign, *rest = self.graph.nodes
        if self.fused and index > 0:
            return {rest[index - 1].output: rest[index - 1].op.reference(*inputs.values())}
        values = inputs
        if self.fused or index == 0:
            values = {first.output: first.op.reference(*inputs.values())}
        if self.fused or index == 1:
            values = {sign.output: sign.op.reference(*values.values())}
            bits = values[sign.output].flat
            bits[: self.count] = -bits[: self.count]
        return values if self.fused or index < 2 else super().run_step(index, inputs)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """x -> a float convolution that changes nothing -> sign -> a binary convolution."""
    net = Net((1, CHANNELS, SIZE, SIZE))
    y = net.conv("x", np.ones((CHANNELS, 1, 1, 1), np.float32), group=CHANNELS)
    net.conv(net.sign(y), signs(np.random.default_rng(2), 1, CHANNELS, 1, 1))
    pair = canonical(net, tmp_path_factory.mktemp("signed"))
    assert [type(n.op) for n in pair[0].nodes[:3]] == [ops.FloatConv, ops.Step, ops.BinaryConv]
    return pair


def near_zero(seed: int, count: int) -> Values:
    """Values of at most 1, the first `count` of them inside of the margin, all others outside."""
    random = np.random.default_rng(seed)
    x = random.uniform(0.01, 1, BITS) * random.choice([-1, 1], BITS)
    x[0] = 1
    x[:count] = random.uniform(-1, 1, count) * MARGIN
    x[-1] = 1
    return {"x": x.reshape(1, CHANNELS, SIZE, SIZE).astype(np.float32)}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_margin_ties_are_counted_one_by_one(signed: Pair, counts: list[int]) -> None:
    """Over all samples; up to MAX_TIES of the bits they are allowed, and one more is one too many."""
    graph, reference = signed
    executor = Ties(graph, 0)
    verifier = Verifier("test", executor, graph, reference, probes=0)
    for seed, count in enumerate(counts):
        executor.count = count
        verifier.add(reference.run(near_zero(seed, 30)))
    (tally,) = verifier.verdict.tallies[0]
    assert (tally.wrong, tally.margin_ties) == (0, sum(counts))
    assert tally.compared == BITS * len(counts)
    assert verifier.verdict.margin_ties == sum(counts)
    assert tally.exact == (sum(counts) <= int(MAX_TIES * BITS * len(counts)))
    assert (inexact_steps(verifier.verdict) == []) == tally.exact


@pytest.mark.parametrize(("ties", "exact"), [(0, True), (10, True), (11, False), (30, False)])
def test_ten_ties_of_100_000_bits_are_allowed(ties: int, exact: bool, signed: Pair) -> None:
    verifier = Verifier("test", Ties(signed[0], ties), *signed, probes=0)
    verifier.add(signed[1].run(near_zero(7, 30)))
    assert verifier.verdict.margin_ties == ties
    assert verifier.verdict.exact is exact


@given(st.integers(0, 200), st.integers(0, 200))
@settings(max_examples=15, deadline=None)
def test_ties_and_wrong_bits_are_told_apart(signed: Pair, inside: int, inverted: int) -> None:
    """Of the first `inverted` bits, those beyond the `inside` ones of the margin are wrong."""
    verifier = Verifier("test", Ties(signed[0], inverted), *signed, probes=0)
    verifier.add(signed[1].run(near_zero(1, inside)))
    tally = verifier.verdict.tallies[0][0]
    assert (tally.margin_ties, tally.wrong) == (min(inside, inverted), max(inverted - inside, 0))


def test_no_tie_excuses_a_bit_whose_value_is_given(signed: Pair) -> None:
    """The sign alone as a step: rounding has no part in it, however few the bits are. The probes tell."""
    verifier = Verifier("test", Ties(signed[0], 5, fused=False), *signed)
    verifier.add(signed[1].run(near_zero(1, 30)))
    assert inexact_steps(verifier.verdict) == [1]


# --- the tolerance is that of the tensor, no wider ---


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Comparer:
    """A float convolution that gives its input, [1, 2, 3, 3]: what is shown to the comparer is ours to choose."""
    net = Net((1, 2, 3, 3))
    net.conv("x", np.eye(2, dtype=np.float32)[:, :, None, None])
    return Comparer(*canonical(net, tmp_path_factory.mktemp("identity")))


def tallied(comparer: Comparer, *pairs: tuple[Array, Array]) -> Tally:
    """The tally over samples of (reference, produced)."""
    (name,) = comparer.graph.outputs
    tally = Tally(name, "float32")
    for shown, produced in pairs:
        comparer.compare(name, produced, {comparer.graph.tensors[name].origin.onnx: shown}, tally)
    return tally


def values(largest: float = 1.0) -> Array:
    x = np.linspace(-0.8, 0.9, 18, dtype=np.float32).reshape(1, 2, 3, 3) * np.float32(largest)
    x[0, 0, 0, 0] = -largest
    return x


def test_an_outlier_in_another_sample_does_not_widen_it(identity: Comparer) -> None:
    x, large = values(), values(1e6)
    off = (x, x + np.float32(1.2e-5))
    assert tallied(identity, off).wrong == x.size
    assert tallied(identity, (large, large), off, (large, large)).wrong == x.size
    assert tallied(identity, (large, large), (x, x + np.float32(0.8e-5))).wrong == 0


@given(st.floats(1e-3, 1e3), st.floats(0.0, 3.0).filter(lambda f: abs(f - 1) > 0.05))
@settings(max_examples=40, deadline=None)
def test_the_bound_is_where_the_contract_says(
    identity: Comparer, largest: float, factor: float
) -> None:
    """1e-5 of the largest value; float32 rounds by up to 0.6% of that."""
    x = values(largest)
    produced = x.copy()
    produced[0, 1, 2, 1] += np.float32(factor * 1e-5 * largest)
    assert tallied(identity, (x, produced)).wrong == (factor > 1)


def test_an_infinity_does_not_widen_it(identity: Comparer) -> None:
    """An infinite reference is met by the same infinity only, and is no measure for the other values."""
    x = values()
    x[0, 1, 0, 0] = np.inf
    assert tallied(identity, (x, x.copy())).exact
    for instead in (0.0, 3e38, -np.inf, np.nan):
        produced = x.copy()
        produced[0, 1, 0, 0] = instead
        tally = tallied(identity, (x, produced))
        assert (tally.wrong, tally.max_abs_error) == (1, np.inf)
    assert tallied(identity, (x, x + np.float32(1e-3))).wrong == x.size - 1


def test_an_infinity_makes_no_margin(signed: Pair) -> None:
    graph, reference = signed
    inputs = near_zero(1, 0)
    inputs["x"][0, 0, 0, 1] = np.inf
    verifier = Verifier("test", Ties(graph, 20), graph, reference, probes=0)
    verifier.add(reference.run(inputs))
    tally = verifier.verdict.tallies[0][0]
    assert (tally.wrong, tally.margin_ties) == (20, 0)


class Clipping(BySteps):
    """Convolution and Clip as one step, with an error added to a part of the clipped map."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        conv, clip = graph.nodes
        self.steps = (ExecutorStep((conv.name, clip.name), conv.inputs, (clip.output,)),)
        self.error = np.zeros(graph.type(clip.output).shape, np.float32)

    def run_step(self, index: int, inputs: Values) -> Values:
        conv, clip = self.graph.nodes
        return {
            clip.output: clip.op.reference(conv.op.reference(inputs[conv.inputs[0]])) + self.error
        }


@pytest.mark.parametrize(
    ("place", "error", "wrong"),
    [
        (0, 1e-3, 1),  # at 1e6, far above the clip: it is 6, whatever the rounding was
        (1, 1e-3, 1),  # far below
        (2, 2.9, 0),  # at 3: the rounding of sums of 1e6 may move it by 10, anywhere from 0 to 6
        (2, -3.0, 0),
        (2, 3.1, 1),  # but not beyond
        (2, -3.1, 1),
        (3, 1e-3, 1),  # at 100: more than 10 above the clip
    ],
)
def test_a_clip_passes_on_no_more_than_it_can(
    place: int, error: float, wrong: int, tmp_path: Path
) -> None:
    """A huge value before the clip does not excuse the values that are clipped all the same."""
    net = Net((1, 1, 1, 4))
    net.op("Clip", net.conv("x", np.ones((1, 1, 1, 1), np.float32)), 0.0, 6.0)
    graph, reference = canonical(net, tmp_path)
    executor = Clipping(graph)
    executor.error[0, 0, 0, place] = error
    verifier = Verifier("test", executor, graph, reference, probes=0)
    verifier.add(reference.run({"x": np.float32([[[[1e6, -1e6, 3, 100]]]])}))
    tally = verifier.verdict.tallies[0][0]
    assert tally.before_clip == graph.nodes[0].output
    assert tally.wrong == wrong


# --- what the reference does not show ---


def dead_layer(folder: Path, alphas: list[float]) -> Pair:
    net = Net((1, 2, 4, 4))
    weight = np.float32(alphas).reshape(-1, 1, 1, 1) * np.ones((len(alphas), 2, 1, 1), np.float32)
    net.conv(net.sign("x"), weight, np.arange(1, len(alphas) + 1, dtype=np.float32), pads=[0] * 4)
    return canonical(net, folder)


def test_hidden_values_are_not_counted_as_compared(tmp_path: Path) -> None:
    """alpha = 0: the reference shows the offset only. That the map after it is right is compared like any other."""
    graph, reference = dead_layer(tmp_path, [0.5, 0.0, 0.0])
    verdict = verdict_of(graph, reference, samples=2)
    at = next(i for i, n in enumerate(graph.nodes) if isinstance(n.op, ops.BinaryConv))
    tally = verdict.tallies[at][0]
    assert (tally.compared, tally.hidden, tally.wrong) == (2 * 16, 2 * 32, 0)
    assert verdict.exact


def test_an_origin_that_hides_what_it_should_show_is_found(tmp_path: Path) -> None:
    """A scale of 0 claims that the reference shows the offset and nothing else."""
    graph, reference = dead_layer(tmp_path, [0.5, 0.5])
    at = next(i for i, n in enumerate(graph.nodes) if isinstance(n.op, ops.BinaryConv))
    name = graph.nodes[at].output
    honest = graph.tensors[name]
    origin = dataclasses.replace(honest.origin, scale=0.0)
    graph.tensors[name] = dataclasses.replace(honest, origin=origin)
    verdict = verdict_of(graph, reference, samples=1)
    assert verdict.tallies[at][0].compared == 0
    assert verdict.tallies[at][0].wrong > 0
    assert not verdict.exact
