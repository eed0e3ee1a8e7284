"""Which weights are +-alpha a channel, and what is said of those that are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from binarised import PADS, agree, binary_convs, findings
from numpy.typing import NDArray
from small_onnx import Net, floats, signs

from r2b_edge import ops, passes

RANDOM = np.random.default_rng(6)


def test_alphas_of_all_kinds(tmp_path: Path) -> None:
    """Per channel: ordinary, tiny, huge, and a channel of zeros."""
    alpha = np.float32([0.1, 1e-8, 3e4, 0.0]).reshape(4, 1, 1, 1)
    net = Net()
    net.conv(net.sign("x"), alpha * signs(RANDOM, 4, 4, 3, 3), np.float32([1, 2, 3, 4]), pads=PADS)
    graph = agree(net, tmp_path)
    (node,) = [n for n in graph.nodes if isinstance(n.op, ops.BinaryConv)]
    origin = graph.tensors[node.output].origin
    np.testing.assert_allclose(origin.scale, alpha.ravel(), rtol=1e-6)
    np.testing.assert_allclose(origin.offset, [1, 2, 3, 4])


def weights_case(
    change: Callable[[NDArray[np.float32]], object], size: int = 4
) -> NDArray[np.float32]:
    weight = np.float32(0.2) * signs(RANDOM, size, 4, 3, 3)
    change(weight)
    return weight


def _one_real(w: NDArray[np.float32]) -> None:
    w[1, 2, 1, 1] *= 1.001


def _ternary(w: NDArray[np.float32]) -> None:
    w[RANDOM.random(w.shape) < 0.3] = 0


def _one_zero(w: NDArray[np.float32]) -> None:
    w[0, 0, 0, 0] = 0


def _per_input_channel(w: NDArray[np.float32]) -> None:
    w *= np.float32([1, 2, 3, 4]).reshape(1, 4, 1, 1)


def _ttq(w: NDArray[np.float32]) -> None:
    """Two magnitudes and zero, as trained ternary quantisation has."""
    w[w > 0] = 0.7
    _ternary(w)


def _adabin(w: NDArray[np.float32]) -> None:
    w += np.float32(0.05)


def _real(w: NDArray[np.float32]) -> None:
    w[:] = floats(RANDOM, *w.shape)


def _some_real(w: NDArray[np.float32]) -> None:
    w[0] = floats(RANDOM, *w.shape[1:])


OPTION = (
    r"weights are real, only the activation is binary: trained with binarisation in forward\? "
    "use --binarize-weights"
)


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (_one_real, "few values", "1 of 144 weights are not ±alpha of their channel"),
        (_some_real, "real", r"3\d of 144 weights are not ±alpha of their channel"),
        (_real, "real", OPTION),
        (_ternary, "ternary", r"\d+ of 144 weights are 0: ternary"),
        (_ttq, "ternary", r"\d+ of 144 weights are 0: ternary"),
        (_one_zero, "ternary", "1 of 144 weights are 0"),
        (_adabin, "two values", "weights take two values a channel that are not ±alpha"),
        (_per_input_channel, "few values", "weights take more than two values a channel"),
    ],
)
def test_weights_that_are_not_binary(
    change: Callable[[NDArray[np.float32]], object], kind: str, says: str, tmp_path: Path
) -> None:
    """The layer stays float, says why, and computes what it did."""
    net = Net()
    net.conv(net.sign("x"), weights_case(change), name="layer")
    graph = agree(net, tmp_path)
    assert [type(n.op) for n in graph.nodes] == [ops.Staircase, ops.FloatConv]
    (finding,) = graph.findings
    assert re.match(says, finding.reason), finding.reason
    assert (finding.verdict, finding.suspect, finding.weights) == ("float", True, kind)
    assert (finding.input_values, finding.weight_count) == (2, 144)


def test_zero_weights_in_the_issues_words(tmp_path: Path) -> None:
    weight = signs(RANDOM, 64, 64, 3, 3)
    weight.reshape(-1)[[5, 77, 9000, 12000]] = 0
    net = Net((1, 64, 4, 4))
    net.conv(net.sign("x"), weight)
    (finding,) = findings(net, tmp_path)
    assert finding.reason == "4 of 36,864 weights are 0"
    assert finding.zero_weights == 4


def test_one_zero_among_many_weights_counts_as_plus_one(tmp_path: Path) -> None:
    net = Net((1, 16, 4, 4))
    weight = signs(RANDOM, 70, 16, 3, 3)  # 10,080
    weight[3, 2, 1, 0] = 0
    net.conv(net.sign("x"), weight)
    graph = passes.run(net.graph(tmp_path))
    (conv,) = binary_convs(graph)
    weight[3, 2, 1, 0] = 1
    np.testing.assert_array_equal(conv.weight, weight)
    (finding,) = graph.findings
    assert finding.binary
    assert finding.note.startswith("1 of 10,080 weights are 0 and count as +1")


def test_weights_with_rounding_of_an_estimator(tmp_path: Path) -> None:
    """alpha * sign(w) - clip(w) + clip(w), folded: off by some ulp."""
    alpha, clipped = np.float32(0.0312), floats(RANDOM, 5, 4, 3, 3).clip(-1, 1)
    weight = alpha * signs(RANDOM, 5, 4, 3, 3) - clipped + clipped
    assert len(np.unique(np.abs(weight))) > 5
    net = Net()
    net.conv(net.sign("x"), weight, pads=PADS)
    assert len(binary_convs(agree(net, tmp_path))) == 1
