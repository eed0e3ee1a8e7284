"""The networks that bugs are planted in: small, and between them they use every kernel and every tile operation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from small_onnx import Net, floats, signs

from r2b_edge.pipeline import Storage

Random = np.random.Generator

SPATIAL = np.array([2, 3])
PADS = [1, 1, 1, 1]


def _alpha(random: Random, *shape: int) -> NDArray[np.float32]:
    return random.uniform(0.05, 0.2, shape).astype(np.float32)


def _gate(net: Net, x: str, channels: int, out: int, random: Random, signed: bool) -> str:
    """Mean, dense, ReLU, dense, times a scale: [1, out, 1, 1]; a sigmoid before the scale unless it is signed."""
    y = net.op("ReduceMean", x, SPATIAL, keepdims=0)
    y = net.op("Relu", net.op("Gemm", y, floats(random, channels, 4) / 3, floats(random, 4)))
    y = net.op("Gemm", y, floats(random, 4, out), floats(random, out))
    y = y if signed else net.op("Sigmoid", y)
    return net.op("Unsqueeze", net.op("Mul", y, _alpha(random, 1, out)), SPATIAL)


def _unit(net: Net, x: str, channels: int, out: int, random: Random, signed: bool = False) -> str:
    """BN, sign, binary 3x3 convolution, gate, PReLU, skip; with more channels out, stride 2 and a real skip."""
    norm = net.random_batch_norm(x, channels, random)
    if signed:  # the last channel's threshold lies where no sample comes
        far = np.zeros((channels, 1, 1), np.float32)
        far[-1] = 1e4
        norm = net.op("Add", norm, far)
    stride = 1 if channels == out else 2
    weight = signs(random, out, channels, 3, 3)
    bias = floats(random, out)
    y = net.conv(net.sign(norm), weight, bias, pads=PADS, strides=[stride, stride])
    y = net.op("Mul", y, _gate(net, norm, channels, out, random, signed))
    y = net.op("PRelu", y, floats(random, out, 1, 1) / 2)
    if stride == 2:
        x = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = net.conv(x, floats(random, out, channels, 1, 1) / 3, floats(random, out))
    return net.op("Add", y, x)


def real_to_binary(random: Random) -> Net:
    """Stem, three gated units of 10, 37 and 37 channels, the last gate with both signs, mean, dense layer."""
    net = Net((1, 3, 12, 12))
    x = net.conv("x", floats(random, 10, 3, 3, 3) / 99, floats(random, 10), pads=PADS)
    x = _unit(net, x, 10, 10, random)
    x = _unit(net, x, 10, 37, random)
    x = _unit(net, x, 37, 37, random, signed=True)
    mean = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.op("Gemm", mean, floats(random, 37, 5), floats(random, 5))
    return net


def integers(random: Random) -> Net:
    """Signs of the sums themselves, ties among them; borders of 0, -1 and +1, groups, dilation, falling thresholds."""
    net = Net((1, 6, 11, 9))
    stem = net.conv("x", floats(random, 6, 1, 3, 3) / 99, group=6, pads=PADS)  # depthwise
    bits = net.op("Sign", net.op("Relu", net.random_batch_norm(stem, 6, random)))  # 0 and 1
    y = net.conv(bits, signs(random, 40, 6, 3, 3), floats(random, 40), pads=[1, 0, 2, 1])
    y = net.op("Clip", y, -3.0, 4.0)
    y = net.conv(net.sign(net.random_batch_norm(y, 40, random)), signs(random, 40, 40, 1, 1))
    padded = net.op("Pad", net.sign(y), np.array([0, 0, 2, 2, 0, 0, 2, 2]), 1.0)
    y = net.conv(padded, signs(random, 42, 20, 3, 3), group=2, dilations=[2, 2], strides=[2, 1])
    y = net.op("Mul", y, _alpha(random, 1, 42, 1, 1))
    bits = net.sign(net.random_batch_norm(y, 42, random))
    y = net.conv(bits, signs(random, 44, 21, 3, 2), group=2, pads=[1, 1, 1, 0])
    y = net.op("Mul", y, _alpha(random, 1, 44, 1, 1))
    net.conv(y, floats(random, 6, 22, 3, 3) / 5, floats(random, 6), group=2, dilations=[2, 1])
    return net


def pools(random: Random) -> Net:
    """Every pool, sums and products of maps and vectors, ReLU6, sigmoids, a dense layer on a whole map."""
    net = Net((1, 3, 17, 15))
    x = net.random_batch_norm("x", 3, random)  # stays, since the border is 0 behind it
    x = net.conv(x, floats(random, 8, 3, 3, 3) / 99, floats(random, 8), pads=PADS, strides=[2, 2])
    x = net.random_batch_norm(x, 8, random)
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 0, 1])
    x = net.conv(x, floats(random, 8, 1, 3, 3) / 2, floats(random, 8), group=8, pads=PADS)
    mean = net.op(
        "AveragePool",
        x,
        kernel_shape=[3, 3],
        pads=[1, 0, 1, 1],
        strides=[1, 2],
        count_include_pad=1,
    )
    share = net.op("AveragePool", x, kernel_shape=[3, 2], pads=[1, 1, 1, 0], strides=[1, 2])
    y = net.conv(net.sign(mean), signs(random, 8, 8, 3, 3) * _alpha(random, 8, 1, 1, 1), pads=PADS)
    y = net.op("Add", net.op("Mul", y, net.op("Sigmoid", mean)), share)
    pooled = net.op("Flatten", net.op("GlobalAveragePool", x))
    vector = net.op("Gemm", pooled, floats(random, 8, 8), floats(random, 8))
    y = net.op("Add", y, net.op("Unsqueeze", vector, SPATIAL))
    y = net.op("Clip", y, 0.0, 6.0)
    y = net.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    net.op("Gemm", net.op("Flatten", y), floats(random, 32, 5), floats(random, 5))
    return net


def moves(random: Random) -> Net:
    """Concatenation, channel shuffle, a difference of maps, maxima of bits, a softmax, a binary dense layer."""
    net = Net((1, 3, 10, 8))
    x = net.conv("x", floats(random, 12, 3, 3, 3) / 99, floats(random, 12), pads=PADS)
    y = net.conv(net.op("Relu", x), floats(random, 8, 12, 1, 1) / 4, floats(random, 8))
    y = net.op("Concat", x, y, axis=1)
    y = net.op("Reshape", y, np.array([1, 2, 10, 10, 8]))
    y = net.op("Reshape", net.op("Transpose", y, perm=[0, 2, 1, 3, 4]), np.array([1, 20, 10, 8]))
    bits = net.op("MaxPool", net.sign(y), kernel_shape=[3, 3], strides=[2, 2], pads=PADS)
    z = net.conv(bits, signs(random, 20, 20, 3, 3) * _alpha(random, 20, 1, 1, 1), pads=PADS)
    pooled = net.op("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net.op("Sub", pooled, z)
    mean = net.op("Flatten", net.op("GlobalAveragePool", net.op("Softmax", y, axis=1)))
    mean = net.op("Add", mean, floats(random, 20) / 20)
    weight = signs(random, 5, 20) * _alpha(random, 5, 1)
    net.op("Gemm", net.sign(mean), weight, floats(random, 5), transB=1)
    return net


def rows(random: Random) -> Net:
    """A stem and its pool in one step, by rows; a unit; a pool that may not take its input's place."""
    net = Net((1, 3, 13, 11))
    x = net.conv("x", floats(random, 8, 3, 3, 3) / 99, floats(random, 8), pads=PADS)
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=PADS)
    x = _unit(net, x, 8, 8, random)
    x = net.op("MaxPool", x, kernel_shape=[3, 3], pads=PADS)
    net.op("Gemm", net.op("Flatten", x), floats(random, 336, 5) / 9, floats(random, 5))
    return net


def camera(random: Random) -> Net:
    """An affine map of bytes before the stem, a gate, a classifier whose weights are subnormal as halves."""
    net = Net((1, 3, 13, 11))
    x = net.op("Mul", "x", floats(random, 3, 1, 1) / 99)
    x = net.op("Add", x, floats(random, 3, 1, 1))
    x = net.conv(x, floats(random, 10, 3, 3, 3), floats(random, 10), pads=PADS, strides=[2, 2])
    x = _unit(net, x, 10, 10, random)
    mean = net.op("Flatten", net.op("GlobalAveragePool", x))
    small = random.uniform(2.0**-15, 2.0**-14, (10, 5)) * signs(random, 10, 5)
    net.op("Gemm", mean, small.astype(np.float32), np.zeros(5, np.float32))
    return net


def quantised(random: Random) -> Net:
    """An uneven window and border in 8-bit integers, a unit with a real skip and a gate, a classifier."""
    net = Net((1, 3, 13, 11))
    x = net.op("Mul", net.op("Sub", "x", 100.0), floats(random, 3, 1, 1) / 99)
    weight = floats(random, 10, 3, 3, 2)
    x = net.conv(x, weight, floats(random, 10), pads=[1, 1, 2, 0], strides=[1, 2])
    x = _unit(net, x, 10, 14, random)
    mean = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.op("Gemm", mean, floats(random, 14, 5), floats(random, 5))
    return net


def vectors(random: Random) -> Net:
    """A unit of 16 channels and one of 24 at stride 2: what kernels for vectors fuse with its epilogue."""
    net = Net((1, 3, 12, 12))
    x = net.conv("x", floats(random, 16, 3, 3, 3) / 99, floats(random, 16), pads=PADS)
    x = _unit(net, x, 16, 16, random)
    x = _unit(net, x, 16, 24, random)
    mean = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.op("Gemm", mean, floats(random, 24, 5), floats(random, 5))
    return net


NETS: dict[str, Callable[[Random], Net]] = {
    "real_to_binary": real_to_binary,
    "integers": integers,
    "pools": pools,
    "moves": moves,
    "real_to_binary_lut4": real_to_binary,
    "integers_lut4": integers,
    "real_to_binary_mcu": real_to_binary,
    "integers_mcu": integers,
    "vectors_mve": vectors,
    "rows": rows,
    "camera": camera,
    "quantised": quantised,
}
FAMILIES = {
    "real_to_binary_lut4": ("c", "portable"),
    "integers_lut4": ("c", "portable"),
    "real_to_binary_mcu": ("mcu", "portable"),
    "integers_mcu": ("mcu", "portable"),
    "vectors_mve": ("mve", "portable"),
}
"""The kernel families of networks that do not take those of the host."""
CUT = {"real_to_binary_mcu"}
"""Networks whose steps are cut into tasks, however small."""
TARGETS = {"vectors_mve": "corstone-300"}
"""Of networks whose C program does not run on the host."""
STORAGE = {"camera": Storage("fp16", "uint8")}
"""Of networks that are not stored in float32."""
QUANTISED = {"quantised"}
"""Networks whose float layers are exported in 8-bit integers."""
