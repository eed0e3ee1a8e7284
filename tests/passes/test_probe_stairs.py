"""The probe: functions of few values, and what is neither a step nor stairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from probing import Build, cast, probe, where
from small_onnx import Net

from r2b_edge.passes import bits
from r2b_edge.passes.stairs import FoundStairs


def plus_except(low: float, high: float) -> Build:
    def build(net: Net) -> str:
        inside = net.op("And", net.op("GreaterOrEqual", "x", low), net.op("LessOrEqual", "x", high))
        return where(net, inside, -1.0, 1.0)

    return build


def sign_except_between(low: float, high: float) -> Build:
    """Without any comparison at the ends: a parabola's sign."""

    def build(net: Net) -> str:
        parabola = net.op("Mul", net.op("Sub", "x", low), net.op("Sub", "x", high))
        return net.op("Mul", net.sign("x"), net.sign(parabola))

    return build


def two_bits(net: Net) -> str:
    steps = [net.sign(net.op("Add", "x", s)) for s in (-0.5, 0.0, 0.5)]
    return net.op("Add", net.op("Add", steps[0], steps[1]), steps[2])


def third_far_away(net: Net) -> str:
    far = cast(net, net.op("Greater", "x", 1500.0))
    return net.op("Add", net.sign("x"), net.op("Mul", far, 2.0))


def rounded(scale: float, low: float, high: float, kind: str = "Round") -> Build:
    """A quantiser as it is exported: scale, clip, round, scale back."""

    def build(net: Net) -> str:
        clipped = net.op("Clip", net.op("Mul", "x", scale), low, high)
        return net.op("Div", net.op(kind, clipped), scale)

    return build


def straight_through(build: Build) -> Build:
    def around(net: Net) -> str:
        return net.op("Add", net.op("Sub", build(net), "x"), "x")

    return around


STAIRS: dict[str, tuple[Build, int, int]] = {
    "narrow gap": (plus_except(0.3, 0.3001), 2, 2),
    "gap of one float": (plus_except(0.3, 0.3), 1, 2),
    "narrow gap of a parabola": (sign_except_between(0.3, 0.3001), 2, 3),
    "far gap of a parabola": (sign_except_between(700.0, 700.5), 2, 3),
    "gap of a parabola at minus": (sign_except_between(-0.001001, -0.001), 2, 3),
    "two bits": (two_bits, 4, 3),
    "ternary": (
        lambda n: n.op("Sub", cast(n, n.op("Greater", "x", 0.5)), cast(n, n.op("Less", "x", -0.5))),
        3,
        2,
    ),
    "narrow ternary": (
        lambda n: n.op("Add", n.op("Sign", "x"), n.op("Sign", n.op("Add", "x", -0.001))),
        3,
        4,
    ),
    "third value far away": (third_far_away, 3, 2),
    "third value close by": (
        lambda n: n.op("Add", n.sign("x"), n.op("Mul", cast(n, n.op("Greater", "x", 3.0)), 1e-4)),
        3,
        2,
    ),
    "2 bits, unsigned": (rounded(3.0, 0.0, 3.0), 4, 3),
    "2 bits, signed": (rounded(2.0, -2.0, 2.0), 5, 4),
    "4 bits": (rounded(15.0, 0.0, 15.0), 16, 15),
    "floor": (rounded(4.0, 0.0, 3.0, "Floor"), 4, 3),
    "ceil": (rounded(4.0, -3.0, 0.0, "Ceil"), 4, 3),
    "2 bits with an estimator": (straight_through(rounded(3.0, 0.0, 3.0)), 4, 3),
}
"""Functions of few values: how many, and how many thresholds."""


@pytest.mark.parametrize("case", STAIRS)
def test_stairs(case: str, tmp_path: Path) -> None:
    """All thresholds, to the last bit: against onnxruntime at 1 and 2 ulp from each, and all over the line."""
    build, values, thresholds = STAIRS[case]
    result = probe(build, tmp_path)
    assert isinstance(result, tuple)
    source, found = result
    assert (source, isinstance(found, FoundStairs)) == ("x", True)
    assert isinstance(found, FoundStairs)
    assert (found.count, found.thresholds.shape[1]) == (values, thresholds)
    random = np.random.default_rng(3)
    near = [found.thresholds[0]]
    for toward in (np.float32(np.inf), np.float32(-np.inf)):
        near += [np.nextafter(near[0], toward), np.nextafter(np.nextafter(near[0], toward), toward)]
    sizes = 2.0 ** random.uniform(-30, 9, 300)
    points = np.concatenate([*near, sizes, -sizes]).astype(np.float32)
    net = Net((len(points), 1, 1, 1))
    output = build(net)
    shown = net.onnxruntime(points[:, None, None, None], output)[output][:, :, 0, 0]
    got = bits.staircase(found).reference(points[:, None])
    # At a tie of its own (sign(0) = 0) the value belongs to a single float, which may be subnormal.
    tolerance = 1e-6 + 2e-7 * np.abs(points[:, None])
    wrong = (np.abs(got - shown) > tolerance) & (np.abs(points[:, None]) > 1e-37)
    assert not wrong.any(), (points[wrong[:, 0]], got[wrong], shown[wrong])


NO_STEPS: dict[str, tuple[Build, str]] = {
    "relu": (lambda n: n.op("Relu", "x"), "real"),
    "hard tanh": (lambda n: n.op("Clip", n.op("Mul", "x", 1e6), -1.0, 1.0), "real"),
    "almost a sign": (lambda n: n.op("Tanh", n.op("Mul", "x", 1e6)), "real"),
    "almost a sign, off the grid": (
        lambda n: n.op("Tanh", n.op("Mul", n.op("Sub", "x", 0.3), 400.0)),
        "real",
    ),
    "almost a sign, far off the grid": (
        lambda n: n.op("Tanh", n.op("Mul", n.op("Sub", "x", 0.3), 3e4)),
        "constant",
    ),
    "a ramp with one point of the grid on it": (
        lambda n: n.op("Clip", n.op("Mul", n.op("Add", "x", 0.123), 85.0), -1.0, 1.0),
        "real",
    ),
    "a ramp of few values on the grid": (
        lambda n: n.op("Mul", n.op("Clip", n.op("Add", "x", 2.0), -1.0, 1.0), 3.0),
        "real",
    ),
    "sign times x": (lambda n: n.op("Mul", n.sign("x"), "x"), "real"),
    "half of a sign": (lambda n: n.op("Where", n.op("Less", "x", 0.0), -1.0, "x"), "real"),
    "always the same": (lambda n: n.op("Add", n.op("Mul", "x", 0.0), 1.0), "constant"),
    "not finite": (lambda n: n.op("Div", 1.0, "x"), "not finite"),
}


@pytest.mark.parametrize("case", NO_STEPS)
def test_what_is_no_step(case: str, tmp_path: Path) -> None:
    build, says = NO_STEPS[case]
    result = probe(build, tmp_path)
    assert isinstance(result, str), result
    assert says in result
