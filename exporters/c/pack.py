"""Parameters as the kernels want them: windows, binary weights at one bit each, thresholds, floats."""

from __future__ import annotations

import numpy as np

from r2b_edge.exporters.c.layout import Words, chw, pack_words
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import Step, Window
from r2b_edge.ops.base import Floats


def align(size: int, alignment: int = 16) -> int:
    """The next multiple of `alignment`."""
    return -(-size // alignment) * alignment


def window_fields(window: Window, x: TensorType, y: TensorType) -> dict[str, int]:
    """The r2b_window of a window over a map."""
    in_channels, in_height, in_width = chw(x)
    out_channels, out_height, out_width = chw(y)
    return {
        "in_height": in_height,
        "in_width": in_width,
        "in_channels": in_channels,
        "out_height": out_height,
        "out_width": out_width,
        "out_channels": out_channels,
        "kernel_y": window.kernel[0],
        "kernel_x": window.kernel[1],
        "stride_y": window.strides[0],
        "stride_x": window.strides[1],
        "dilation_y": window.dilations[0],
        "dilation_x": window.dilations[1],
        "pad_top": window.pads[0],
        "pad_left": window.pads[1],
    }


def floats(values: Array, channels: int | None = None) -> Floats:
    """Contiguous float32; a single value is repeated to [channels] where these are given."""
    out = np.ascontiguousarray(values, dtype=np.float32)
    if channels is not None and out.size == 1:
        return np.full(channels, out.reshape(-1)[0], dtype=np.float32)
    return out


def binary_weights(weight: Array) -> Words:
    """Weights [O, C, KH, KW] of +-1 to words [O, KH, KW, ceil(C / 32)], bit 1 for -1."""
    return pack_words(weight.transpose(0, 2, 3, 1) < 0)


def block_channels(channels: int) -> int:
    """Output channels of a block, as r2b_kernels.h has it, for so many input channels."""
    return 16 if channels <= 64 else 8


def block_weights(weight: Array) -> Words:
    """Weights [O, C, KH, KW] of +-1 to words [blocks, KH, chunks, KW, 32 or 16], bit 1 for +1; see r2b_bconv_blocks.

    A tap is [8 outputs][128 channels], where C <= 64 [16 outputs][64 channels], where C <= 32 [16][32]. Outputs beyond
    the last one and channels beyond the last one hold zeros: as the bits of the input there are 0, too, none is equal.
    """
    outputs, channels, height, width = weight.shape
    together = block_channels(channels)
    lane = next(n for n in (32, 64, 128) if channels <= n or n == 128)
    padding = [(0, -outputs % together), (0, 0), (0, 0), (0, -channels % lane)]
    bits = np.pad(weight.transpose(0, 2, 3, 1) > 0, padding)
    split = bits.reshape(-1, together, height, width, bits.shape[3] // lane, lane)
    packed = pack_words(split.transpose(0, 2, 4, 3, 1, 5))
    return packed.reshape(*packed.shape[:4], together * lane // 32)


def border_counts(weight: Array, pad_value: int) -> Words:
    """Equal bits of a tap whose input is all pad_value (-1 or +1): uint16 [KH, KW, outputs], two to a word.

    The outputs are rounded up to whole blocks.
    """
    outputs, channels, _, _ = weight.shape
    equal = (weight == pad_value).sum(axis=1).transpose(1, 2, 0)
    spare = -outputs % block_channels(channels)
    padded = np.pad(equal, [(0, 0), (0, 0), (0, spare)])
    return np.ascontiguousarray(padded, dtype="<u2").view(np.uint32)


def conv_weights(weight: Array) -> Floats:
    """Weights [O, C, KH, KW] to [KH, KW, C, O]."""
    return floats(weight.transpose(2, 3, 1, 0))


def stored(weights: Floats, half: bool) -> Array:
    """Packed weights as they are stored: float32, or float16 where they are halves' values (see ops.FloatConv)."""
    if not half:
        return weights
    halves = weights.astype(np.float16)
    assert np.array_equal(halves, weights), "weights that are called half do not fit into half"
    return halves


def affine(scale: Array | None, offset: Array | None, channels: int) -> dict[str, Floats]:
    """The members scale and offset of a convolution that reads bytes; none where a byte stands for itself."""
    given = {"scale": scale, "offset": offset}
    return {name: floats(v, channels) for name, v in given.items() if v is not None}


def rows_bytes(window: Window, x: TensorType) -> int:
    """Of the rows under a window, in float32; see r2b_bytes.h."""
    rows = (window.kernel[0] - 1) * window.dilations[0] + 1
    return 4 * rows * chw(x)[2] * x.channels


def conv_blocks(weight: Array, block: int) -> Floats:
    """Weights [O, C, KH, KW] to [ceil(O / block), KH, KW, C, block], zeros beyond the last output."""
    outputs = weight.shape[0]
    padded = np.pad(weight, [(0, -outputs % block), (0, 0), (0, 0), (0, 0)])
    return floats(padded.reshape(-1, block, *weight.shape[1:]).transpose(0, 3, 4, 2, 1))


def block_bias(bias: Array, channels: int, block: int) -> Floats:
    """A bias [O] or one value for all, to [ceil(O / block) * block], zeros beyond the last output."""
    return np.pad(floats(bias, channels).reshape(-1), (0, -channels % block))


def constant_map(value: Array, chw: tuple[int, int, int]) -> Floats:
    """A constant [C or 1, H or 1, W or 1] as one value a channel, one a pixel, or NHWC: the smallest that holds it."""
    channels, height, width = chw
    if value.shape[1:] == (1, 1):
        return floats(np.broadcast_to(value.reshape(-1), (channels,)))
    if value.shape[0] == 1:
        return floats(np.broadcast_to(value[0], (height, width)))
    return floats(np.broadcast_to(value, chw).transpose(1, 2, 0))


def thresholds(step: Step) -> tuple[Floats, Words]:
    """A step's thresholds t' [C] and flip words [ceil(C / 32)], for bit = (x < t') ^ flip, 1 for -1.

    For a number x (a NaN gives the flip bit):
        rising:   -1 where not x >= t, that is x < t:                     t' = t,           flip = 0.
        falling:  -1 where not x <= t. Between t and the next float above it, next(t), lies no float, so that
                  x <= t is x < next(t), and -1 where not x < next(t):    t' = next(t),     flip = 1.
        falling with t = +inf is +1 always; as there is nothing above:    t' = -inf,        flip = 0.
    Comparisons take -0.0 as +0.0, in C as in the op; next(+-0.0) is the least positive float.
    """
    falling = step.direction < 0
    always = falling & np.isposinf(step.threshold)
    with np.errstate(over="ignore"):  # next(the greatest float) is +inf, which is right
        above = np.nextafter(step.threshold, np.float32(np.inf), dtype=np.float32)
    limit = np.where(always, -np.float32(np.inf), np.where(falling, above, step.threshold))
    return floats(limit), pack_words(falling & ~always)
