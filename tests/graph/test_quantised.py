"""References of Staircase, BinaryMaxPool and of BinaryConv on vectors, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from r2b_edge.graph import TensorType
from r2b_edge.ops import BinaryConv, BinaryMaxPool, Staircase, Window
from r2b_edge.ops.binary import PIXEL


def stairs() -> Staircase:
    thresholds = np.float32([[-1, 0, 2], [0.5, np.inf, np.inf]])
    return Staircase(thresholds, np.float32([[9, 8, 7, 6], [-1, 1, 5, 5]]))


@pytest.mark.parametrize(
    ("x", "want"),
    [
        ((-1.5, 0.4), (9, -1)),
        ((-1.0, 0.5), (8, 1)),
        ((-0.0, 1e30), (7, 1)),
        ((1.9, -np.inf), (7, -1)),
        ((2.0, 0.0), (6, -1)),
        ((np.nan, np.nan), (9, -1)),
    ],
)
def test_staircase(x: tuple[float, float], want: tuple[float, float]) -> None:
    got = stairs().reference(np.float32([x]))
    assert got.tolist() == [list(want)]
    assert got.dtype == np.float32


def test_staircase_types() -> None:
    assert stairs().infer(TensorType((1, 2, 3, 3))) == TensorType((1, 2, 3, 3))
    for kind in (TensorType((1, 3, 3, 3)), TensorType((1, 2, 3, 3), "bits")):
        with pytest.raises(ValueError, match="stairs"):
            stairs().infer(kind)
    with pytest.raises(ValueError, match="values for"):
        Staircase(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)).infer(
            TensorType((1, 2))
        )


def test_binary_max_pool(random: np.random.Generator) -> None:
    bits = random.choice(np.int8([-1, 1]), (2, 3, 5, 4), p=[0.8, 0.2])
    pool = BinaryMaxPool(Window((3, 2), (2, 1), (1, 0, 1, 1)))
    got = pool.reference(bits)
    for n, c, y, x in np.ndindex(*got.shape):
        rows, columns = range(2 * y - 1, 2 * y + 2), range(x, x + 2)
        inside = [bits[n, c, i, j] for i in rows for j in columns if 0 <= i < 5 and 0 <= j < 4]
        assert got[n, c, y, x] == max(inside)
    assert pool.infer(TensorType((1, 3, 5, 4), "bits")) == TensorType((1, 3, 3, 4), "bits")
    with pytest.raises(ValueError, match="a binary pool on float32"):
        pool.infer(TensorType((1, 3, 5, 4)))


def test_a_dense_layer_on_bits(random: np.random.Generator) -> None:
    bits = random.choice(np.int8([-1, 1]), (4, 6))
    weight = random.choice(np.int8([-1, 1]), (4, 3, 1, 1))
    conv = BinaryConv(weight, PIXEL, groups=2)
    got = conv.reference(bits)
    halves = [bits[:, 3 * g : 3 * g + 3] @ weight[2 * g : 2 * g + 2, :, 0, 0].T for g in range(2)]
    np.testing.assert_array_equal(got, np.concatenate(halves, axis=1))
    assert got.dtype == np.int32
    vector = TensorType((1, 6), "bits")
    assert conv.infer(vector) == TensorType((1, 4), "int32")
    assert conv.macs(vector) == 12
    wide = BinaryConv(np.ones((4, 3, 1, 2), np.int8), Window((1, 2)), groups=2)
    with pytest.raises(ValueError, match="Window"):
        wide.infer(vector)
