"""The check cannot be fooled: executors that are wrong in every way that we can think of are found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from checking_nets import r2b_unit
from exactness import BySteps, canonical, inexact_steps, verdict_of
from hypothesis import given, settings
from hypothesis import strategies as st
from small_onnx import Net, floats

from r2b_edge.checking.compare import Tally
from r2b_edge.checking.executor import GraphExecutor, Values
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verdict, Verifier
from r2b_edge.graph import Graph
from r2b_edge.graph.graph import Array

Pair = tuple[Graph, Reference]
FEW = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two Real-to-Binary units and a classifier; and a second output, the map before it."""
    random = np.random.default_rng(6)
    net = Net((1, 8, 7, 7))
    y = r2b_unit(net, "x", 8, random, "weights", "norm", "dense")
    y = r2b_unit(net, y, 8, random, "weights", "norm", "dense")
    mean = net.op("Flatten", net.op("GlobalAveragePool", y))
    scores = net.op("Gemm", mean, floats(random, 8, 5), floats(random, 5))
    return canonical(net, tmp_path_factory.mktemp("pair"), scores, y)


def indices(graph: Graph) -> range:
    return range(len(graph.nodes))


NODES = st.integers(0, 23)


class Planted(BySteps):
    """The oracle, with a fault in one of its steps."""

    def __init__(self, graph: Graph, at: int, fault: Callable[[Array], Array]) -> None:
        super().__init__(graph)
        self.at = at
        self.fault = fault

    def run_step(self, index: int, inputs: Values) -> Values:
        values = super().run_step(index, inputs)
        if index == self.at:
            values = {name: self.fault(value.copy()) for name, value in values.items()}
        return values


# --- each step stands for itself ---


def negated(value: Array) -> Array:
    return -value - (value == 0).astype(value.dtype)


@given(at=NODES)
@FEW
def test_a_wrong_step_is_found_and_no_other_one(at: int, pair: Pair) -> None:
    """Later steps are given what the reference holds, not what the wrong step made."""
    verdict = verdict_of(*pair, Planted(pair[0], at, negated), samples=1)
    assert inexact_steps(verdict) == [at]
    assert not verdict.exact


@given(at=NODES, data=st.data())
@FEW
def test_one_wrong_value_is_counted_as_one(at: int, data: st.DataObject, pair: Pair) -> None:
    """Anywhere in any tensor: wrong once in each sample, and all the rest right."""
    shape = pair[0].type(pair[0].nodes[at].output).shape
    place = tuple(data.draw(st.integers(0, n - 1)) for n in shape)

    def spoil(value: Array) -> Array:
        largest = np.abs(value).max()
        value[place] = -value[place] if value.dtype == np.int8 else value[place] + largest + 1
        return value

    verdict = verdict_of(*pair, Planted(pair[0], at, spoil), samples=2, probes=0)
    wrong = {i: step[0].wrong for i, step in enumerate(verdict.tallies) if step[0].wrong}
    assert wrong == {at: 2}


class Deaf(GraphExecutor):
    """Runs each step on its own last outputs in the place of the inputs that it is given."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.own: Values = {}

    def run_step(self, index: int, inputs: Values) -> Values:
        values = super().run_step(index, {n: self.own.get(n, v) for n, v in inputs.items()})
        self.own.update(values)
        return values


def test_an_executor_that_uses_its_own_outputs_is_found(pair: Pair) -> None:
    """All of its arithmetic is right: only the order in which steps are shown tells it from an honest one."""
    verdict = verdict_of(*pair, Deaf(pair[0]), samples=2)
    fed_by_steps = [
        i for i, node in enumerate(pair[0].nodes) if not set(node.inputs) <= set(pair[0].inputs)
    ]
    assert inexact_steps(verdict) == fed_by_steps
    assert (
        len(fed_by_steps) == 22
    )  # of 24: the first Step and the first GlobalAvgPool read the input


class Stale(GraphExecutor):
    """Computes a step once and gives that for ever: what an output that is never written looks like."""

    def __init__(self, graph: Graph, at: int) -> None:
        super().__init__(graph)
        self.at = at
        self.first: Values | None = None

    def run_step(self, index: int, inputs: Values) -> Values:
        values = super().run_step(index, inputs)
        if index != self.at:
            return values
        self.first = self.first or values
        return self.first


@given(at=NODES)
@FEW
def test_a_stale_output_is_never_exact(at: int, pair: Pair) -> None:
    assert inexact_steps(verdict_of(*pair, Stale(pair[0], at), samples=2)) == [at]


# --- what is no tensor of the graph ---

NO_NUMBERS = {
    "nan": lambda v: v * np.float32(np.nan),
    "infinite": lambda v: v + np.float32(np.inf),
    "zeros": np.zeros_like,
    "uninitialised": lambda v: np.full_like(v, 77),
}


@pytest.mark.parametrize("fault", NO_NUMBERS)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_no_numbers_are_never_exact(fault: str, pair: Pair) -> None:
    graph, reference = pair
    for at in indices(graph):
        if fault in ("nan", "infinite") and graph.type(graph.nodes[at].output).dtype != "float32":
            continue
        planted = Planted(graph, at, NO_NUMBERS[fault])
        verdict = Verifier("test", planted, graph, reference)
        verdict.add(reference.run({"x": floats(np.random.default_rng(3), 1, 8, 7, 7)}))
        assert inexact_steps(verdict.verdict) == [at]
        tally = verdict.verdict.tallies[at][0]
        assert np.isinf(tally.max_abs_error) == (fault in ("nan", "infinite"))


OTHER_TYPES: dict[str, Callable[[Array], Array]] = {
    "float64": lambda v: v.astype(np.float64),
    "float16": lambda v: v.astype(np.float16),
    "int64": lambda v: v.astype(np.int64),
    "bool": lambda v: v > 0,
    "object": lambda v: v.astype(object),
}
OTHER_SHAPES: dict[str, Callable[[Array], Array]] = {
    "one value for all": lambda v: v.reshape(-1)[:1],
    "a scalar": lambda v: v.reshape(-1)[0],
    "flat": lambda v: v.reshape(-1),
    "no batch": lambda v: v[0],
    "a batch of two": lambda v: np.concatenate([v, v]),
    "empty": lambda v: v[:0],
}


@pytest.mark.parametrize("fault", [*OTHER_TYPES, *OTHER_SHAPES])
def test_another_type_is_refused_even_with_the_right_values(fault: str, pair: Pair) -> None:
    says = "holds" if fault in OTHER_TYPES else "has shape"
    change = (OTHER_TYPES | OTHER_SHAPES)[fault]
    for at in indices(pair[0]):
        with pytest.raises(ValueError, match=says):
            verdict_of(*pair, Planted(pair[0], at, change), samples=1)


class WholeOnly(GraphExecutor):
    """Right steps; a whole run that is changed from sample `since` on."""

    def __init__(self, graph: Graph, change: Callable[[Values], Values], since: int) -> None:
        super().__init__(graph)
        self.change = change
        self.since = since
        self.runs = 0

    def run(self, inputs: Values) -> Values:
        self.runs += 1
        values = super().run(inputs)
        return self.change(values) if self.runs > self.since else values


@pytest.mark.parametrize("since", [0, 1, 2])
@pytest.mark.parametrize("output", [0, 1])
def test_a_whole_run_that_goes_wrong_later_is_found(output: int, since: int, pair: Pair) -> None:
    """Two outputs, so no top-1 to look at: a state that one inference leaves to the next shows all the same."""
    name = pair[0].outputs[output]

    def spoil(values: Values) -> Values:
        value = values[name].copy()
        value[(-1,) * value.ndim] += np.float32(0.01 * np.abs(value).max())
        return values | {name: value}

    verdict = verdict_of(*pair, WholeOnly(pair[0], spoil, since))
    assert inexact_steps(verdict) == []
    assert verdict.faults == [f"the whole run differs from its own steps in {name!r}"]
    assert not verdict.exact
    assert verdict_of(*pair, WholeOnly(pair[0], spoil, since=3)).exact


def test_a_whole_run_with_other_shapes_or_fewer_outputs(pair: Pair) -> None:
    name = pair[0].outputs[0]
    for change in OTHER_SHAPES.values():
        executor = WholeOnly(pair[0], lambda values: values | {name: change(values[name])}, 0)  # noqa: B023
        with pytest.raises(ValueError, match="has shape"):
            verdict_of(*pair, executor)
    executor = WholeOnly(pair[0], lambda values: {name: values[name]}, 0)
    with pytest.raises(KeyError):
        verdict_of(*pair, executor)


# --- nothing compared is nothing proven ---


def test_an_empty_check_is_not_exact(pair: Pair) -> None:
    assert not Verdict([]).exact
    assert not Verdict([], samples=3).exact
    assert not Verdict([[]], samples=3).exact
    assert not Verdict([[Tally("t", "float32")]], samples=3).exact
    good = Tally("t", "float32", compared=9)
    assert Verdict([[good]], samples=1).exact
    assert not Verdict([[good]], samples=0).exact
    assert not Verdict([[good], []], samples=1).exact
    assert not Verdict([[good, Tally("u", "bits")]], samples=1).exact
    assert not Verifier("test", GraphExecutor(pair[0]), *pair).verdict.exact
