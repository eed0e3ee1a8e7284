"""Ways to write a sign in ONNX: the step itself, and straight-through estimators around it."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto

from tests.graph.small_onnx import Net as Onnx


def _where(net: Onnx, x: str) -> str:
    return net.op("Where", net.op("GreaterOrEqual", x, 0.0), 1.0, -1.0)


def _above(net: Onnx, x: str) -> str:
    return net.op("Where", net.op("Less", 0.0, x), 1.0, -1.0)


def _not_less(net: Onnx, x: str) -> str:
    return net.op("Where", net.op("Less", x, 0.0), -1.0, 1.0)


def _falling(net: Onnx, x: str) -> str:
    return net.op("Where", net.op("LessOrEqual", x, 0.0), 1.0, -1.0)


def _cast(net: Onnx, x: str) -> str:
    bit = net.op("Cast", net.op("GreaterOrEqual", x, 0.0), to=TensorProto.FLOAT)
    return net.op("Sub", net.op("Mul", bit, 2.0), 1.0)


def _sign(net: Onnx, x: str) -> str:
    return net.op("Sign", x)


def _no_zero(net: Onnx, x: str) -> str:
    sign = net.op("Sign", x)
    return net.op("Where", net.op("Equal", sign, 0.0), 1.0, sign)


def _clipped(net: Onnx, x: str) -> str:
    return _where(net, net.op("Clip", x, -1.0, 1.0))


def _zero_one(net: Onnx, x: str) -> str:
    return net.op("Cast", net.op("Less", 0.0, x), to=TensorProto.FLOAT)


def _relu_sign(net: Onnx, x: str) -> str:
    return net.op("Sign", net.op("Relu", x))


FORMS: dict[str, tuple[Callable[[Onnx, str], str], float]] = {
    "where": (_where, -1.0),
    "above": (_above, -1.0),
    "not less": (_not_less, -1.0),
    "falling": (_falling, -1.0),
    "cast": (_cast, -1.0),
    "sign": (_sign, -1.0),
    "no zero": (_no_zero, -1.0),
    "clipped": (_clipped, -1.0),
    "zero one": (_zero_one, 0.0),
    "relu sign": (_relu_sign, 0.0),
}
"""Each with its lower level; the upper one is 1."""

TIED = "sign"
"""The form that has a third value, at 0."""


def _clip(net: Onnx, x: str, bit: str) -> str:
    clip = net.op("Clip", x, -1.0, 1.0)
    return net.op("Add", net.op("Sub", bit, clip), clip)


def _tanh(net: Onnx, x: str, bit: str) -> str:
    tanh = net.op("Tanh", net.op("Mul", x, 3.0))
    return net.op("Add", net.op("Sub", bit, tanh), tanh)


def _detached(net: Onnx, x: str, bit: str) -> str:
    return net.op("Add", x, net.op("Sub", bit, x))


def _polynomial(net: Onnx, x: str, bit: str) -> str:
    """Bi-Real: -1, x^2 + 2x, -x^2 + 2x and 1, by masks."""
    square, double = net.op("Mul", x, x), net.op("Mul", x, 2.0)

    def below(bound: float) -> str:
        return net.op("Cast", net.op("Less", x, bound), to=TensorProto.FLOAT)

    def choose(mask: str, yes: str | float, no: str | float) -> str:
        left = net.op("Mul", mask, yes)
        return net.op("Add", left, net.op("Mul", net.op("Sub", 1.0, mask), no))

    p = choose(below(-1.0), -1.0, net.op("Add", square, double))
    p = choose(below(0.0), p, net.op("Sub", double, square))
    p = choose(below(1.0), p, 1.0)
    return net.op("Add", net.op("Sub", bit, p), p)


ESTIMATORS: dict[str, Callable[[Onnx, str, str], str]] = {
    "": lambda net, x, bit: bit,
    "clip": _clip,
    "tanh": _tanh,
    "detached": _detached,
    "polynomial": _polynomial,
}
