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


def test_conv_blocks_lie_as_the_header_says() -> None:
    """Each weight once at its place, and zeros for the outputs 5 to 7 that there are not."""
    weight = np.arange(1, 5 * 3 * 2 * 2 + 1, dtype=np.float32).reshape(5, 3, 2, 2)
    packed = pack.conv_blocks(weight, 4)
    assert packed.shape == (2, 2, 2, 3, 4)
    assert packed[1, 1, 0, 2, 0] == weight[4, 2, 1, 0]
    assert not packed[1, ..., 1:].any()
    assert packed.sum() == weight.sum()
    assert pack.block_bias(np.array([2.0]), 5, 4).tolist() == [2, 2, 2, 2, 2, 0, 0, 0]


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


def test_block_weights_lie_as_the_header_says() -> None:
    """Wide: 8 outputs of 128 channels to a tap; narrow: 16 of 64; thin: 16 of 32. What is padded is 0."""
    rng = np.random.default_rng(0)
    for outputs, channels in ((11, 45), (16, 64), (5, 130), (8, 65), (17, 32), (3, 9)):
        weight = rng.choice(np.array([-1, 1], np.int8), size=(outputs, channels, 2, 3))
        together, lane = (8, 128) if channels > 64 else (16, 64) if channels > 32 else (16, 32)
        chunks = -(-channels // lane)
        words = pack.block_weights(weight)
        assert words.dtype == np.uint32
        assert words.shape == (-(-outputs // together), 2, chunks, 3, together * lane // 32)
        bits = np.unpackbits(words.view(np.uint8), bitorder="little")
        bits = bits.reshape(-1, 2, chunks, 3, together, lane)
        for o, c, y, x in np.ndindex(weight.shape):
            bit = bits[o // together, y, c // lane, x, o % together, c % lane]
            assert bit == (weight[o, c, y, x] > 0)
        assert bits.sum() == (weight > 0).sum()


def test_border_counts_are_what_a_constant_border_gives() -> None:
    rng = np.random.default_rng(0)
    weight = rng.choice(np.array([-1, 1], np.int8), size=(11, 70, 2, 3))
    for pad_value in (-1, 1):
        counts = pack.border_counts(weight, pad_value).view(np.uint16)
        assert counts.shape == (2, 3, 16)
        dot = (weight * pad_value).sum(axis=1).transpose(1, 2, 0)
        assert (2 * counts[..., :11].astype(int) - 70 == dot).all()
        assert (counts[..., 11:] == 0).all()
