"""What the rows of docs/semantics.md say, on every executor, at the very values where it matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from everywhere import compare
from exactness import canonical, verdict_of
from numpy.typing import NDArray
from small_onnx import Net, floats, signs

from r2b_edge import ops
from r2b_edge.checking.executor import GraphExecutor
from r2b_edge.checking.samples import split_samples
from r2b_edge.checking.verify import Verifier
from r2b_edge.errors import InputError
from r2b_edge.graph import Graph

Random = np.random.Generator
PADS = [1, 1, 1, 1]


@pytest.fixture(autouse=True)
def _tools(require_tool: Callable[..., None], require_lce: None) -> None:
    require_tool("cmake", "ninja", "gcc")


def everywhere(
    net: Net, folder: Path, *outputs: str, samples: list[NDArray[np.float32]] | None = None
) -> Graph:
    """Exact on all executors, without a single bit excused by a margin."""
    graph, reference = canonical(net, folder, *outputs)
    shape = graph.type("x").shape
    given = None if samples is None else [{"x": x.reshape(shape)} for x in samples]
    compare(graph, reference, folder, given, margin_ties=0)
    return graph


def halves(random: Random, *shape: int) -> NDArray[np.float32]:
    """Multiples of 0.5 from -1 to 1: a quarter of them zeros, some of these -0.0."""
    values = random.integers(-2, 3, shape) / 2
    return np.where((values == 0) & (random.random(shape) < 0.5), -0.0, values).astype(np.float32)


COMPARES = ["GreaterOrEqual", "Greater", "LessOrEqual", "Less"]


def test_zeros_of_either_sign_and_exact_ties(random: Random, tmp_path: Path) -> None:
    """-0.0 is 0.0; x >= 0 is +1 at 0, x > 0 is not; the same for thresholds that values hit."""
    net = Net((1, 33, 5, 5))
    outputs = []
    for kind in COMPARES:
        for t in (0.0, -0.0, 0.5, -1.0):
            z = net.op("Where", net.op(kind, "x", t), 1.0, -1.0)
            outputs.append(net.conv(z, signs(random, 5, 33, 3, 3), pads=PADS))
    samples = [halves(random, *net.shape) for _ in range(2)]
    graph = everywhere(net, tmp_path, *outputs, samples=samples)
    assert all(f.binary for f in graph.findings)


def test_integer_thresholds_at_exact_ties(random: Random, tmp_path: Path) -> None:
    """A dot product meets the threshold of the next sign exactly, BatchNorm's gammas of both signs between."""
    net = Net((1, 8, 6, 6))
    dot = net.conv(net.sign("x"), signs(random, 16, 8, 1, 1))
    outputs = []
    for kind in COMPARES:
        means = random.choice(np.float32([-4, -2, 0, 2, 4]), 16)
        gamma = random.choice(np.float32([-2, -0.5, 0.5, 2]), 16)
        # var + eps = 1 and beta = 0: the BatchNorm is 0 exactly where the dot product is its mean.
        y = net.batch_norm(dot, gamma, np.zeros(16), means, np.full(16, 0.75), epsilon=0.25)
        z = net.op("Where", net.op(kind, y, 0.0), 1.0, -1.0)
        outputs.append(net.conv(z, signs(random, 5, 16, 3, 3), pads=PADS))
    everywhere(net, tmp_path, *outputs)


def test_torchs_sign_of_zero_is_reported(random: Random, tmp_path: Path) -> None:
    """sign(0) = 0 is no bit: it counts as +1, the zeros are counted, and the step is not called exact."""
    net = Net((1, 8, 6, 6))
    net.conv(net.op("Sign", "x"), signs(random, 5, 8, 3, 3), pads=PADS)
    graph, reference = canonical(net, tmp_path)
    assert graph.findings[0].ties
    assert graph.findings[0].note.startswith("sign(0) = 0 of its input counts as +1")
    assert verdict_of(graph, reference).exact
    verifier = Verifier("graph", GraphExecutor(graph), graph, reference)
    x = halves(random, *net.shape)
    verifier.add(reference.run({"x": x}))
    (tally,) = verifier.verdict.tallies[0]
    assert tally.zeros == (x == 0).sum()
    assert not tally.exact


def test_torchs_sign_of_a_zero_border(random: Random, tmp_path: Path) -> None:
    """A Pad before torch's sign holds sign(0) = 0, an ordinary border of zeros; before where(x >= 0) it holds +1."""
    net = Net((1, 8, 6, 6))
    padded = net.op("Pad", "x", np.array(PADS), 0.0, np.array([2, 3]))
    weight = signs(random, 5, 8, 3, 3)
    outputs = [net.conv(z, weight) for z in (net.op("Sign", padded), net.sign(padded))]
    graph = everywhere(net, tmp_path, *outputs)
    convs = [n.op for n in graph.nodes if isinstance(n.op, ops.BinaryConv)]
    assert [(c.window.pads, c.pad_value) for c in convs] == [((1, 1, 1, 1), 0), ((1, 1, 1, 1), 1)]


def test_slopes_of_prelu(random: Random, tmp_path: Path) -> None:
    """Shared, above 1, 0, and below 0 (the function turns back: the sign reads what comes out)."""
    net = Net((1, 8, 6, 6))
    slopes = [
        np.full((1, 1, 1), 0.25), np.full((8, 1, 1), 1.5), np.zeros((8, 1, 1)), np.full((1,), -0.5),
        random.uniform(-2, 2, (8, 1, 1)),
    ]  # fmt: skip
    outputs = []
    for slope in slopes:
        y = net.random_batch_norm("x", 8, random)
        y = net.op("PRelu", y, slope.astype(np.float32))
        z = net.sign(net.op("Sub", y, 0.25))
        outputs.append(net.op("Add", net.conv(z, signs(random, 8, 8, 3, 3), pads=PADS), y))
    graph = everywhere(net, tmp_path, *outputs)
    assert all(f.binary for f in graph.findings)


def test_average_pools(random: Random, tmp_path: Path) -> None:
    """count_include_pad and ceil_mode, with even and uneven pads, on even and odd sizes."""
    net = Net((1, 8, 9, 8), opset=19)
    y = net.conv(net.sign("x"), signs(random, 8, 8, 3, 3), pads=PADS)
    outputs = [
        net.op("AveragePool", y, kernel_shape=[3, 3], strides=[2, 2], pads=pads,
               count_include_pad=counted, ceil_mode=ceil)
        for pads in ([1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0])
        for counted in (0, 1)
        for ceil in (0, 1)
    ]  # fmt: skip
    outputs += [
        net.op("MaxPool", y, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0], ceil_mode=ceil)
        for ceil in (0, 1)
    ]
    everywhere(net, tmp_path, *outputs)


def test_nan_samples_are_refused(random: Random, tmp_path: Path) -> None:
    net = Net((1, 4, 5))
    net.conv(net.sign("x"), signs(random, 4, 4, 3))
    graph, _ = canonical(net, tmp_path)
    x = floats(random, 3, 4, 5)
    x[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        split_samples(x, graph)


def test_samples_of_a_signal_are_in_the_models_own_layout(random: Random, tmp_path: Path) -> None:
    net = Net((1, 4, 21))
    net.conv(net.sign("x"), signs(random, 4, 4, 3))
    graph, reference = canonical(net, tmp_path)
    x = floats(random, 3, 4, 21)
    samples = split_samples(x, graph)
    assert [s["x"].shape for s in samples] == [(1, 4, 1, 21)] * 3
    np.testing.assert_array_equal(samples[1]["x"][0, :, 0], x[1])
    assert reference.run(samples[0])["x"].shape == (1, 4, 21)
    with pytest.raises(InputError, match=r"the model takes \[N, 4, 21\]"):
        split_samples(x[:, :, None], graph)


def test_a_channel_whose_weights_are_all_zero(random: Random, tmp_path: Path) -> None:
    net = Net((1, 8, 6, 6))
    weight = 0.3 * signs(random, 5, 8, 3, 3)
    weight[2] = 0
    net.conv(net.sign("x"), weight, floats(random, 5), pads=PADS)
    graph = everywhere(net, tmp_path)
    assert graph.findings[0].verdict == "binary"
