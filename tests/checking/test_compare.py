"""The comparer is honest: what differs is counted as what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exactness import canonical
from numpy.typing import NDArray
from small_onnx import Net, floats, signs

from r2b_edge import ops
from r2b_edge.checking.compare import MARGIN, MAX_TIES, Comparer, Tally

Values = dict[str, NDArray[np.generic]]


class Case:
    """x -> Step (BN with negative gammas) -> BinaryConv -> ChannelAffine, on one sample with margins of all sizes."""

    def __init__(self, folder: Path, sign_of_torch: bool = False) -> None:
        random = np.random.default_rng(9)
        net = Net((1, 4, 30, 30))
        y = net.op("Mul", "x", np.float32([1, -1, 2, -0.5]).reshape(4, 1, 1))
        z = net.op("Sign", y) if sign_of_torch else net.sign(y)
        net.conv(z, 0.1 * signs(random, 4, 4, 3, 3), floats(random, 4), pads=[1] * 4)
        self.graph, self.reference = canonical(net, folder)
        self.comparer = Comparer(self.graph, self.reference)
        x = floats(random, 1, 4, 30, 30)
        self.largest = float(np.abs(x).max())
        x[0, 0, 0, :3] = np.float32([0.5, -0.5, 0.99]) * MARGIN * self.largest
        x[0, 0, 0, 3] = 1.01 * MARGIN * self.largest
        x[0, 1, 0, 0] = 0.0
        self.shown = self.reference.run({"x": x})
        self.name = {type(n.op): n.output for n in self.graph.nodes}

    def right(self, op: type) -> NDArray[np.generic]:
        """A copy of what the reference holds of the op's output."""
        return self.reference.value(self.graph.tensors[self.name[op]], self.shown).copy()

    def tally(self, op: type, produced: NDArray[np.generic]) -> Tally:
        tally = Tally(self.name[op], self.graph.type(self.name[op]).dtype)
        self.comparer.compare(tally.name, produced, self.shown, tally)
        return tally


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("case"))


@pytest.mark.parametrize("op", [ops.Step, ops.BinaryConv, ops.ChannelAffine])
def test_the_right_values_are_exact(op: type, case: Case) -> None:
    tally = case.tally(op, case.right(op))
    assert tally.exact
    assert (tally.wrong, tally.margin_ties, tally.compared) == (0, 0, case.right(op).size)


def test_a_bit_inside_of_the_margin_is_a_tie(case: Case) -> None:
    bits = case.right(ops.Step)
    bits[0, 0, 0, 0] *= -1
    tally = case.tally(ops.Step, bits)
    assert (tally.wrong, tally.margin_ties) == (0, 1)
    assert not tally.exact  # 1 of 3600 is more than MAX_TIES


@pytest.mark.parametrize("place", [(0, 0, 0, 3), (0, 2, 7, 7)])
def test_a_bit_outside_of_the_margin_is_wrong(place: tuple[int, ...], case: Case) -> None:
    bits = case.right(ops.Step)
    bits[place] *= -1
    tally = case.tally(ops.Step, bits)
    assert (tally.wrong, tally.margin_ties) == (1, 0)
    assert not tally.exact


def test_three_ties_are_counted_one_by_one(case: Case) -> None:
    bits = case.right(ops.Step)
    bits[0, 0, 0, :3] *= -1
    assert case.tally(ops.Step, bits).margin_ties == 3


@pytest.mark.parametrize("value", [0, 3, -128])
def test_a_bit_that_is_none_is_wrong(value: int, case: Case) -> None:
    bits = case.right(ops.Step)
    bits[0, 3, 5, 5] = value
    assert case.tally(ops.Step, bits).wrong == 1


@pytest.mark.parametrize(("ties", "exact"), [(0, True), (10, True), (11, False)])
def test_few_ties_are_allowed(ties: int, exact: bool) -> None:
    assert MAX_TIES == 1e-4
    assert Tally("t", "bits", compared=100_000, margin_ties=ties).exact is exact


def test_zeros_of_torchs_sign_are_counted(tmp_path: Path) -> None:
    torch_like = Case(tmp_path, sign_of_torch=True)
    tally = torch_like.tally(ops.Step, torch_like.right(ops.Step))
    assert (tally.wrong, tally.zeros) == (0, 1)
    assert not tally.exact
    assert Tally("t", "bits", compared=2_000_000, zeros=2).exact
    assert not Tally("t", "bits", compared=2_000_000, zeros=3).exact


def test_without_ties_there_are_no_zeros(case: Case) -> None:
    assert case.tally(ops.Step, case.right(ops.Step)).zeros == 0


@pytest.mark.parametrize("error", [1, -1, 2, -2, 1000])
def test_an_integer_that_is_off_is_wrong(error: int, case: Case) -> None:
    dots = case.right(ops.BinaryConv)
    dots[0, 1, 3, 3] += error
    assert case.tally(ops.BinaryConv, dots).wrong == 1


@pytest.mark.parametrize(("factor", "wrong"), [(0.5, 0), (0.9, 0), (1.5, 1), (100.0, 1)])
def test_floats_within_tolerance(factor: float, wrong: int, case: Case) -> None:
    values = case.right(ops.ChannelAffine)
    bound = 1e-5 * np.abs(values).max()
    values[0, 2, 2, 2] += np.float32(factor * bound)
    tally = case.tally(ops.ChannelAffine, values)
    assert tally.wrong == wrong
    np.testing.assert_allclose(tally.max_abs_error, factor * bound, rtol=0.2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_wrong(value: float, case: Case) -> None:
    values = case.right(ops.ChannelAffine)
    values[0, 2, 2, 2] = value
    assert case.tally(ops.ChannelAffine, values).wrong == 1


@pytest.mark.parametrize("op", [ops.Step, ops.BinaryConv, ops.ChannelAffine])
def test_another_shape_is_an_error(op: type, case: Case) -> None:
    with pytest.raises(ValueError, match="has shape"):
        case.tally(op, case.right(op)[:, :, :-1])
    with pytest.raises(ValueError, match="has shape"):
        case.tally(op, np.moveaxis(case.right(op), 1, 3))


def test_nothing_compared_is_not_exact() -> None:
    assert not Tally("t", "float32").exact


def graph_values(case: Case, spoil: tuple[int, ...] | None = None) -> Values:
    bits = case.right(ops.Step)
    if spoil is not None:
        bits[spoil] *= -1
    return {case.name[ops.Step]: bits, case.name[ops.BinaryConv]: case.right(ops.BinaryConv)}


def test_first_difference(case: Case) -> None:
    order = [case.name[ops.Step], case.name[ops.BinaryConv]]

    def first(spoil: tuple[int, ...] | None) -> Tally | None:
        return case.comparer.first_difference(order, graph_values(case, spoil), case.shown)

    assert first(None) is None
    tie, wrong = first((0, 0, 0, 1)), first((0, 2, 7, 7))
    assert tie is not None
    assert (tie.name, tie.wrong, tie.margin_ties) == (order[0], 0, 1)
    assert wrong is not None
    assert (wrong.wrong, wrong.margin_ties) == (1, 0)


def test_channels_that_the_reference_does_not_show(tmp_path: Path) -> None:
    """alpha = 0: the dot product cannot be read off, so nothing is claimed of it; the map after it is compared."""
    net = Net((1, 2, 4, 4))
    weight = np.ones((2, 2, 3, 3), np.float32)
    weight[1] = 0
    net.conv(net.sign("x"), weight, np.float32([1, 2]))
    graph, reference = canonical(net, tmp_path)
    shown = reference.run({"x": floats(np.random.default_rng(1), 1, 2, 4, 4)})
    name = next(n.output for n in graph.nodes if isinstance(n.op, ops.BinaryConv))
    dots = reference.value(graph.tensors[name], shown)
    assert (dots[:, 1] == 0).all()
    tally = Tally(name, "int32")
    dots[:, 1] += 7
    Comparer(graph, reference).compare(name, dots, shown, tally)
    assert tally.wrong == 0
    dots[:, 0] += 2
    Comparer(graph, reference).compare(name, dots, shown, tally)
    assert tally.wrong == dots[:, 0].size
