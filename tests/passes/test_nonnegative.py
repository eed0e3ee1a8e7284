"""torch.sign of what is never below 0 takes the values 0 and 1, not -1 and 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from binarised import PADS, agree, binary_convs
from small_onnx import Net, floats, signs

RANDOM = np.random.default_rng(6)


def _relu(net: Net) -> str:
    return net.op("Relu", "x")


def _pooled_relu(net: Net) -> str:
    return net.op("MaxPool", net.op("Relu", "x"), kernel_shape=[2, 2], strides=[1, 1])


@pytest.mark.parametrize("source", [_relu, _pooled_relu])
def test_torchs_sign_of_what_a_relu_passed_is_zero_or_one(
    source: Callable[[Net], str], tmp_path: Path
) -> None:
    """Others read the ReLU too (a skip), so that the Step reads its output, which is 0 for half of the values."""
    net = Net()
    x = source(net)
    y = net.conv(net.op("Sign", x), signs(RANDOM, 4, 4, 3, 3), pads=PADS)
    net.op("Add", x, y)
    (conv,) = binary_convs(agree(net, tmp_path))
    assert conv.pad_value == -1


@pytest.mark.parametrize("kind", ["Concat", "Abs", "Sqrt"])
def test_torchs_sign_of_what_is_never_negative(kind: str, tmp_path: Path) -> None:
    net = Net()
    x = net.op("Relu", net.random_batch_norm("x", 4, RANDOM))
    x = net.op("Concat", x, net.op("Abs", "x"), axis=1) if kind == "Concat" else net.op(kind, x)
    channels = 8 if kind == "Concat" else 4
    weight = signs(RANDOM, 4, channels, 3, 3)
    net.op(
        "Add",
        net.conv(net.op("Sign", x), weight, pads=PADS),
        net.conv(x, floats(RANDOM, 4, channels, 1, 1)),
    )
    (conv,) = binary_convs(agree(net, tmp_path))
    assert conv.pad_value == -1


def test_torchs_sign_of_what_is_never_negative_in_some_channels(tmp_path: Path) -> None:
    """{0, 1} in four channels and {-1, 1} in four: no bits with one scale, but exact in float."""
    net = Net()
    x = net.op("Concat", net.op("Relu", "x"), net.random_batch_norm("x", 4, RANDOM), axis=1)
    y = net.conv(net.op("Sign", x), signs(RANDOM, 4, 8, 3, 3), pads=PADS)
    net.op("Add", y, net.conv(x, floats(RANDOM, 4, 8, 1, 1)))
    finding = agree(net, tmp_path).findings[0]
    assert not finding.binary
    assert finding.input_values == 2
    assert finding.reason.startswith("its input takes two values, but not the same in all channels")


@pytest.mark.parametrize(
    ("gain", "binary"),
    [([1, 2, 3, 4], True), ([-1, -2, -1, -2], True), ([1, -1, 2, -0.5], False)],
)
def test_torchs_sign_of_what_is_never_negative_times_a_gain(
    gain: list[float], binary: bool, tmp_path: Path
) -> None:
    """{0, 1} behind a positive gain, {0, -1} behind a negative one. Others read the ReLU too."""
    net = Net()
    x = net.op("Relu", "x")
    z = net.op("Sign", net.op("Mul", x, np.float32(gain).reshape(4, 1, 1)))
    y = net.conv(z, signs(RANDOM, 4, 4, 3, 3), pads=PADS)
    net.op("Add", y, net.conv(x, floats(RANDOM, 4, 4, 1, 1)))
    finding = agree(net, tmp_path).findings[0]
    assert (finding.binary, finding.input_values, finding.ties) == (binary, 2, False)


def test_torchs_sign_where_zero_is_the_threshold_in_some_channels(tmp_path: Path) -> None:
    """A ReLU and an offset of 0 in one channel: {0, 1} there, {-1, 1} in the others."""
    net = Net()
    x = net.op("Relu", "x")
    offset = np.float32([0, -0.5, -0.25, -1]).reshape(4, 1, 1)
    y = net.conv(net.op("Sign", net.op("Add", x, offset)), signs(RANDOM, 4, 4, 3, 3), pads=PADS)
    net.op("Add", y, net.conv(x, floats(RANDOM, 4, 4, 1, 1)))
    finding = agree(net, tmp_path).findings[0]
    assert (finding.binary, finding.input_values) == (False, 2)
