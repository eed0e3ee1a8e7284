"""The probe on random disguises, which it must see through, and on random expressions, which must not fool it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto
from small_onnx import Net

from r2b_edge.graph import Graph
from r2b_edge.passes import bits
from r2b_edge.passes.bits import probe
from r2b_edge.passes.probe import FoundStep
from r2b_edge.passes.stairs import FoundStairs

POINTS = 500
SEEDED = settings(max_examples=80, deadline=None, derandomize=True, database=None)

constants = st.floats(-4, 4, width=32).filter(lambda v: v == 0 or abs(v) > 2.0**-20)
scales = st.floats(0.03125, 8, width=32).flatmap(lambda v: st.sampled_from([v, -v]))


def graph_of(net: Net) -> Graph:
    with tempfile.TemporaryDirectory() as folder:
        return net.graph(Path(folder))


def points(step: FoundStep) -> NDArray[np.float32]:
    """Around the threshold by ulp and by factors, and over the whole line."""
    random = np.random.default_rng(5)
    t = step.threshold[0] if np.isfinite(step.threshold[0]) else np.float32(0)
    near = [t]
    for direction in (np.float32(np.inf), np.float32(-np.inf)):
        value = t
        for _ in range(3):
            value = np.nextafter(value, direction)
            near.append(value)
    sizes = 2.0 ** random.uniform(-20, 9, POINTS)
    scaled = t * (1 + 1e-6 * sizes) if t else sizes
    line = np.concatenate([sizes, -sizes, t + sizes, t - sizes, scaled])
    line = random.choice(line, POINTS - len(near), replace=False)
    return np.concatenate([near, line]).astype(np.float32)


def check(net: Net, z: str, found: tuple[str, FoundStep | FoundStairs]) -> None:
    """What onnxruntime gives at z is what the step, or the stairs, say of its source."""
    source, step = found
    if isinstance(step, FoundStairs):
        check_stairs(net, z, source, step)
        return
    x = points(step)[None, None, :, None]
    outputs = [z] if source == "x" else [z, source]
    values = net.onnxruntime(x, *outputs) | {"x": x}
    at, value = values[source].ravel(), values[z].ravel().astype(np.float64)
    t, rising = step.threshold[0], step.direction[0] > 0
    want = np.where(at >= t if rising else at <= t, step.high, step.low)
    gap = step.high - step.low
    # Estimators round by the size of what they add and take away: a quarter of the gap tells the levels apart.
    # Without ties all but the smallest floats count, which onnxruntime may take for 0.
    away = np.abs(at - t) > 1e-30 + (1e-5 * np.abs(t) if step.ties else 0)
    error = np.abs(value - want)[away]
    assert (error <= 0.25 * gap).all(), (source, step)
    assert not error.size or np.median(error) <= 1e-4 * gap


def check_stairs(net: Net, z: str, source: str, stairs: FoundStairs) -> None:
    random = np.random.default_rng(5)
    t = stairs.thresholds[0]
    t = t[np.isfinite(t)]
    near = [t]
    for toward in (np.float32(np.inf), np.float32(-np.inf)):
        near += [np.nextafter(t, toward), np.nextafter(np.nextafter(t, toward), toward)]
    sizes = 2.0 ** random.uniform(-20, 9, POINTS)
    line = np.concatenate([*near, sizes, -sizes])[:POINTS].astype(np.float32)
    outputs = [z] if source == "x" else [z, source]
    values = net.onnxruntime(line[None, None, :, None], *outputs) | {"x": line}
    at, value = values[source].reshape(-1, 1), values[z].reshape(-1, 1).astype(np.float64)
    got = bits.staircase(stairs).reference(at)
    gap = np.diff(np.unique(stairs.values)).min()
    wrong = (np.abs(value - got) > 0.25 * gap) & (np.abs(at) > 1e-30)
    assert not wrong.any(), (source, at[wrong], value[wrong], got[wrong])


@st.composite
def disguises(draw: st.DrawFn) -> tuple[Net, str]:
    """A monotone function, a form of sign, an estimator around it, other levels."""
    net = Net((1, 1, POINTS, 1))
    y = "x"
    for kind in draw(st.lists(st.sampled_from(["affine", "prelu", "shift"]), max_size=3)):
        if kind == "affine":
            y = net.op("Add", net.op("Mul", y, draw(scales)), draw(constants))
        elif kind == "prelu":
            y = net.op("PRelu", y, np.float32([draw(st.floats(0.0625, 2, width=32))]))
        else:
            y = net.op("Sub", draw(constants), y)
    form = draw(st.sampled_from(["sign", "ge", "gt", "not lt", "cast"]))
    t = draw(constants)
    if form == "sign":
        bit = net.op("Sign", net.op("Sub", y, t))
    elif form == "ge":
        bit = net.op("Where", net.op("GreaterOrEqual", y, t), 1.0, -1.0)
    elif form == "gt":
        bit = net.op("Where", net.op("Less", t, y), 1.0, -1.0)
    elif form == "not lt":
        bit = net.op("Where", net.op("Less", y, t), -1.0, 1.0)
    else:
        bit = net.op("Cast", net.op("GreaterOrEqual", y, t), to=TensorProto.FLOAT)
        bit = net.op("Sub", net.op("Mul", bit, 2.0), 1.0)
    estimator = draw(st.sampled_from(["", "identity", "clip", "tanh", "square"]))
    if estimator:
        smooth = {
            "identity": lambda: y,
            "clip": lambda: net.op("Clip", y, -1.0, 1.0),
            "tanh": lambda: net.op("Tanh", net.op("Mul", y, 3.0)),
            "square": lambda: net.op(
                "Mul", net.op("Clip", y, -1.5, 1.5), net.op("Clip", y, 0.0, 1.0)
            ),
        }[estimator]()
        bit = net.op("Add", net.op("Sub", bit, smooth), smooth)
    if draw(st.booleans()):
        bit = net.op("Add", net.op("Mul", bit, draw(scales)), draw(constants))
    return net, net.op("Identity", bit)


def convolved(net: Net, z: str) -> Graph:
    net.conv(z, np.ones((1, 1, 1, 1), np.float32))
    graph = graph_of(net)
    net.nodes.pop()
    return graph


@SEEDED
@given(disguises())
def test_every_disguise_is_seen_through(disguise: tuple[Net, str]) -> None:
    net, z = disguise
    graph = convolved(net, z)
    found = probe(graph, graph.nodes[-1].inputs[0])
    assert not isinstance(found, str), found
    # sign(x + 1 - 1) is 0 in a wide interval around 0, by rounding: there the step is found further down.
    assert isinstance(found[1], FoundStep)
    assert found[0] == "x" or found[1].ties
    check(net, z, found)


@st.composite
def expressions(draw: st.DrawFn) -> tuple[Net, str]:
    """Any mixture of the ops that a cone may hold: mostly no steps."""
    net = Net((1, 1, POINTS, 1))
    reals = ["x"]
    kinds = st.sampled_from(
        ["Add", "Mul", "Max", "Min", "Sign", "Neg", "Abs", "Clip", "PRelu", "Where", "Where"]
    )
    compares = st.sampled_from(["Less", "GreaterOrEqual", "Greater", "LessOrEqual"])
    for kind in draw(st.lists(kinds, min_size=1, max_size=9)):
        a, b = draw(st.sampled_from(reals[-3:])), draw(st.sampled_from([*reals, None]))
        other: str | float = draw(constants) if b is None else b
        match kind:
            case "Add" | "Mul" | "Max" | "Min":
                reals.append(net.op(kind, a, other))
            case "Sign" | "Neg" | "Abs":
                reals.append(net.op(kind, a))
            case "Clip":
                reals.append(net.op("Clip", a, -1.0, 1.0))
            case "PRelu":
                reals.append(net.op("PRelu", a, np.float32([draw(constants)])))
            case _:
                condition = net.op(draw(compares), a, other)
                reals.append(net.op("Where", condition, draw(constants), 1.0))
    return net, net.op("Identity", reals[-1])


@settings(SEEDED, max_examples=200)
@given(expressions())
def test_nothing_else_is_taken_for_a_step(expression: tuple[Net, str]) -> None:
    net, z = expression
    graph = convolved(net, z)
    found = probe(graph, graph.nodes[-1].inputs[0])
    if not isinstance(found, str):
        check(net, z, found)


@SEEDED
@given(
    st.floats(-100, 100, width=32),
    st.floats(1e-4, 1e3),
    st.sampled_from(["compare", "parabola"]),
    st.booleans(),
)
def test_no_gap_is_overlooked(low: float, width: float, form: str, flip: bool) -> None:
    """A sign with an interval cut out of it has three thresholds, wherever the interval lies."""
    low32 = np.float32(low)
    high32 = np.float32(low + width * max(abs(low), 1e-3) * 1e-2)
    if low32 <= 0 <= high32 or high32 == low32:
        return  # two thresholds next to the sign's own: covered elsewhere
    net = Net((1, 1, POINTS, 1))
    below, above = (net.op("Sub", "x", float(v)) for v in (low32, high32))
    if form == "parabola":
        product = net.op("Mul", below, above)
        inside = net.op("Where", net.op("Less", product, 0.0), -1.0, 1.0)
    else:
        ends = net.op("GreaterOrEqual", below, 0.0), net.op("LessOrEqual", above, 0.0)
        inside = net.op("Where", net.op("And", *ends), -1.0, 1.0)
    z = net.op("Mul", net.sign(net.op("Neg", "x") if flip else "x"), inside)
    graph = convolved(net, z)
    found = probe(graph, z)
    assert isinstance(found, tuple)
    assert isinstance(found[1], FoundStairs)
    assert (found[1].count, found[1].thresholds.size) == (2, 3)
    check(net, z, found)
