"""The probe: every disguise of a sign becomes the right step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from probing import TINIEST, Build, cast, found, probe, where
from small_onnx import Net

from r2b_edge.graph import interpret
from r2b_edge.passes import bits
from r2b_edge.passes.probe import FoundStep
from r2b_edge.passes.stairs import FoundStairs


def sign_minus_clip_plus_clip(net: Net) -> str:
    clipped = net.op("Clip", "x", -1.0, 1.0)
    return net.op("Add", net.op("Sub", net.op("Sign", "x"), clipped), clipped)


def bi_real(net: Net) -> str:
    """Sign minus and plus the piecewise polynomial of Bi-Real Net, as its authors wrote it."""

    def blend(bound: float, below: str | float, above: str | float) -> str:
        mask = cast(net, net.op("Less", "x", bound))
        return net.op(
            "Add", net.op("Mul", below, mask), net.op("Mul", above, net.op("Sub", 1.0, mask))
        )

    square, double = net.op("Mul", "x", "x"), net.op("Mul", "x", 2.0)
    left = blend(-1.0, -1.0, net.op("Add", square, double))
    middle = blend(0.0, left, net.op("Sub", double, square))
    smooth = blend(1.0, middle, 1.0)
    return net.op("Add", net.op("Sub", net.op("Sign", "x"), smooth), smooth)


def tanh_estimator(net: Net) -> str:
    smooth = net.op("Tanh", net.op("Mul", "x", 5.0))
    return net.op("Add", net.op("Sub", net.op("Sign", "x"), smooth), smooth)


def quicknet(net: Net) -> str:
    sign = net.op("Sign", "x")
    return net.op("Where", net.op("Equal", sign, 0.0), 1.0, sign)


AT_ZERO: dict[str, tuple[Build, bool]] = {
    "sign": (lambda n: n.op("Sign", "x"), True),
    "where ge": (lambda n: n.sign("x"), False),
    "where not lt": (lambda n: where(n, n.op("Not", n.op("Less", "x", 0.0))), False),
    "where lt, flipped": (lambda n: where(n, n.op("Less", "x", 0.0), -1.0, 1.0), False),
    "0 <= x": (lambda n: where(n, n.op("LessOrEqual", 0.0, "x")), False),
    "cast * 2 - 1": (
        lambda n: n.op("Sub", n.op("Mul", cast(n, n.op("GreaterOrEqual", "x", 0.0)), 2.0), 1.0),
        False,
    ),
    "sign - clip + clip": (sign_minus_clip_plus_clip, True),
    "bi-real": (bi_real, True),
    "tanh": (tanh_estimator, True),
    "quicknet": (quicknet, False),
    "clip before": (lambda n: n.op("Sign", n.op("Clip", "x", -1.0, 1.0)), True),
    "sign / 1": (lambda n: n.op("Div", n.op("Sign", "x"), 1.0), True),
    "absolute": (
        lambda n: where(n, n.op("Equal", n.op("Abs", "x"), "x")),
        False,
    ),
    "max of min": (
        lambda n: n.op("Max", n.op("Min", n.op("Mul", n.sign("x"), 3.0), 1.0), -1.0),
        False,
    ),
    "equal or greater": (
        lambda n: where(n, n.op("Or", n.op("Equal", "x", 0.0), n.op("Greater", "x", 0.0))),
        False,
    ),
    "power": (lambda n: n.op("Pow", n.sign("x"), np.array(3, np.int64)), False),
    "xor": (
        lambda n: where(n, n.op("Xor", n.op("Less", "x", 0.0), n.op("Equal", "x", "x"))),
        False,
    ),
    "prelu before": (lambda n: n.sign(n.op("PRelu", "x", 0.2 * np.ones(1, np.float32))), False),
}


@pytest.mark.parametrize("form", AT_ZERO)
def test_forms_of_sign(form: str, tmp_path: Path) -> None:
    build, ties = AT_ZERO[form]
    step = found(build, tmp_path)
    assert abs(step.threshold[0]) <= 2 * TINIEST  # a product of the smallest floats is 0
    assert step.direction.tolist() == [1]
    assert (step.low, step.high) == (-1.0, 1.0)
    assert step.ties is ties


def test_greater_than_zero_starts_at_the_smallest_float(tmp_path: Path) -> None:
    step = found(lambda n: where(n, n.op("Greater", "x", 0.0)), tmp_path)
    assert step.threshold[0] == TINIEST
    assert step.direction[0] == 1


def test_less_or_equal_is_the_other_direction(tmp_path: Path) -> None:
    step = found(lambda n: where(n, n.op("LessOrEqual", "x", 0.5)), tmp_path)
    assert (step.threshold[0], step.direction[0]) == (np.float32(0.5), -1)
    step = found(lambda n: where(n, n.op("Less", "x", 0.5)), tmp_path)
    assert step.threshold[0] == np.nextafter(np.float32(0.5), np.float32(0))


def test_relu_then_sign_is_zero_or_one(tmp_path: Path) -> None:
    step = found(lambda n: n.op("Sign", n.op("Relu", "x")), tmp_path)
    assert (step.low, step.high) == (0.0, 1.0)
    assert step.threshold[0] == TINIEST


@pytest.mark.parametrize(
    ("low", "high"), [(-0.72, 0.88), (0.0, 0.3), (-0.9995, 0.9995), (3.0, 5.0)]
)
@pytest.mark.parametrize("estimator", [False, True])
def test_other_levels(low: float, high: float, estimator: bool, tmp_path: Path) -> None:
    def build(net: Net) -> str:
        value = where(net, net.op("GreaterOrEqual", "x", 0.1), high, low)
        return net.op("Add", net.op("Sub", value, "x"), "x") if estimator else value

    step = found(build, tmp_path)
    np.testing.assert_allclose([step.low, step.high], [low, high], rtol=2e-7)


@pytest.mark.parametrize("offset", [0.0, 0.3, -100.3, 5000.7, -3e5])
def test_estimators_far_from_zero(offset: float, tmp_path: Path) -> None:
    """x + (sign(x) - x) loses bits there, but keeps its threshold and its levels."""

    def build(net: Net) -> str:
        y = net.op("Add", "x", offset)
        return net.op("Add", net.op("Sub", net.op("Sign", y), y), y)

    step = found(build, tmp_path)
    assert step.threshold[0] == -np.float32(offset)
    assert (step.low, step.high) == (-1.0, 1.0)


GAMMAS = np.float32([1.3, -0.7, 1e-3, -1e-6, 40.0, 1.0, -1.0, 2.0])
BETAS = np.float32([0.4, 0.2, -3e-3, 1e-6, 1e3, 0.0, -70.0, 1e-8])


def test_batch_norm_before_with_all_kinds_of_gammas(tmp_path: Path) -> None:
    """onnxruntime rounds the constants of a BatchNormalization otherwise: thresholds differ by few ulp."""
    means = np.float32([0, 3, -1, 0.5, 0, 0, 7, 1])

    def build(net: Net) -> str:
        return net.sign(net.batch_norm("x", GAMMAS, BETAS, means, np.full(8, 0.9)))

    result = probe(build, tmp_path, 8)
    assert isinstance(result, tuple)
    source, step = result
    assert source == "x"
    assert step.direction.tolist() == np.sign(GAMMAS).tolist()
    want = means - BETAS * np.sqrt(0.9 + 1e-5) / GAMMAS
    np.testing.assert_allclose(step.threshold, want, rtol=1e-6, atol=1e-6)


def test_products_that_underflow_are_ties_only(tmp_path: Path) -> None:
    """sign(x / 1024) is 0 for the smallest floats too."""
    step = found(lambda n: n.op("Sign", n.op("Mul", "x", 2.0**-10)), tmp_path)
    assert step.ties
    assert abs(step.threshold[0]) < 1e-41


def test_dead_channels_are_constant(tmp_path: Path) -> None:
    """gamma = 0 leaves beta, whose sign the channel has for ever; so has a threshold out of range."""

    def build(net: Net) -> str:
        y = net.op("Mul", "x", np.float32([1, 0, 0, 1e-8]).reshape(4, 1, 1))
        return net.sign(net.op("Add", y, np.float32([0.5, 0.5, -0.5, -1]).reshape(4, 1, 1)))

    step = found(build, tmp_path, 4)
    assert step.threshold.tolist() == [-0.5, -np.inf, np.inf, np.inf]


def test_learned_shift_and_prelu_before(tmp_path: Path) -> None:
    def build(net: Net) -> str:
        y = net.op(
            "PRelu",
            net.op("Add", "x", np.float32([0.3, -2]).reshape(2, 1, 1)),
            np.float32([[[0.25]], [[0.1]]]),
        )
        return net.sign(net.op("Add", y, np.float32([0.1, 0.5]).reshape(2, 1, 1)))

    step = found(build, tmp_path, 2)
    np.testing.assert_allclose(step.threshold, [-0.7, -3.0], rtol=1e-6)


def test_the_threshold_is_that_of_the_rounded_arithmetic(tmp_path: Path) -> None:
    """Against the same expression in numpy's float32, at one ulp, for many awkward constants."""
    random = np.random.default_rng(4)
    scale = (random.uniform(0.01, 3, 64) * random.choice([-1, 1], 64)).astype(np.float32)
    offset = random.normal(size=64).astype(np.float32)

    def build(net: Net) -> str:
        y = net.op("Mul", "x", scale.reshape(64, 1, 1))
        return net.sign(net.op("Add", y, offset.reshape(64, 1, 1)))

    step = found(build, tmp_path, 64)
    t, rising = step.threshold, step.direction > 0
    outside = np.where(rising, np.nextafter(t, np.float32(-99)), np.nextafter(t, np.float32(99)))
    assert ((t * scale + offset) >= 0).all()
    assert ((outside.astype(np.float32) * scale + offset) < 0).all()


@pytest.mark.parametrize("kind", ["PRelu", "Abs"])
def test_a_function_that_turns_back_is_left_before_the_step(kind: str, tmp_path: Path) -> None:
    """With a negative slope there would be two thresholds, so the PReLU stays and the step reads its output."""

    def build(net: Net) -> str:
        slope = [np.full(1, -0.5, np.float32)] if kind == "PRelu" else []
        return net.sign(net.op("Sub", net.op(kind, "x", *slope), 0.5))

    result = probe(build, tmp_path)
    assert isinstance(result, tuple)
    source, step = result
    assert source == "t0"
    assert step.threshold.tolist() == [0.5]


def test_a_threshold_that_rounding_makes_is_left_before_the_step(tmp_path: Path) -> None:
    """x - tanh(x) is 0 in float32, or 1 ulp of this or that sign, as each runtime has it, up to |x| = 0.004."""
    result = probe(lambda n: n.sign(n.op("Sub", "x", n.op("Tanh", "x"))), tmp_path)
    assert isinstance(result, tuple)
    assert result[0] != "x"


@pytest.mark.parametrize("function", ["Sigmoid", "Tanh"])
def test_a_threshold_behind_a_function_that_runtimes_approximate(
    function: str, tmp_path: Path
) -> None:
    """It is not computed for it: sigmoid(x) > 0.5 is x > 0 within rounding."""
    level = 0.5 if function == "Sigmoid" else 0.3
    result = probe(lambda n: where(n, n.op("Greater", n.op(function, "x"), level)), tmp_path)
    assert isinstance(result, tuple)
    source, step = result
    assert source == "x"
    assert isinstance(step, FoundStep)
    want = 0.0 if function == "Sigmoid" else np.arctanh(0.3)
    np.testing.assert_allclose(step.threshold, want, rtol=1e-6, atol=2e-7)


def test_channels_with_different_levels(tmp_path: Path) -> None:
    result = probe(
        lambda n: n.op("Mul", n.sign("x"), np.float32([1, 2]).reshape(2, 1, 1)), tmp_path, 2
    )
    assert isinstance(result, tuple)
    _, stairs = result
    assert isinstance(stairs, FoundStairs)
    assert stairs.count == 2
    np.testing.assert_array_equal(stairs.values, [[-1, 1], [-2, 2]])


def test_dead_channel_of_a_sign_is_a_third_value(tmp_path: Path) -> None:
    """sign(0 * x) is 0 for every x: no bit can stand for it."""
    result = probe(
        lambda n: n.op("Sign", n.op("Mul", "x", np.float32([1, 0]).reshape(2, 1, 1))), tmp_path, 2
    )
    assert isinstance(result, tuple)
    source, _ = result
    assert source != "x"  # the step is found behind the product, whose zeros `check` counts


def test_offsets_beyond_every_range(tmp_path: Path) -> None:
    """Nothing is known of such a cone; the step behind the sum is found instead."""
    result = probe(lambda n: n.sign(n.op("Add", "x", 1e7)), tmp_path)
    assert isinstance(result, tuple)
    assert result[0] != "x"


def test_two_sources_are_no_function_of_one(tmp_path: Path) -> None:
    def build(net: Net) -> str:
        y = net.conv("x", np.ones((1, 1, 1, 1), np.float32))
        return net.sign(net.op("Add", "x", y))

    result = probe(build, tmp_path)
    assert isinstance(result, tuple)
    source, step = result
    assert source not in ("x", "t0")  # the sum
    assert step.threshold.tolist() == [0.0]


def test_a_source_that_others_read_is_not_walked_past(tmp_path: Path) -> None:
    """The PReLU must be computed anyway, so its output is the source; an affine map is absorbed for nothing."""
    net = Net((1, 1, 2, 2))
    y = net.op("PRelu", net.op("Add", "x", 0.5), np.full(1, 0.2, np.float32))
    z = net.sign(net.op("Add", y, 0.25))
    net.op("Add", net.conv(z, np.ones((1, 1, 1, 1), np.float32)), y)
    graph = net.graph(tmp_path)
    result = bits.probe(graph, z)
    assert isinstance(result, tuple)
    assert result[0] == y
    assert result[1].threshold.tolist() == [-0.25]


def test_the_source_of_a_deep_cone(tmp_path: Path) -> None:
    """More nodes than the probe walks: the input stays real, and nothing breaks."""
    net = Net((1, 1, 2, 2))
    x = "x"
    for _ in range(150):
        x = net.op("Tanh", x)
    net.conv(x, np.ones((1, 1, 1, 1), np.float32))
    graph = net.graph(tmp_path)
    assert bits.probe(graph, x) == "its input is real"
    assert np.isfinite(interpret.run(graph, {"x": np.ones((1, 1, 2, 2))})[x]).all()
