"""Each op's numpy reference against torch on random shapes, and the shape rules on types that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_onnx import floats, signs
from torch.nn import functional as F

from r2b_edge import ops
from r2b_edge.graph.graph import TensorType
from r2b_edge.ops.base import Op
from r2b_edge.ops.windows import Window

MAP = TensorType((1, 4, 6, 7))
VECTOR = TensorType((1, 4))
BITS = TensorType((1, 4, 6, 7), "bits")

WINDOWS = [
    Window((3, 3)),
    Window((1, 1), strides=(2, 2)),
    Window((3, 2), strides=(2, 1), pads=(1, 0, 0, 1)),
    Window((2, 3), pads=(1, 2, 0, 1), dilations=(2, 1)),
    Window((3, 3), strides=(3, 2), pads=(2, 2, 2, 2), dilations=(1, 2)),
]


def padded(x: torch.Tensor, window: Window, value: float) -> torch.Tensor:
    """The border of a window, made by torch."""
    top, left, bottom, right = window.pads
    return F.pad(x, (left, right, top, bottom), value=value)


def convolved(x: Any, weight: Any, window: Window, groups: int, value: float) -> NDArray[Any]:
    out = F.conv2d(
        padded(torch.from_numpy(x).double(), window, value),
        torch.from_numpy(weight).double(),
        stride=window.strides,
        dilation=window.dilations,
        groups=groups,
    )
    return np.asarray(out)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("pad_value", [0.0, -1.5])
def test_float_conv(
    window: Window, groups: int, pad_value: float, random: np.random.Generator
) -> None:
    x, weight = floats(random, 2, 4, 6, 7), floats(random, 8, 4 // groups, *window.kernel)
    op = ops.FloatConv(weight, floats(random, 8), window, groups, pad_value)
    want = convolved(x, weight, window, groups, pad_value) + op.bias[:, None, None]
    got = op.reference(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert op.infer(MAP).shape == (1, *want.shape[1:])
    assert op.macs(MAP) == want[0].size * weight[0].size


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("pad_value", [-1, 0, 1])
def test_binary_conv_is_the_exact_dot_product(
    window: Window, groups: int, pad_value: int, random: np.random.Generator
) -> None:
    x, weight = signs(random, 2, 4, 6, 7), signs(random, 8, 4 // groups, *window.kernel)
    op = ops.BinaryConv(weight.astype(np.int8), window, pad_value, groups)
    want = convolved(x, weight, window, groups, pad_value)
    got = op.reference(x.astype(np.int8))
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, want)
    assert op.infer(BITS) == TensorType((1, *want.shape[1:]), "int32")
    assert op.macs(BITS) == want[0].size * weight[0].size


POOLS = [WINDOWS[0], WINDOWS[1], Window((3, 2), (2, 1), (1, 0, 2, 1)), Window((2, 2), (2, 2))]


@pytest.mark.parametrize("window", [*POOLS, Window((3, 3), pads=(1, 2, 0, 1), dilations=(2, 1))])
def test_max_pool_ignores_the_border(window: Window, random: np.random.Generator) -> None:
    x = floats(random, 2, 4, 6, 7) - 5  # all negative: a border of zeros would win
    want = F.max_pool2d(
        padded(torch.from_numpy(x), window, -torch.inf),
        window.kernel,
        window.strides,
        dilation=window.dilations,
    )
    np.testing.assert_array_equal(ops.MaxPool(window).reference(x), want)
    assert ops.MaxPool(window).infer(MAP).shape == (1, *want.shape[1:])


@pytest.mark.parametrize("window", POOLS)
@pytest.mark.parametrize("counted", [False, True])
def test_avg_pool(window: Window, counted: bool, random: np.random.Generator) -> None:
    x = floats(random, 2, 4, 6, 7)
    ones = torch.ones(1, 1, 6, 7)

    def mean(value: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(padded(value, window, 0.0), window.kernel, window.strides)

    want = mean(torch.from_numpy(x)) / (1 if counted else mean(ones))
    op = ops.AvgPool(window, counted)
    np.testing.assert_allclose(op.reference(x), want, atol=1e-6)
    assert op.infer(MAP).shape == (1, *want.shape[1:])


def test_global_avg_pool(random: np.random.Generator) -> None:
    x = floats(random, 2, 4, 6, 7)
    got = ops.GlobalAvgPool().reference(x)
    np.testing.assert_allclose(got, torch.from_numpy(x).mean((2, 3)), atol=1e-6)
    assert ops.GlobalAvgPool().infer(MAP) == VECTOR


@pytest.mark.parametrize("shape", [(2, 4, 6, 7), (2, 4)])
def test_elementwise_functions_of_one_tensor(
    shape: tuple[int, ...], random: np.random.Generator
) -> None:
    x = floats(random, *shape) * 3
    t = torch.from_numpy(x)
    scale, offset, slope = floats(random, 3, 4)
    column = (-1, *(1,) * (len(shape) - 2))
    cases: list[tuple[Op, torch.Tensor]] = [
        (
            ops.ChannelAffine(scale, offset),
            t * torch.from_numpy(scale.reshape(column)) + torch.from_numpy(offset.reshape(column)),
        ),
        (ops.PReLU(slope), F.prelu(t, torch.from_numpy(slope))),
        (ops.Clip(0.0, np.inf), F.relu(t)),
        (ops.Clip(-1.0, 0.5), t.clip(-1, 0.5)),
        (ops.Sigmoid(), torch.sigmoid(t)),
    ]
    for op, want in cases:
        got = op.reference(x)
        assert got.dtype == np.float32, op
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=str(op))
        assert op.infer(TensorType((1, *shape[1:]))).shape == (1, *shape[1:])


def test_sigmoid_of_large_arguments_is_finite() -> None:
    got = ops.Sigmoid().reference(np.float32([[-1e4, -90, 0, 90, 1e4]]))
    np.testing.assert_allclose(got, [[0, 0, 0.5, 1, 1]], atol=1e-30)


@pytest.mark.parametrize("order", [1, -1])
def test_sums_and_products_of_a_map_and_a_vector(order: int, random: np.random.Generator) -> None:
    x, gate = floats(random, 2, 4, 6, 7), floats(random, 2, 4)
    pair = [x, gate][::order]
    np.testing.assert_array_equal(ops.Mul().reference(*pair), x * gate[:, :, None, None])
    np.testing.assert_array_equal(ops.Add().reference(*pair), x + gate[:, :, None, None])
    assert ops.Mul().infer(*[MAP, VECTOR][::order]) == MAP


def test_dense(random: np.random.Generator) -> None:
    x, weight, bias = floats(random, 3, 4), floats(random, 5, 4), floats(random, 5)
    want = F.linear(*(torch.from_numpy(v) for v in (x, weight, bias)))
    op = ops.Dense(weight, bias)
    np.testing.assert_allclose(op.reference(x), want, atol=1e-6)
    assert op.infer(VECTOR).shape == (1, 5)
    assert op.macs(VECTOR) == 20


def test_step_at_one_ulp_around_its_threshold() -> None:
    t = np.float32(0.3)
    x = np.float32([[np.nextafter(t, np.float32(-1)), t, np.nextafter(t, np.float32(1))]]).T
    rising = ops.Step(np.float32([0.3]), np.int8([1])).reference(x)
    falling = ops.Step(np.float32([0.3]), np.int8([-1])).reference(x)
    assert rising.ravel().tolist() == [-1, 1, 1]
    assert falling.ravel().tolist() == [1, 1, -1]


def test_step_of_zeros_and_infinities() -> None:
    t, direction = np.float32([0, np.inf, -np.inf]), np.int8([1, 1, 1])
    op = ops.Step(t, direction)
    x = np.float32([[-0.0, 1e30, -1e30], [0.0, -1, 1]])
    assert op.reference(x).tolist() == [[1, -1, 1], [1, -1, 1]]
    flipped = ops.Step(np.zeros(3, np.float32), -direction)
    assert flipped.reference(x).tolist() == [[1, -1, 1], [1, 1, -1]]


def test_reshape_keeps_nchw_order(random: np.random.Generator) -> None:
    x = floats(random, 2, 4, 6, 7)
    got = ops.Reshape((1, 168)).reference(x)
    np.testing.assert_array_equal(got, torch.from_numpy(x).flatten(1))


def ones(*shape: int) -> NDArray[Any]:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("op", "types"),
    [
        (ops.FloatConv(ones(8, 3, 3, 3), ones(8), Window((3, 3))), [MAP]),
        (ops.FloatConv(ones(3, 2, 3, 3), ones(3), Window((3, 3)), groups=2), [MAP]),
        (ops.FloatConv(ones(8, 4, 3, 3), ones(7), Window((3, 3))), [MAP]),
        (ops.FloatConv(ones(8, 4, 3, 3), ones(8), Window((3, 2))), [MAP]),
        (ops.FloatConv(ones(8, 4, 1, 1), ones(8), Window((1, 1))), [VECTOR]),
        (ops.FloatConv(ones(8, 4, 9, 9), ones(8), Window((9, 9))), [MAP]),
        (ops.BinaryConv(np.ones((8, 4, 3, 3), np.int8), Window((3, 3))), [MAP]),
        (ops.BinaryConv(np.ones((8, 3, 3, 3), np.int8), Window((3, 3))), [BITS]),
        (ops.Step(ones(3), np.ones(3, np.int8)), [MAP]),
        (ops.ChannelAffine(ones(3), ones(4)), [MAP]),
        (ops.PReLU(ones(5)), [MAP]),
        (ops.Add(), [MAP, TensorType((1, 4, 6, 6))]),
        (ops.Mul(), [MAP, TensorType((1, 5))]),
        (ops.Mul(), [VECTOR, TensorType((1, 5))]),
        (ops.Dense(ones(5, 3), ones(5)), [VECTOR]),
        (ops.Dense(ones(5, 4), ones(5)), [MAP]),
        (ops.MaxPool(Window((2, 2))), [VECTOR]),
        (ops.MaxPool(Window((2, 2), pads=(2, 0, 0, 0))), [MAP]),
        (ops.AvgPool(Window((7, 7))), [MAP]),
        (ops.GlobalAvgPool(), [VECTOR]),
        (ops.Reshape((1, 5)), [MAP]),
        (ops.Elementwise("Max", (None, None)), [MAP, VECTOR]),
        (ops.Elementwise("Max", (None, ones(3))), [MAP]),
    ],
)
def test_types_that_do_not_fit(op: Op, types: list[TensorType]) -> None:
    with pytest.raises(ValueError, match=r"."):
        op.infer(*types)


@pytest.mark.parametrize(
    "numbers",
    [
        {"kernel": (0, 3)},
        {"kernel": (3,)},
        {"strides": (1, 0)},
        {"strides": (1,)},
        {"dilations": (0, 1)},
        {"pads": (-1, 0, 0, 0)},
        {"pads": (1, 1)},
    ],
)
def test_windows_that_are_none(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is not two-dimensional|below 1"):
        Window(**{"kernel": (3, 3), **numbers})
