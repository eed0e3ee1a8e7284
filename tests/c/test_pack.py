"""Constants: the bits of weights, and thresholds that give exactly what a Step gives."""

from __future__ import annotations

import numpy as np

from r2b_edge.exporters.c import pack
from r2b_edge.ops import Step


def test_binary_weights_put_a_one_where_the_weight_is_negative() -> None:
    rng = np.random.default_rng(0)
    weight = rng.choice(np.array([-1, 1], np.int8), size=(3, 45, 2, 3))
    words = pack.binary_weights(weight)
    assert words.dtype == np.uint32
    assert words.shape == (3, 2, 3, 2)
    for o, c, y, x in np.ndindex(weight.shape):
        assert words[o, y, x, c // 32] >> (c % 32) & 1 == (weight[o, c, y, x] < 0)
    assert (words[..., 1] >> 13 == 0).all()


def test_conv_weights_have_the_outputs_innermost() -> None:
    weight = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    packed = pack.conv_weights(weight)
    assert packed.shape == (4, 5, 3, 2)
    assert packed.flags.c_contiguous
    assert packed[1, 2, 0, 1] == weight[1, 0, 1, 2]


def test_a_single_value_is_repeated() -> None:
    assert pack.floats(np.float32([2.5]), 3).tolist() == [2.5, 2.5, 2.5]


def test_thresholds_decide_as_the_step_does_for_every_kind_of_float() -> None:
    """All pairs of special values, their neighbours, and both directions."""
    base = np.float32(
        [0.0, -0.0, 1e-45, -1e-45, 1.17549435e-38, 1.0, -1.0, 3.4028235e38, -3.4028235e38, np.inf]
    )
    base = np.concatenate(
        [base, -base, np.random.default_rng(0).normal(size=20).astype(np.float32)]
    )
    with np.errstate(over="ignore"):
        near = [np.nextafter(base, np.float32(s * np.inf), dtype=np.float32) for s in (-1, 1)]
    values = np.concatenate([base, *near])
    for sign in (1, -1):
        step = Step(values, np.full(values.size, sign, np.int8))
        limit, flip = pack.thresholds(step)
        flips = np.unpackbits(flip.view(np.uint8), bitorder="little")[: values.size].astype(bool)
        for x in values:
            negative = (x < limit) ^ flips
            row = np.full((1, values.size), x, np.float32)
            assert (negative == (step.reference(row)[0] < 0)).all(), (sign, x)


def test_flip_bits_beyond_the_last_channel_are_zero() -> None:
    step = Step(np.zeros(33, np.float32), np.full(33, -1, np.int8))
    assert pack.thresholds(step)[1].tolist() == [0xFFFFFFFF, 1]
