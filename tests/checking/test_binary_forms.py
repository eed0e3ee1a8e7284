"""Every form of a binary layer on every executor: activations and their levels, borders, geometries, ranks.

Each net has one input and an output a form, so that one C program runs dozens of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from everywhere import compare
from exactness import canonical
from onnx import TensorProto
from small_onnx import Net, floats, signs

from r2b_edge.graph import Graph

Random = np.random.Generator
Activation = Callable[[Net, str], str]


def _cast(net: Net, x: str) -> str:
    return net.op("Cast", net.op("GreaterOrEqual", x, 0.1), to=TensorProto.FLOAT)


def _where(low: float, high: float) -> Activation:
    return lambda net, x: net.op("Where", net.op("Greater", x, 0.2), high, low)


def _estimator(net: Net, x: str) -> str:
    clipped = net.op("Clip", x, -1.0, 1.0)
    return net.op("Add", net.op("Sub", net.op("Sign", x), clipped), clipped)


ACTIVATIONS: dict[str, Activation] = {
    "where": lambda net, x: net.sign(x),
    "torch": lambda net, x: net.op("Sign", x),
    "estimator": _estimator,
    "sign of relu": lambda net, x: net.op("Sign", net.op("Relu", x)),
    "cast": _cast,
    "heaviside": _where(0.0, 1.0),
    "half of sign + 1": lambda net, x: net.op("Mul", net.op("Add", net.sign(x), 1.0), 0.5),
    "falling": lambda net, x: net.op("Where", net.op("Less", x, 0.3), 1.0, -1.0),
    "adabin": _where(-0.72, 0.88),
    "turned levels": _where(5.0, 0.0),
}

BORDERS = ["none", "own", "own, uneven", "after -1", "after 0", "after 1", "after 0.25", "before -1", "before 0",
           "before 1", "before 2.5", "before 0, own"]  # fmt: skip

GEOMETRIES: dict[str, tuple[tuple[int, int], dict[str, object]]] = {
    "3x3": ((3, 3), {}),
    "3x3 stride 2": ((3, 3), {"strides": [2, 2]}),
    "5x5": ((5, 5), {}),
    "7x7": ((7, 7), {"strides": [2, 1]}),
    "1x1": ((1, 1), {}),
    "3x1": ((3, 1), {}),
    "1x5": ((1, 5), {"strides": [1, 2]}),
    "dilated": ((3, 3), {"dilations": [2, 1]}),
}


def padded(net: Net, x: str, border: str, activation: Activation) -> tuple[str, list[int]]:
    """The binarised tensor with its border, and the pads of the convolution itself."""
    place, _, rest = border.partition(" ")
    value = rest.removesuffix(", own")
    pads, axes = np.array([1, 0, 1, 2]), np.arange(2, len(net.shape))
    if len(axes) == 1:
        pads = np.array([2, 1])
    if place == "before":
        z = activation(net, net.op("Pad", x, pads, float(value.strip(",")), axes))
        return z, [1] * len(pads) if border.endswith("own") else [0] * len(pads)
    z = activation(net, x)
    if place == "after":
        return net.op("Pad", z, pads, float(value), axes), [0] * len(pads)
    uneven = [2, 0, 1, 1][: len(pads)] if "uneven" in border else [1] * len(pads)
    return z, [0] * len(pads) if border == "none" else uneven


def form(
    net: Net,
    random: Random,
    name: str,
    border: str,
    kernel: tuple[int, ...],
    group: int = 1,
    **attributes: object,
) -> str:
    """A BatchNorm, an activation, a border and a binary convolution with negative and zero alphas."""
    channels = net.shape[1]
    x = net.random_batch_norm("x", channels, random)
    z, pads = padded(net, x, border, ACTIVATIONS[name])
    outputs = group * int(random.integers(1, 6))
    alpha = random.uniform(0.02, 1.5, outputs).astype(np.float32)
    alpha[-1] = 0 if random.random() < 0.2 else alpha[-1]
    weight = signs(random, outputs, channels // group, *kernel)
    weight *= alpha.reshape(-1, *[1] * (weight.ndim - 1))
    return net.conv(z, weight, floats(random, outputs), pads=pads, group=group, **attributes)


def exact(net: Net, outputs: list[str], binary: int, folder: Path) -> Graph:
    """All layers are binary, and all steps of all executors exact."""
    graph, reference = canonical(net, folder, *outputs)
    verdicts = [f.verdict for f in graph.findings]
    assert verdicts == ["binary"] * binary, [f for f in graph.findings if not f.binary]
    compare(graph, reference, folder)
    return graph


@pytest.fixture(autouse=True)
def _tools(require_tool: Callable[..., None], require_lce: None) -> None:
    require_tool("cmake", "ninja", "gcc")


@pytest.mark.parametrize("channels", [33, 64])
def test_activations_and_borders(channels: int, random: Random, tmp_path: Path) -> None:
    net = Net((1, channels, 6, 5))
    pairs = list(itertools.product(ACTIVATIONS, BORDERS))[channels % 2 :: 2]
    outputs = [form(net, random, name, border, (3, 3)) for name, border in pairs]
    exact(net, outputs, len(pairs), tmp_path)


def test_geometries(random: Random, tmp_path: Path) -> None:
    """With each border that a convolution can have, in one group, three, and one a channel."""
    net = Net((1, 33, 9, 8))
    names = itertools.cycle(ACTIVATIONS)
    borders = ["none", "own", "own, uneven", "after -1", "after 1", "after 0.25", "before 0"]
    outputs = []
    for kernel, attributes in GEOMETRIES.values():
        for border, group in zip(borders, itertools.cycle([1, 3, 33]), strict=False):
            outputs.append(form(net, random, next(names), border, kernel, group, **attributes))
    exact(net, outputs, len(outputs), tmp_path)


def test_maps_of_one_pixel(random: Random, tmp_path: Path) -> None:
    """Where most of a window is border."""
    net = Net((1, 40, 1, 1))
    borders = ["own", "after -1", "after 1", "after 0.25"]
    pairs = itertools.product(["where", "sign of relu", "adabin"], borders)
    outputs = [form(net, random, name, border, (2, 3)) for name, border in pairs]
    outputs.append(form(net, random, "where", "none", (1, 1)))
    exact(net, outputs, len(outputs), tmp_path)


def test_signals(random: Random, tmp_path: Path) -> None:
    """[1, C, L]: the same forms over one axis."""
    net = Net((1, 40, 17))
    outputs = [
        form(net, random, n, b, (3,)) for n, b in itertools.product(ACTIVATIONS, BORDERS[::2])
    ]
    more: list[dict[str, object]] = [
        {"strides": [2]},
        {"dilations": [3]},
        {"group": 4},
        {"group": 40},
    ]
    outputs += [form(net, random, "where", "own, uneven", (5,), **m) for m in more]
    graph = exact(net, outputs, len(outputs), tmp_path)
    assert graph.own_shapes["x"] == (1, 40, 17)


def test_dense_layers(random: Random, tmp_path: Path) -> None:
    """On vectors, and on flattened maps with the sign before and after the Flatten."""
    net = Net((1, 33, 3, 2))
    outputs = []
    for name, activation in ACTIVATIONS.items():
        flat = net.op("Flatten", activation(net, net.random_batch_norm("x", 33, random)))
        y = net.op("Gemm", flat, 0.1 * signs(random, 198, 35), floats(random, 35))
        y = activation(net, net.random_batch_norm(y, 35, random))
        y = net.op("MatMul", y, signs(random, 35, 34))
        late = activation(net, net.random_batch_norm(net.op("Flatten", "x"), 198, random))
        outputs += [y, net.op("Gemm", late, signs(random, 6, 198), transB=1, name=f"late {name}")]
    exact(net, outputs, 3 * len(ACTIVATIONS), tmp_path)


def test_pools_of_bits(random: Random, tmp_path: Path) -> None:
    net = Net((1, 40, 12, 12))
    outputs = []
    windows: list[dict[str, object]] = [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 2], "strides": [1, 3], "pads": [0, 1, 2, 0]},
        {"kernel_shape": [2, 2], "dilations": [2, 3]},
    ]
    for (name, activation), window in zip(
        ACTIVATIONS.items(), itertools.cycle(windows), strict=False
    ):
        z = net.op("MaxPool", activation(net, net.random_batch_norm("x", 40, random)), **window)
        z = net.op("Mul", z, 0.5) if name == "where" else z
        z = net.op("MaxPool", net.op("Mul", z, -0.5), **window) if name == "cast" else z
        outputs.append(
            net.conv(z, 0.3 * signs(random, 5, 40, 3, 3), floats(random, 5), pads=[1] * 4)
        )
    exact(net, outputs, len(outputs), tmp_path)


def test_moved_bits(random: Random, tmp_path: Path) -> None:
    """A channel shuffle, a slice, and a concatenation between the sign and the convolution."""
    net = Net((1, 8, 6, 6))
    z = net.sign(net.random_batch_norm("x", 8, random))
    y = net.op("Reshape", z, np.array([1, 2, 4, 6, 6]))
    y = net.op("Transpose", y, perm=[0, 2, 1, 3, 4])
    shuffled = net.op("Reshape", y, np.array([1, 8, 6, 6]))
    sliced = net.op(
        "Slice", z, np.array([0, 1]), np.array([5, 6]), np.array([1, 2]), np.array([1, 2])
    )
    joined = net.op("Concat", z, net.op("Sign", net.random_batch_norm("x", 8, random)), z, axis=1)
    shapes = [(shuffled, 8), (sliced, 5), (joined, 24)]
    outputs = [
        net.conv(v, signs(random, 5, c, 3, 3), floats(random, 5), pads=[1] * 4) for v, c in shapes
    ]
    exact(net, outputs, 3, tmp_path)


def test_what_stays_float(random: Random, tmp_path: Path) -> None:
    """2-bit activations, ternary and asymmetric weights, binarised skips: not binary, and still exact."""
    net = Net((1, 8, 6, 6))
    x = net.random_batch_norm("x", 8, random)
    z = net.sign(x)
    ternary = (0.3 * signs(random, 8, 8, 3, 3)).astype(np.float32)
    ternary[random.random(ternary.shape) < 0.4] = 0
    bits = net.op("Div", net.op("Round", net.op("Mul", net.op("Clip", x, 0.0, 1.0), 3.0)), 3.0)
    scaled = net.op("Mul", z, floats(random, 8, 1, 1))
    estimated = net.op("Add", net.op("Sub", bits, x), x)
    inputs = [
        (bits, signs(random, 8, 8, 3, 3)), (z, ternary), (z, floats(random, 8, 8, 3, 3)),
        (scaled, signs(random, 8, 8, 3, 3)), (estimated, floats(random, 8, 8, 3, 3)),
        (z, signs(random, 8, 8, 3, 3) + np.float32(0.25)),
    ]  # fmt: skip
    outputs = [net.op("Add", net.conv(v, w, pads=[1] * 4), z) for v, w in inputs]
    graph, reference = canonical(net, tmp_path, *outputs)
    assert [f.binary for f in graph.findings] == [False] * 6
    assert [f.input_values for f in graph.findings] == [4, 2, 2, 2, 4, 2]
    compare(graph, reference, tmp_path)
