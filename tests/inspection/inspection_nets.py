"""Networks in which some layers are binary, some nearly, and some not at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto
from small_onnx import Array, Net, floats, signs

CHANNELS = 8
PADS = [1, 1, 1, 1]
RANDOM = np.random.default_rng(12)


def ternary() -> Array:
    """Weights -alpha, 0 and +alpha, of each a third."""
    return np.float32(0.2) * RANDOM.permutation(
        np.resize(np.array([-1, 0, 1], np.float32), 576)
    ).reshape(CHANNELS, CHANNELS, 3, 3)


def one_zero() -> Array:
    """Binary weights, but for one that is 0."""
    weight = 0.1 * signs(RANDOM, CHANNELS, CHANNELS, 3, 3)
    weight[3, 4, 1, 1] = 0
    return weight


def binary(*shape: int) -> Array:
    """Weights of +-alpha."""
    return np.float32(0.1) * signs(RANDOM, *(shape or (CHANNELS, CHANNELS, 3, 3)))


def real() -> Array:
    """Weights as training leaves them."""
    return floats(RANDOM, CHANNELS, CHANNELS, 3, 3) / 8


def two_bit(net: Net, x: str) -> str:
    """0, 1/3, 2/3 or 1."""
    return net.op("Div", net.op("Round", net.op("Mul", net.op("Clip", x, 0.0, 1.0), 3.0)), 3.0)


def mixed() -> Net:
    """[1, 3, 10, 10] -> [1, 5], with one layer of each kind, named after it, on a residual stream of 8 channels."""
    net = Net((1, 3, 10, 10))
    x = net.conv("x", floats(RANDOM, CHANNELS, 3, 3, 3) / 99, name="stem", pads=PADS)
    x = net.random_batch_norm(x, CHANNELS, RANDOM)
    layers: list[tuple[str, Callable[[Net, str], str], Array]] = [
        ("binary", Net.sign, binary()),
        ("ternary", Net.sign, ternary()),
        ("real", Net.sign, real()),
        ("one zero", Net.sign, one_zero()),
        ("two bits", two_bit, binary()),
    ]
    for name, activation, weight in layers:
        made = net.conv(activation(net, x), weight, name=name, pads=PADS)
        x = net.op("Add", net.random_batch_norm(made, CHANNELS, RANDOM), x)
    x = net.conv(x, binary(12, CHANNELS, 1, 1), name="only weights", strides=[2, 2])
    pooled = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.op("Gemm", pooled, floats(RANDOM, 5, 12), floats(RANDOM, 5), name="classifier", transB=1)
    return net


def cut() -> tuple[Net, tuple[str, ...]]:
    """[1, 8, 6, 6] to three outputs, whose names come too: two ops that nobody knows, and a product of two maps."""
    net = Net((1, CHANNELS, 6, 6))
    y = net.conv(net.sign("x"), binary(), name="before", pads=PADS)
    index = net.op("ArgMax", y, name="index", axis=3, keepdims=1)  # int64: no graph holds it
    cast = net.op("Cast", index, name="cast", to=TensorProto.FLOAT)
    behind = net.conv(net.sign(cast), binary(4, CHANNELS, 1, 1), name="behind")
    det = net.op("Det", y, name="det")  # float32 [1, 8]
    after = net.op("Gemm", net.sign(det), binary(5, CHANNELS), name="after", transB=1)
    product = net.op("MatMul", y, y, name="product")
    return net, (behind, after, product)


def tied(activation: str) -> Net:
    """[1, 8, 6, 6] through one binary layer, called `conv`, behind `Sign`, `Sign` of a ReLU, or `x >= 0`."""
    net = Net((1, CHANNELS, 6, 6))
    signs_of: dict[str, Callable[[], str]] = {
        "sign": lambda: net.op("Sign", "x"),
        "sign of relu": lambda: net.op("Sign", net.op("Relu", "x")),
        "not below": lambda: net.sign("x"),
    }
    net.conv(signs_of[activation](), binary(), name="conv", pads=PADS)
    return net
