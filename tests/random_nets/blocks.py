"""The builders of layers: convolutions, dense layers, norms, pools, skips, gates and outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import spec
from .build import Floats, Maker, Tensor, builds
from .signs import ESTIMATORS, FORMS, TIED


@builds(spec.Binary)
def _binary(m: Maker, b: spec.Binary) -> None:
    x = m.x
    form = "where" if m.exact and b.sign == TIED else b.sign
    # A shift that is not 0 keeps exact zeros away from a sign that has a third value there.
    bits, low = signed(m, form, b.estimator, b.shift or form == TIED, b.gain)
    if b.pool and x.is_map and min(x.size) > 1:
        bits = m.net.op("MaxPool", bits, kernel_shape=[2] * len(x.size))
        x = Tensor(bits, (x.channels, *(n - 1 for n in x.size)))
    if x.is_map:
        groups, channels = m.grouped(b.groups, b.channels)
        attributes, size = m.fitted(b, x)
        border = (b.gain + low) / 2 + (b.gain - low) / 2 * b.border
        if any(attributes["pads"]) and (b.pad_node or border != 0):
            bits = m.net.op("Pad", bits, all_axes(attributes.pop("pads")), border)
        weight = weights(m, b, (channels, x.channels // groups, *attributes["kernel_shape"]))
        bias = [m.offsets(channels)] if b.bias else []
        y = m.net.op("Conv", bits, weight, *bias, group=groups, **attributes)
        m.put(y, (channels, *size))
    else:
        weight = weights(m, b, (b.channels, x.channels))
        dense(m, bits, weight, b.bias)
    if b.alpha in ("mul", "shared"):
        scale = m.scales(1 if b.alpha == "shared" else m.x.channels) / size_of_sum(m, weight)
        m.put(m.net.op("Mul", m.x.name, m.along(m.x, scale.astype(np.float32))))


def all_axes(pads: Sequence[int]) -> NDArray[np.int64]:
    """Pads of the map's axes as those of a Pad, which has them for all axes."""
    n = len(pads) // 2
    return np.array([0, 0, *pads[:n], 0, 0, *pads[n:]])


def signed(m: Maker, form: str, estimator: str, shift: bool, gain: float) -> tuple[str, float]:
    """The current tensor's sign, and its lower level; the upper one is `gain`."""
    x = m.x.name
    if shift:
        x = m.net.op("Add", x, m.along(m.x, m.offsets(m.x.channels)))
    sign, low = FORMS[form]
    bits = ESTIMATORS[estimator](m.net, x, sign(m.net, x))
    if gain != 1:
        bits = m.net.op("Mul", bits, gain)
    return bits, low * gain


def weights(m: Maker, b: spec.Binary, shape: tuple[int, ...]) -> Floats:
    """+-1, or +-alpha of their output channel; a dead channel is 0."""
    weight = m.signs(*shape)
    if b.alpha == "weights":
        weight = weight * np.abs(m.scales(shape[0])).reshape(-1, *[1] * (len(shape) - 1))
        weight = weight / size_of_sum(m, weight)
    if b.dead:
        weight[m.random.integers(shape[0])] = 0
    return weight.astype(np.float32)


def size_of_sum(m: Maker, weight: Floats) -> float:
    """About the standard deviation of a dot product; in an exact network a power of two."""
    root = math.sqrt(math.prod(weight.shape[1:]))
    return 2.0 ** round(math.log2(root)) if m.exact else root


def dense(m: Maker, x: str, weight: Floats, bias: bool) -> None:
    """Gemm with a bias, MatMul without."""
    if bias:
        y = m.net.op("Gemm", x, weight, m.offsets(len(weight)), transB=1)
    else:
        y = m.net.op("MatMul", x, np.ascontiguousarray(weight.T))
    m.put(y, (len(weight),))


@builds(spec.Float)
def _float(m: Maker, b: spec.Float) -> None:
    x = m.x
    if not x.is_map:
        dense(m, x.name, m.reals(b.channels, x.channels), b.bias)
        return
    groups, channels = m.grouped(b.groups, b.channels)
    attributes, size = m.fitted(b, x)
    weight = m.reals(channels, x.channels // groups, *attributes["kernel_shape"])
    bias = [m.offsets(channels)] if b.bias else []
    m.put(m.net.op("Conv", x.name, weight, *bias, group=groups, **attributes), (channels, *size))


@builds(spec.Norm)
def _norm(m: Maker, b: spec.Norm) -> None:
    channels = m.x.channels
    gamma, beta, mean = m.scales(channels), m.offsets(channels), m.offsets(channels)
    if b.zeros:
        gamma[m.random.random(channels) < 0.3] = 0
    variance = np.ones(channels) if m.exact else m.random.uniform(0.3, 3, channels)
    epsilon = 0.0 if m.exact else 1e-5
    m.put(m.net.batch_norm(m.x.name, gamma, beta, mean, variance, epsilon=epsilon))


@builds(spec.Affine)
def _affine(m: Maker, b: spec.Affine) -> None:
    make = m.scales if b.kind in ("Mul", "Div") else m.offsets
    if b.places and m.x.is_map:
        constant = make(1, 1 if b.shared else m.x.channels, *m.x.size)
    else:
        constant = m.along(m.x, make(1 if b.shared else m.x.channels))
    if b.kind == "from":
        m.put(m.net.op("Sub", constant, m.x.name))
    else:
        m.put(m.net.op(b.kind, m.x.name, constant))


@builds(spec.Pool)
def _pool(m: Maker, b: spec.Pool) -> None:
    x = m.x
    if not x.is_map:
        return
    attributes, size = m.fitted(b, x)
    if any(p >= k for p, k in zip(attributes["pads"], attributes["kernel_shape"] * 2, strict=True)):
        # A window must not lie in the border alone.
        attributes, size = m.fitted(spec.Windowed(b.kernel, b.strides, b.dilations), x)
    kernel, pads = attributes["kernel_shape"], attributes["pads"]
    if b.ceil and not any(pads) and "dilations" not in attributes:
        strides = attributes.get("strides", [1] * len(kernel))
        last = [-(-(n - k) // s) for n, k, s in zip(x.size, kernel, strides, strict=True)]
        if all(i * s < n for i, s, n in zip(last, strides, x.size, strict=True)):
            attributes["ceil_mode"] = 1
            size = tuple(i + 1 for i in last)
    if b.kind == "AveragePool":
        attributes["count_include_pad"] = int(b.count)
        whole = (b.count or not any(pads)) and "ceil_mode" not in attributes
        m.rounds |= not (whole and power_of_two(math.prod(kernel)))
    m.put(m.net.op(b.kind, x.name, **attributes), (x.channels, *size))


def power_of_two(count: int) -> bool:
    return count & (count - 1) == 0


@builds(spec.Skip)
def _skip(m: Maker, b: spec.Skip) -> None:
    x = m.x
    other = m.ago(b.back)
    if b.project and other.shape != x.shape:
        projected = project(m, other, x)
        if projected is not None:
            m.put(m.net.op(b.kind, x.name, projected))
        return
    same = m.earlier(b.back, lambda t: t.shape == x.shape)
    if same is not None:
        m.put(m.net.op(b.kind, x.name, same.name))


def project(m: Maker, source: Tensor, like: Tensor) -> str | None:
    """`source` in the shape of `like` by a 1x1 convolution with strides; None where no strides fit."""
    if not source.is_map or len(source.size) != len(like.size):
        return None
    strides = []
    for have, want in zip(source.size, like.size, strict=True):
        fitting = [s for s in range(1, 9) if (have - 1) // s + 1 == want]
        if not fitting:
            return None
        strides.append(fitting[0])
    weight = m.reals(like.channels, source.channels, *[1] * len(strides))
    return m.net.op("Conv", source.name, weight, strides=strides)


@builds(spec.Gate)
def _gate(m: Maker, b: spec.Gate) -> None:
    x, source = m.x, m.ago(b.back)
    m.rounds = True
    axes = len(x.size) if b.conv and len(source.size) == len(x.size) else 0
    y, channels = source.name, source.channels
    if axes:
        y = m.net.op("GlobalAveragePool", y)
    elif source.is_map:
        y = m.net.op("ReduceMean", y, spatial(source), keepdims=0)
    if b.hidden:
        y = m.net.op("Relu", linear(m, y, m.reals(b.hidden, channels), axes))
        channels = b.hidden
    weight = m.reals(x.channels, channels) * np.float32(m.shrunk(y))
    y = m.net.op("Sigmoid", linear(m, y, weight, axes))
    if b.scaled:
        y = m.net.op("Mul", y, m.scales(x.channels).reshape(1, -1, *[1] * axes))
    if x.is_map and not axes:
        y = m.net.op("Unsqueeze", y, spatial(x))
    m.put(m.net.op("Mul", x.name, y))


def linear(m: Maker, x: str, weight: Floats, axes: int) -> str:
    """A dense layer; where the vector has further axes, as a convolution."""
    bias = m.offsets(len(weight)) / 8 if m.exact else m.offsets(len(weight))
    if axes:
        return m.net.op("Conv", x, weight.reshape(*weight.shape, *[1] * axes), bias)
    return m.net.op("Gemm", x, weight, bias, transB=1)


def spatial(x: Tensor) -> NDArray[np.int64]:
    return np.arange(2, 2 + len(x.size))


@builds(spec.Mean)
def _mean(m: Maker, b: spec.Mean) -> None:
    if m.x.is_map:
        m.put(mean(m, b.kind), (m.x.channels,))


def mean(m: Maker, kind: str) -> str:
    m.rounds |= not power_of_two(math.prod(m.x.size))
    if kind == "ReduceMean":
        return m.net.op("ReduceMean", m.x.name, spatial(m.x), keepdims=0)
    return m.net.op("Flatten", m.net.op("GlobalAveragePool", m.x.name))


@builds(spec.Flat)
def _flat(m: Maker, b: spec.Flat) -> None:
    x = m.x
    if not x.is_map:
        return
    count = math.prod(x.shape)
    if b.binary:
        bits, _ = signed(m, "where", "", True, 1.0)
        dense(m, m.net.op("Flatten", bits), m.signs(b.channels, count), bias=True)
    else:
        dense(m, m.net.op("Flatten", x.name), m.reals(b.channels, count), bias=True)


@builds(spec.Output)
def _output(m: Maker, b: spec.Output) -> None:
    if not b.head:
        m.outputs.append(m.x.name)
        return
    y = mean(m, "GlobalAveragePool") if m.x.is_map else m.x.name
    m.outputs.append(m.net.op("Gemm", y, m.reals(5, m.x.channels), m.offsets(5), transB=1))


@builds(spec.Input)
def _input(m: Maker, b: spec.Input) -> None:
    m.put(m.net.op("Add", m.x.name, m.another_input(m.x.shape)))
