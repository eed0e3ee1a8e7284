"""Networks for the tests of the check, in ONNX by hand."""

from __future__ import annotations

import numpy as np
from small_onnx import Net, floats, signs

SPATIAL = np.array([2, 3])
PADS = [1, 1, 1, 1]
Random = np.random.Generator


def dense_gate(net: Net, x: str, channels: int, out: int, random: Random) -> str:
    """GAP, dense, ReLU, dense, sigmoid: [1, out, 1, 1]."""
    y = net.op("ReduceMean", x, SPATIAL, keepdims=0)
    y = net.op("Relu", net.op("Gemm", y, floats(random, channels, 2), floats(random, 2)))
    y = net.op("Gemm", y, floats(random, 2, out), floats(random, out))
    return net.op("Unsqueeze", net.op("Sigmoid", y), SPATIAL)


def conv_gate(net: Net, x: str, channels: int, out: int, random: Random) -> str:
    """The same with 1x1 convolutions."""
    y = net.op("GlobalAveragePool", x)
    y = net.op("Relu", net.conv(y, floats(random, 2, channels, 1, 1), floats(random, 2)))
    return net.op("Sigmoid", net.conv(y, floats(random, out, 2, 1, 1)))


def r2b_unit(
    net: Net, x: str, channels: int, random: Random, alpha: str, source: str, gate: str
) -> str:
    """BN, sign, binary convolution, gate, PReLU, skip."""
    y = net.random_batch_norm(x, channels, random)
    scale = random.uniform(0.05, 0.5, (channels, 1, 1, 1)).astype(np.float32)
    weight = signs(random, channels, channels, 3, 3) * (scale if alpha == "weights" else 1)
    bias = floats(random, channels) if alpha == "bias" else None
    out = net.conv(net.sign(y), weight.astype(np.float32), bias, pads=PADS)
    make = dense_gate if gate == "dense" else conv_gate
    factor = make(net, y if source == "norm" else x, channels, channels, random)
    if alpha == "conv":
        out = net.op("Mul", out, scale.reshape(channels, 1, 1))
    if alpha == "gate":
        factor = net.op("Mul", scale.reshape(1, channels, 1, 1), factor)
    out = net.op("Mul", out, factor)
    return net.op("Add", net.op("PRelu", out, np.full((channels, 1, 1), 0.25, np.float32)), x)


def whole(net: Net, random: Random, head: str) -> str:
    """Stem, a unit, a head."""
    y = net.conv("x", floats(random, 8, 3, 3, 3), floats(random, 8), strides=[2, 2], pads=PADS)
    y = net.op("MaxPool", y, kernel_shape=[2, 2], strides=[1, 1])
    y = r2b_unit(net, y, 8, random, "weights", "norm", "dense")
    if head == "flatten":
        return net.op("Gemm", net.op("Flatten", y), floats(random, 128, 10), floats(random, 10))
    mean = net.op("Flatten", net.op("GlobalAveragePool", net.random_batch_norm(y, 8, random)))
    return net.op("Gemm", mean, floats(random, 8, 10), floats(random, 10))
