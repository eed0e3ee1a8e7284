"""Random disguises of a sign, as people's nets and their exporters write them, and near misses that are none.

A disguise is a monotone prefix, a form of sign, an estimator around it and other levels; each constant may differ by
channel. Hypothesis draws the forms, a seed gives the numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto
from small_onnx import Net

CHANNELS, POINTS = 3, 48
Random = np.random.Generator
Floats = NDArray[np.float32]
Make = Callable[[Net, str, Random], str]


def constants(random: Random, low: float, high: float, signed: bool = True) -> Floats:
    """[C, 1, 1] or a scalar: magnitudes from low to high, evenly in the exponent."""
    shape = (CHANNELS, 1, 1) if random.random() < 0.6 else ()
    size = np.exp(random.uniform(np.log(low), np.log(high), shape))
    flip = random.choice([-1, 1], shape) if signed else 1
    return np.asarray(size * flip, np.float32)


def cast(net: Net, condition: str) -> str:
    return net.op("Cast", condition, to=TensorProto.FLOAT)


# Before the sign: monotone, rising or falling by channel.


def _affine(net: Net, y: str, random: Random) -> str:
    scaled = net.op("Mul", y, constants(random, 0.05, 8))
    return net.op("Add", scaled, constants(random, 0.01, 4))


def _norm(net: Net, y: str, random: Random) -> str:
    return net.random_batch_norm(y, CHANNELS, random)


def _shift(net: Net, y: str, random: Random) -> str:
    return net.op("Sub", constants(random, 0.01, 4), y)


def _divide(net: Net, y: str, random: Random) -> str:
    return net.op("Div", y, constants(random, 0.1, 10))


def _prelu(net: Net, y: str, random: Random) -> str:
    return net.op("PRelu", y, constants(random, 0.05, 2, signed=False).reshape(-1, 1, 1))


def _leaky(net: Net, y: str, random: Random) -> str:
    return net.op("LeakyRelu", y, alpha=float(random.uniform(0.01, 0.5)))


PREFIXES: tuple[Make, ...] = (_affine, _norm, _shift, _divide, _prelu, _leaky)


# The sign itself, of y against a threshold: values -1 and +1.


def _compare(kind: str, ordered: bool, how: str) -> Make:
    """y <kind> t, or t <kind> y, as Where, Where of the negation, or Cast."""

    def build(net: Net, y: str, random: Random) -> str:
        t: str | Floats = constants(random, 0.01, 3)
        condition = net.op(kind, y, t) if ordered else net.op(kind, t, y)
        if how == "where":
            return net.op("Where", condition, 1.0, -1.0)
        if how == "not":
            return net.op("Where", net.op("Not", condition), 1.0, -1.0)
        if how == "cast":
            return net.op("Sub", net.op("Mul", cast(net, condition), 2.0), 1.0)
        return net.op("Sub", 1.0, net.op("Mul", 2.0, cast(net, condition)))

    return build


def _sign(net: Net, y: str, random: Random) -> str:
    return net.op("Sign", net.op("Sub", y, constants(random, 0.01, 3)))


def _quicknet(net: Net, y: str, random: Random) -> str:
    sign = _sign(net, y, random)
    return net.op("Where", net.op("Equal", sign, 0.0), 1.0, sign)


def _sum(net: Net, y: str, random: Random) -> str:
    """Halves of one sign, found twice."""
    t = constants(random, 0.01, 3)
    parts = [net.op("Mul", net.op("Sign", net.op("Sub", y, t)), 0.5) for _ in range(2)]
    return net.op("Add", *parts)


def _clip_of_sign(net: Net, y: str, random: Random) -> str:
    return net.op("Clip", net.op("Mul", _sign(net, y, random), 3.0), -1.0, 1.0)


def _max_min(net: Net, y: str, random: Random) -> str:
    return net.op("Max", net.op("Min", net.op("Mul", _sign(net, y, random), 5.0), 1.0), -1.0)


def _hard_tanh_first(net: Net, y: str, random: Random) -> str:
    return net.op("Sign", net.op("Clip", y, -1.0, 1.0))


def _abs_equal(net: Net, y: str, random: Random) -> str:
    shifted = net.op("Add", y, constants(random, 0.01, 3))
    return net.op("Where", net.op("Equal", net.op("Abs", shifted), shifted), 1.0, -1.0)


def _difference(net: Net, y: str, random: Random) -> str:
    """[y >= t] - [y < t]."""
    t = constants(random, 0.01, 3)
    above, below = (cast(net, net.op(k, y, t)) for k in ("GreaterOrEqual", "Less"))
    return net.op("Sub", above, below)


COMPARES = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
FORMS: dict[str, Make] = {
    "sign": _sign,
    "quicknet": _quicknet,
    "sum": _sum,
    "clip": _clip_of_sign,
    "max-min": _max_min,
    "hard tanh": _hard_tanh_first,
    "abs": _abs_equal,
    "difference": _difference,
} | {
    f"{kind} {'y t' if ordered else 't y'} {how}": _compare(kind, ordered, how)
    for kind in COMPARES
    for ordered in (True, False)
    for how in ("where", "not", "cast", "cast down")
}


# Estimators: what is added and taken away again, for its gradient.


def _polynomial(net: Net, y: str, random: Random) -> str:
    """Bi-Real Net's, by comparisons and masks."""
    square, double = net.op("Mul", y, y), net.op("Mul", y, 2.0)
    value: str | float = 1.0
    pieces: list[tuple[float, str | float]] = [
        (1.0, net.op("Sub", double, square)), (0.0, net.op("Add", square, double)), (-1.0, -1.0)
    ]  # fmt: skip
    for bound, below in pieces:
        mask = cast(net, net.op("Less", y, bound))
        rest = net.op("Mul", value, net.op("Sub", 1.0, mask))
        value = net.op("Add", net.op("Mul", below, mask), rest)
    assert isinstance(value, str)
    return value


def _clipped(net: Net, y: str, random: Random) -> str:
    return net.op("Clip", y, -1.0, 1.0)


def _tanh(net: Net, y: str, random: Random) -> str:
    return net.op("Tanh", net.op("Mul", y, constants(random, 0.5, 20, signed=False)))


def _where_clamp(net: Net, y: str, random: Random) -> str:
    low = net.op("Where", net.op("Less", y, -1.0), -1.0, y)
    return net.op("Where", net.op("Greater", low, 1.0), 1.0, low)


ESTIMATORS: tuple[Make | None, ...] = (
    None, lambda net, y, random: y, _clipped, _tanh, _polynomial, _where_clamp
)  # fmt: skip


def _estimated(net: Net, bit: str, smooth: str, turned: bool) -> str:
    """sign - p + p, or p + (sign - p)."""
    rest = net.op("Sub", bit, smooth)
    return net.op("Add", smooth, rest) if turned else net.op("Add", rest, smooth)


@st.composite
def disguises(draw: st.DrawFn) -> tuple[Net, str, bool]:
    """A net of x [1, C, P, 1], its binarised tensor, and whether the graph's arithmetic is onnxruntime's to the bit."""
    kinds = draw(st.lists(st.sampled_from(PREFIXES), max_size=3))
    form = draw(st.sampled_from(sorted(FORMS)))
    estimator = draw(st.sampled_from(ESTIMATORS))
    turned, levels = draw(st.booleans()), draw(st.sampled_from(["", "scale", "zero-one", "any"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    net = Net((1, CHANNELS, POINTS, 1))
    y = "x"
    for kind in kinds:
        y = kind(net, y, random)
    z = FORMS[form](net, y, random)
    if estimator is not None:
        z = _estimated(net, z, estimator(net, y, random), turned)
    if levels == "zero-one":
        z = net.op("Mul", net.op("Add", z, 1.0), 0.5)
    elif levels:
        z = net.op("Mul", z, float(random.uniform(0.05, 3) * random.choice([-1, 1])))
        z = net.op("Add", z, float(random.normal())) if levels == "any" else z
    return net, net.op("Identity", z), not {_norm, _divide} & set(kinds)


# Near misses: what looks like a sign and takes more than two values, or different ones by channel.


def _dead_zone(net: Net, y: str, random: Random) -> str:
    width = constants(random, 1e-3, 1, signed=False)
    return net.op(
        "Sub", cast(net, net.op("Greater", y, width)), cast(net, net.op("Less", y, -width))
    )


def _two_signs(net: Net, y: str, random: Random) -> str:
    other = net.op("Sub", y, constants(random, 1e-3, 1))
    return net.op("Add", net.op("Sign", y), net.op("Sign", other))


def _steep_tanh(net: Net, y: str, random: Random) -> str:
    return net.op("Tanh", net.op("Mul", y, constants(random, 10, 1e6, signed=False)))


def _steep_clip(net: Net, y: str, random: Random) -> str:
    return net.op("Clip", net.op("Mul", y, constants(random, 10, 1e6, signed=False)), -1.0, 1.0)


def _leak(net: Net, y: str, random: Random) -> str:
    return net.op("Add", net.op("Sign", y), net.op("Mul", y, constants(random, 1e-4, 0.1)))


def _wobble(net: Net, y: str, random: Random) -> str:
    bump = net.op("Mul", net.op("Tanh", y), constants(random, 1e-3, 0.5))
    return net.op("Mul", net.op("Sign", y), net.op("Add", bump, 1.0))


def _by_channel(net: Net, y: str, random: Random) -> str:
    scale = np.exp(random.uniform(-2, 2, (CHANNELS, 1, 1))).astype(np.float32)
    return net.op("Mul", net.op("Sign", y), scale)


def _quantiser(net: Net, y: str, random: Random) -> str:
    levels = float(random.integers(2, 8))
    clipped = net.op("Clip", y, 0.0, 1.0)
    return net.op("Div", net.op("Round", net.op("Mul", clipped, levels)), levels)


def _half(net: Net, y: str, random: Random) -> str:
    """A step on one side, a line on the other, or in a narrow interval."""
    width = constants(random, 1e-3, 1, signed=False)
    return net.op("Where", net.op("Less", net.op("Abs", y), width), y, net.op("Sign", y))


def _third_far(net: Net, y: str, random: Random) -> str:
    far = net.op("Greater", y, constants(random, 3, 500, signed=False))
    return net.op("Add", net.op("Sign", y), net.op("Mul", cast(net, far), 0.25))


def _unfinished_estimator(net: Net, y: str, random: Random) -> str:
    """sign - p + q, p and q not quite the same."""
    p = net.op("Clip", y, -1.0, 1.0)
    q = net.op("Clip", y, -1.0, float(1 + np.exp(random.uniform(-6, 0))))
    return net.op("Add", net.op("Sub", net.op("Sign", y), p), q)


NEAR_MISSES: tuple[Make, ...] = (
    _dead_zone, _two_signs, _steep_tanh, _steep_clip, _leak, _wobble, _by_channel, _quantiser, _half, _third_far,
    _unfinished_estimator,
)  # fmt: skip


@st.composite
def near_misses(draw: st.DrawFn) -> tuple[Net, str]:
    """A net and a tensor that is not binary."""
    kinds = draw(st.lists(st.sampled_from(PREFIXES[:4]), max_size=2))
    miss = draw(st.sampled_from(NEAR_MISSES))
    scaled = draw(st.booleans())
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    net = Net((1, CHANNELS, POINTS, 1))
    y = "x"
    for kind in kinds:
        y = kind(net, y, random)
    z = miss(net, y, random)
    return net, net.op("Mul", z, float(random.uniform(0.1, 3))) if scaled else z
