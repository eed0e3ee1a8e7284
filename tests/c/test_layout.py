"""Layouts: a round trip each, and the bits where r2b.h says that they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2b_edge.exporters.c.layout import (
    BITS32,
    BITS128,
    BYTES,
    LAYOUTS,
    NHWC,
    NO_INTEGER,
    Layout,
)
from r2b_edge.graph.graph import TensorType

SIZES = st.integers(1, 70)
SHAPES = st.one_of(
    st.tuples(st.just(1), SIZES),
    st.tuples(st.just(1), SIZES, st.integers(1, 5), st.integers(1, 5)),
)


def values_for(layout: Layout, shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, TensorType]:
    rng = np.random.default_rng(seed)
    if layout.bits:
        return rng.choice(np.array([-1, 1], np.int8), size=shape), TensorType(shape, "bits")
    if layout is BYTES:
        return rng.integers(0, 256, size=shape).astype(np.float32), TensorType(shape)
    return rng.normal(size=shape).astype(np.float32), TensorType(shape)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@given(shape=SHAPES, seed=st.integers(0, 2**32 - 1))
def test_round_trip(layout: Layout, shape: tuple[int, ...], seed: int) -> None:
    values, kind = values_for(layout, shape, seed)
    data = layout.pack(values, kind)
    assert len(data) == layout.nbytes(kind)
    back = layout.unpack(data, kind)
    assert back.dtype == values.dtype
    assert (back == values).all()


@pytest.mark.parametrize("value", [-1.0, 256.0, 2.5, np.nan, np.inf])
def test_what_is_no_byte_is_not_stored_as_one(value: float) -> None:
    with pytest.raises(ValueError, match="whole numbers from 0 to 255"):
        BYTES.pack(np.float32([[3, value, 255]]), TensorType((1, 3)))


def test_integers_are_stored_as_floats() -> None:
    values = np.arange(-3, 3, dtype=np.int32).reshape(1, 6, 1, 1)
    kind = TensorType((1, 6, 1, 1), "int32")
    data = NHWC.pack(values, kind)
    assert np.frombuffer(data, "<f4").tolist() == values.reshape(-1).tolist()
    back = NHWC.unpack(data, kind)
    assert back.dtype == np.int32
    assert (back == values).all()


@pytest.mark.parametrize("value", [2.5, -0.25, 1e-7, np.nan, np.inf, -np.inf, 2.0**31, 3e38])
def test_what_is_no_integer_never_passes_for_one(value: float) -> None:
    """Rounding it would make a wrong dot product right."""
    data = np.float32([3, value, -2]).tobytes()
    back = NHWC.unpack(data, TensorType((1, 3), "int32"))
    assert back.tolist() == [[3, NO_INTEGER, -2]]


def test_nhwc_has_the_channels_innermost() -> None:
    values = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    data = np.frombuffer(NHWC.pack(values, TensorType((1, 3, 2, 2))), "<f4")
    assert data.tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]


def test_bit_of_a_channel() -> None:
    kind = TensorType((1, 40, 1, 2), "bits")
    for channel in (0, 7, 31, 32, 39):
        values = np.ones(kind.shape, np.int8)
        values[0, channel, 0, 1] = -1
        words = np.frombuffer(BITS32.pack(values, kind), "<u4").reshape(2, 2)
        expected = np.zeros((2, 2), np.uint32)
        expected[1, channel // 32] = 1 << channel % 32
        assert (words == expected).all()


@pytest.mark.parametrize("channels", [8, 32, 40, 64, 65, 300])
def test_bit_of_a_channel_in_chunks(channels: int) -> None:
    kind = TensorType((1, channels, 2, 3), "bits")
    for channel in {0, 7, 31, 32, 39, channels - 1} & set(range(channels)):
        values = np.ones(kind.shape, np.int8)
        values[0, channel, 1, 2] = -1
        words = np.frombuffer(BITS128.pack(values, kind), "<u4").reshape(2, -1, 3, 4)
        expected = np.zeros((2, -(-channels // 128), 3, 4), np.uint32)
        expected[1, channel // 128, 2, channel // 32 % 4] = 1 << channel % 32
        if channels <= 32:
            expected[..., 1] = expected[..., 0]
        if channels <= 64:
            expected[..., 2:] = expected[..., :2]
        assert (words == expected).all()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_wrong_size_is_refused(layout: Layout) -> None:
    values, kind = values_for(layout, (1, 4, 2, 2), 0)
    with pytest.raises(ValueError, match="shape"):
        layout.pack(values[:, :3], kind)
    with pytest.raises(ValueError, match="bytes"):
        layout.unpack(layout.pack(values, kind)[:-1], kind)
