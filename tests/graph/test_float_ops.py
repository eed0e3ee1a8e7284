"""The numpy references of the ops by name, of moving and of choosing, against torch; and types that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_onnx import floats
from torch.nn import functional as F

from r2b_edge import ops
from r2b_edge.graph.graph import TensorType
from r2b_edge.ops.base import Op

MAP, VECTOR = TensorType((1, 4, 6, 7)), TensorType((1, 4))
BITS = TensorType((1, 4, 6, 7), "bits")
UNARY = {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Elu": F.elu,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Gelu": F.gelu,
    "HardSwish": F.hardswish,
    "Log": torch.log,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,
    "Softplus": F.softplus,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
}
PAIRWISE = {"Sub": torch.sub, "Div": torch.div, "Max": torch.maximum, "Min": torch.minimum}


def same(got: NDArray[Any], want: torch.Tensor) -> None:
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("kind", UNARY)
def test_unary(kind: str, random: np.random.Generator) -> None:
    x = floats(random, 2, 4, 6, 7) * 3
    x = np.abs(x) + 0.1 if kind in ("Log", "Reciprocal", "Sqrt") else x
    same(ops.Unary(kind).reference(x), UNARY[kind](torch.from_numpy(x)))
    assert ops.Unary(kind).infer(MAP) == MAP


def test_every_function_is_met_here() -> None:
    from r2b_edge.ops import elementwise

    assert set(UNARY) == set(elementwise.UNARY)
    assert {*PAIRWISE, "Add", "Mul"} == set(elementwise.PAIRWISE)


@pytest.mark.parametrize("kind", PAIRWISE)
@pytest.mark.parametrize("shape", [(2, 4, 6, 7), (2, 4), (2, 1, 6, 7), (2, 1)])
@pytest.mark.parametrize("order", [1, -1])
def test_pairwise(
    kind: str, shape: tuple[int, ...], order: int, random: np.random.Generator
) -> None:
    pair = [np.abs(floats(random, *s)) + 0.1 for s in ((2, 4, 6, 7), shape)][::order]
    aligned = [torch.from_numpy(v.reshape((*v.shape, 1, 1)[:4])) for v in pair]
    same(ops.Pairwise(kind).reference(*pair), PAIRWISE[kind](*aligned))
    types = [MAP, TensorType((1, *shape[1:]))][::order]
    assert ops.Pairwise(kind).infer(*types) == MAP


@pytest.mark.parametrize("shape", [(4, 6, 7), (1, 6, 7), (4, 1, 1), (1, 6, 1), (1, 1, 1)])
def test_constant_map(shape: tuple[int, ...], random: np.random.Generator) -> None:
    x, value = floats(random, 2, 4, 6, 7), floats(random, *shape)
    np.testing.assert_array_equal(ops.ConstantMap("Mul", value).reference(x), x * value)
    np.testing.assert_array_equal(ops.ConstantMap("Max", value).reference(x), np.maximum(x, value))
    assert ops.ConstantMap("Add", value).infer(MAP) == MAP


@pytest.mark.parametrize("shape", [(2, 4, 6, 7), (2, 4)])
def test_softmax(shape: tuple[int, ...], random: np.random.Generator) -> None:
    x = floats(random, *shape) * 20
    same(ops.Softmax().reference(x), torch.from_numpy(x).softmax(1))
    same(ops.Softmax(log=True).reference(x), torch.from_numpy(x).log_softmax(1))


@pytest.mark.parametrize("shape", [(2, 4, 6, 7), (2, 4)])
def test_channel_reduce(shape: tuple[int, ...], random: np.random.Generator) -> None:
    x = floats(random, *shape)
    same(ops.ChannelReduce("Mean").reference(x), torch.from_numpy(x).mean(1, keepdim=True))
    same(ops.ChannelReduce("Max").reference(x), torch.from_numpy(x).amax(1, keepdim=True))
    assert ops.ChannelReduce("Max").infer(MAP).shape == (1, 1, 6, 7)


def ints(*values: int) -> NDArray[np.int32]:
    return np.array(values, np.int32)


def test_gather_of_a_map(random: np.random.Generator) -> None:
    x = floats(random, 2, 4, 6, 7)
    got = ops.Gather(ints(3, 0, -1), ints(-1, 5, 2), ints(1, 1), fill=2.5).reference(x)
    want = np.full((2, 3, 3, 2), 2.5, np.float32)
    want[:, :2, 1:] = x[:, [3, 0]][:, :, [5, 2]][:, :, :, [1, 1]]
    np.testing.assert_array_equal(got, want)


def test_gather_of_a_vector(random: np.random.Generator) -> None:
    x = floats(random, 2, 4)
    assert ops.Gather(ints(3, -1)).reference(x).tolist() == [[row[3], 0] for row in x.tolist()]
    spread = ops.Gather(ints(0, 1, 2, 3), ints(0, 0), ints(0, -1))
    got = spread.reference(x)
    np.testing.assert_array_equal(got[..., 0], np.repeat(x[:, :, None], 2, axis=2))
    assert not got[..., 1].any()
    assert spread.infer(VECTOR).shape == (1, 4, 2, 2)


def test_concat(random: np.random.Generator) -> None:
    x, y = floats(random, 2, 4, 6, 7), floats(random, 2, 1, 6, 7)
    np.testing.assert_array_equal(ops.Concat().reference(x, y, x), np.concatenate([x, y, x], 1))
    assert ops.Concat().infer(MAP, MAP).channels == 8


def condition(channels: int = 4) -> ops.Staircase:
    """-1 <= x < 1."""
    thresholds = np.tile(np.float32([-1, 1]), (channels, 1))
    return ops.Staircase(thresholds, np.tile(np.float32([0, 1, 0]), (channels, 1)))


def test_select(random: np.random.Generator) -> None:
    x, y = floats(random, 2, 4, 6, 7), floats(random, 2, 4, 6, 7)
    inside, constant = (x >= -1) & (x < 1), floats(random, 4)
    column = constant[:, None, None]
    np.testing.assert_array_equal(
        ops.Select(condition()).reference(x, x, y), np.where(inside, x, y)
    )
    got = ops.Select(condition(), b=constant).reference(x, y)
    np.testing.assert_array_equal(got, np.where(inside, y, column))
    got = ops.Select(condition(), a=constant).reference(x, y)
    np.testing.assert_array_equal(got, np.where(inside, column, y))


@pytest.mark.parametrize("size", [(6, 7), (5, 5)])
def test_average_with_an_overhang(size: tuple[int, int], random: np.random.Generator) -> None:
    x = floats(random, 2, 4, *size)
    pool = torch.nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=True)
    want = pool(torch.from_numpy(x))
    over = tuple(max((n - 1) * 2 + 3 - size[i] - 2, 0) for i, n in enumerate(want.shape[2:]))
    window = ops.Window((3, 3), (2, 2), (1, 1, 1 + over[0], 1 + over[1]))
    same(ops.AvgPool(window, True, over).reference(x), want)


@pytest.mark.parametrize(
    ("op", "types"),
    [
        (ops.Pairwise("Max"), [MAP, TensorType((1, 4, 6, 1))]),
        (ops.Pairwise("Max"), [VECTOR, TensorType((1, 3))]),
        (ops.Pairwise("Max"), [TensorType((1, 1, 6, 7)), VECTOR]),
        (ops.ConstantMap("Add", np.ones((4, 5, 1), np.float32)), [MAP]),
        (ops.ConstantMap("Add", np.ones((4, 6, 1), np.float32)), [VECTOR]),
        (ops.ConstantMap("Add", np.ones(4, np.float32)), [MAP]),
        (ops.ConstantMap("Div", np.ones((1, 1, 1), np.float32)), [MAP]),
        (ops.Gather(ints(4), ints(0), ints(0)), [MAP]),
        (ops.Gather(ints(-2, 0), ints(0), ints(0)), [MAP]),
        (ops.Gather(ints(-1), ints(0), ints(0)), [MAP]),
        (ops.Gather(ints(), ints(0), ints(0)), [MAP]),
        (ops.Gather(ints(0)), [MAP]),
        (ops.Gather(ints(0), ints(0)), [VECTOR]),
        (ops.Gather(ints(0), ints(1), ints(0)), [VECTOR]),
        (ops.Gather(ints(0), ints(0), ints(0)), [BITS]),
        (ops.Concat(), [MAP, VECTOR]),
        (ops.Concat(), [MAP, TensorType((1, 4, 6, 6))]),
        (ops.Concat(), [MAP, BITS]),
        (ops.Select(condition()), [MAP, MAP]),
        (ops.Select(condition()), [MAP, MAP, VECTOR]),
        (ops.Select(condition(3)), [MAP, MAP, MAP]),
        (ops.Select(condition(), a=np.ones(3, np.float32)), [MAP, MAP]),
        (ops.AvgPool(ops.Window((3, 3), pads=(0, 0, 1, 0)), True, (2, 0)), [MAP]),
        (ops.AvgPool(ops.Window((3, 3), pads=(0, 0, 1, 0)), True, (-1, 0)), [MAP]),
        (ops.AvgPool(ops.Window((1, 2), pads=(0, 1, 0, 0), dilations=(1, 9))), [MAP]),
    ],
)  # fmt: skip
def test_types_that_do_not_fit(op: Op, types: list[TensorType]) -> None:
    with pytest.raises(ValueError, match=r"."):
        op.infer(*types)
