"""The builder of functions of one number."""

from __future__ import annotations

from collections.abc import Callable

from . import spec
from .build import Maker, builds

Function = Callable[[Maker, spec.Activation, str], str]


def _prelu(m: Maker, b: spec.Activation, x: str) -> str:
    slope = m.scales(1 if b.shared else m.x.channels)
    return m.net.op("PRelu", x, slope.reshape(-1, *[1] * len(m.x.size)))


def _clip(m: Maker, b: spec.Activation, x: str) -> str:
    low, high = sorted(float(v) for v in m.offsets(2))
    return m.net.op("Clip", x, low, high)


def _levels(m: Maker, b: spec.Activation, x: str) -> str:
    """An activation of two bits, as quantisers write it."""
    clipped = m.net.op("Clip", m.net.op("Mul", x, m.shrunk(x)), -1.0, 2.0)
    return m.net.op("Round", m.net.op("Sub", clipped, 0.25))


def _rounding(kind: str) -> Function:
    """A function that rounds, of what is brought to where it is neither flat nor steep."""

    def make(m: Maker, b: spec.Activation, x: str) -> str:
        m.rounds = True
        return m.net.op(kind, m.net.op("Mul", x, m.shrunk(x)))

    return make


def _softmax(kind: str) -> Function:
    """Over the channels, at each place of a map."""

    def make(m: Maker, b: spec.Activation, x: str) -> str:
        m.rounds = True
        return m.net.op(kind, m.net.op("Mul", x, m.shrunk(x)), axis=1)

    return make


def _choice(m: Maker, b: spec.Activation, x: str) -> str:
    """A Where between values that are no steps: a line that bends, or, where nothing is rounded, jumps.

    A jump passes rounding on as a different value; a bend does not.
    """
    at = m.along(m.x, m.offsets(1 if b.shared else m.x.channels))
    scale = m.along(m.x, m.scales(1 if b.shared else m.x.channels))
    holds = m.net.op("GreaterOrEqual", x, at)
    if not m.rounds:
        return m.net.op("Where", holds, m.net.op("Mul", x, scale), m.net.op("Sub", x, at))
    bent = m.net.op("Add", m.net.op("Mul", m.net.op("Sub", x, at), scale), at)
    return m.net.op("Where", holds, bent, x)


def _plain(kind: str) -> Function:
    return lambda m, b, x: m.net.op(kind, x)


FUNCTIONS: dict[str, Function] = {
    "Relu": _plain("Relu"),
    "PRelu": _prelu,
    "LeakyRelu": lambda m, b, x: m.net.op("LeakyRelu", x, alpha=0.25 if m.exact else 0.1),
    "Clip": _clip,
    "Abs": _plain("Abs"),
    "Neg": _plain("Neg"),
    "Levels": _levels,
    "Sigmoid": _rounding("Sigmoid"),
    "Tanh": _rounding("Tanh"),
    "Elu": _rounding("Elu"),
    "HardSigmoid": _rounding("HardSigmoid"),
    "HardSwish": _rounding("HardSwish"),
    "Softplus": _rounding("Softplus"),
    "Softmax": _softmax("Softmax"),
    "LogSoftmax": _softmax("LogSoftmax"),
    "Choice": _choice,
}


@builds(spec.Activation)
def _activation(m: Maker, b: spec.Activation) -> None:
    m.put(FUNCTIONS[b.kind](m, b, m.x.name))
