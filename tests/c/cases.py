"""Random layers for every kernel, with random epilogues."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from r2b_edge.exporters.c import lut4, lut4_mve
from r2b_edge.exporters.c.anchors import BytesConv, Pixelwise, Repack
from r2b_edge.exporters.c.kernel import Kernel
from r2b_edge.graph.graph import Graph, TensorType
from r2b_edge.ops import (
    AvgPool,
    BinaryConv,
    BinaryMaxPool,
    ChannelReduce,
    Concat,
    Dense,
    FloatConv,
    Gather,
    MaxPool,
    Op,
    QuantConv,
    Reshape,
    Select,
    Staircase,
    Window,
)
from r2b_edge.ops.binary import PIXEL

from .drawing import fan_in, groups_of, size, stairs, step, stored, window
from .epilogues import epilogue, lut4_units, read_signs, signs_epilogue, unit_epilogue
from .float_cases import (
    FEW_SPARE,
    bytes_conv,
    float_blocks,
    float_conv,
    quant_conv,
    unpacked,
    winograd_conv,
)
from .harness import Builder
from .pairs import lut4_pairs

LAYERS_A_KERNEL = 24


def binary_conv(b: Builder) -> str:
    groups, channels, outputs = groups_of(b)
    if b.rng.random() < 0.2:  # a dense layer
        bits = b.add(step(b, channels), b.input(1, channels))
        weight = b.signs(outputs, channels // groups, 1, 1)
        return b.add(BinaryConv(weight, PIXEL, groups=groups), bits)
    height, width = size(b)
    w = window(b, height, width)
    bits = b.add(step(b, channels), b.input(1, channels, height, width))
    weight = b.signs(outputs, channels // groups, *w.kernel)
    return b.add(BinaryConv(weight, w, int(b.rng.integers(-1, 2)), groups), bits)


def block_conv(b: Builder) -> str:
    """No groups, wide maps and many channels: for kernels that work on tiles of pixels and blocks of channels.

    Half of the windows are 3x3 with stride 1 or 2, most of them on maps that fill tiles of 7; the others are random or
    a single pixel.
    """
    channels = int(b.rng.choice([8, 31, 40, 48, 64, 64, 66, 128, 160, 256]))
    if b.rng.random() < 0.05:
        channels = 520
    outputs = int(b.rng.choice([8, 16, 24, 40, 64, 136, int(b.rng.integers(1, 40))]))
    height, width = int(b.rng.integers(1, 5)), int(b.rng.integers(1, 41))
    if b.rng.random() < 0.5:
        stride = int(b.rng.integers(1, 3))
        out = int(b.rng.choice([7, 7, 21, 21, int(b.rng.integers(1, 22))]))
        height, width = max(height, 3), max(stride * out - int(b.rng.integers(stride)), 3)
        pads = tuple(int(p) for p in b.rng.integers(0, 2, size=4))
        if b.rng.random() < 0.7:
            pads = (1, 1, 1, 1)
        w = Window((3, 3), (stride, stride), pads)
    elif b.rng.random() < 0.3:
        w = PIXEL
    else:
        w = window(b, height, width)
    bits = b.add(step(b, channels), b.input(1, channels, height, width))
    pad_value = int(b.rng.choice([-1, 0, 0, 1]))
    return b.add(BinaryConv(b.signs(outputs, channels, *w.kernel), w, pad_value), bits)


LUT4 = tuple(lut4.Lut4(pixels, None) for pixels in (16, 32))


def lut4_conv(b: Builder, does: tuple[lut4.Lut4, ...] = LUT4) -> str:
    """No groups; maps that leave vectors of 16 and of 32 pixels half empty, fill them, or share them between rows.

    All of `does` can do it. Channels end within a group of 4, a word and a run of lookups; half of the windows are 3x3
    with a pad of 1.
    """
    channels = int(
        b.rng.choice([4, 32, 64, int(b.rng.integers(1, 40)), int(b.rng.integers(40, 130))])
    )
    outputs = int(b.rng.choice([8, 32, int(b.rng.integers(1, 44))]))
    height = int(b.rng.integers(1, 8))
    width = int(
        b.rng.choice([4, 8, 16, 32, int(b.rng.integers(1, 12)), int(b.rng.integers(12, 50))])
    )
    pad_value = int(b.rng.choice([-1, 0, 0, 1]))
    while True:
        w = window(b, height, width)
        if b.rng.random() < 0.5:
            stride = int(b.rng.integers(1, 3))
            w = Window((3, 3), (stride, stride), (1, 1, 1, 1))
        elif b.rng.random() < 0.2:
            w = Window((7, int(b.rng.choice([1, 7]))), (1, 1), (3, 3, 3, 3))
        weight = b.signs(outputs, channels, *w.kernel)
        op = BinaryConv(weight, w, pad_value)
        x = TensorType((1, channels, height, width), "bits")
        try:
            y = op.infer(x)
        except ValueError:
            continue
        if all(one.fits(op, x, y) for one in does):
            break
    return b.add(op, b.add(step(b, channels), b.input(1, channels, height, width)))


def pointwise_conv(b: Builder) -> str:
    """Windows of one pixel without a border: channels in one and several sixteens, outputs in one and several words."""
    channels = int(b.rng.choice([16, 32, 64, int(b.rng.integers(1, 65))]))
    outputs = int(b.rng.choice([32, 64, int(b.rng.integers(1, 100))]))
    height, width = size(b)
    w = Window((1, 1), (int(b.rng.integers(1, 3)), int(b.rng.integers(1, 3))))
    bits = b.add(step(b, channels), b.input(1, channels, height, width))
    pad_value = int(b.rng.choice([-1, 0, 1]))
    return b.add(BinaryConv(b.signs(outputs, channels, 1, 1), w, pad_value), bits)


def any_conv(b: Builder) -> str:
    """Both of the above: groups and vectors, and rows of up to hundreds of words."""
    return (binary_conv if b.rng.random() < 0.5 else block_conv)(b)


def repacked(b: Builder, convs: int = 1, pools: int = 2) -> str:
    """Bits that kernels in blocks read (convolutions) and others (pools): the majority gets its layout."""
    channels = int(b.rng.choice([32, 64, 128, int(b.rng.integers(1, 300))]))
    bits = b.add(step(b, channels), b.input(1, channels, *size(b)))
    one = Window((1, 1))
    for _ in range(convs):
        value = b.add(BinaryConv(b.signs(3, channels, 1, 1), one), bits)
        b.graph.outputs.append(value)
    b.graph.outputs += [b.add(BinaryMaxPool(one), bits) for _ in range(pools)]
    return value


def dense(b: Builder) -> str:
    inputs, outputs = (int(n) for n in b.rng.integers(1, 140, size=2))
    weight, half = stored(b, fan_in(b.floats(outputs, inputs)))
    return b.add(Dense(weight, b.floats(outputs), half), b.input(1, inputs))


def dense_blocks(b: Builder) -> str:
    """Outputs in blocks that are nearly full."""
    inputs, outputs = int(b.rng.integers(1, 140)), int(b.rng.choice(FEW_SPARE))
    weight, half = stored(b, fan_in(b.floats(outputs, inputs)))
    return b.add(Dense(weight, b.floats(outputs), half), b.input(1, inputs))


def pooled(b: Builder) -> tuple[str, Window]:
    channels = int(b.rng.integers(1, 71))
    height, width = size(b)
    w = pool_window(b, height, width)
    return b.input(1, channels, height, width), w


def pool_window(b: Builder, height: int, width: int) -> Window:
    """One of which every position sees the map."""
    while True:
        w = window(b, height, width, largest_pad=1)
        ones = np.ones((1, 1, height, width), dtype=np.float32)
        narrow = all(pad < k for pad, k in zip(w.pads, w.kernel * 2, strict=True))
        if narrow and w.patches(ones, 0.0).sum(axis=(4, 5)).min() > 0:
            return w


def max_pool(b: Builder) -> str:
    x, w = pooled(b)
    return b.add(MaxPool(w), x)


def wide_max_pool(b: Builder) -> str:
    """Half of them 3x3 with stride 2 on wider maps, of channels that go 16 at a time and others."""
    if b.rng.random() < 0.5:
        return max_pool(b)
    pads = tuple(int(p) for p in b.rng.integers(0, 2, size=4))
    height, width = int(b.rng.integers(3, 12)), int(b.rng.integers(3, 30))
    channels = int(b.rng.choice([4, 16, 32, 37, 48, 64]))
    return b.add(MaxPool(Window((3, 3), (2, 2), pads)), b.input(1, channels, height, width))


def avg_pool(b: Builder) -> str:
    x, w = pooled(b)
    counted = bool(b.rng.integers(2))
    sizes = b.graph.type(x).shape[2:]
    overhang = tuple(int(b.rng.integers(0, pad + 1)) for pad in w.pads[2:])
    op = AvgPool(w, counted, overhang)
    if any(op.counts(axis, size).min() == 0 for axis, size in enumerate(sizes)):
        op = AvgPool(w, counted)
    return b.add(op, x)


def binary_max_pool(b: Builder) -> str:
    x, w = pooled(b)
    return b.add(BinaryMaxPool(w), b.add(step(b, b.graph.type(x).channels), x))


def pixelwise(b: Builder) -> str:
    """A map or a vector, with stairs on it now and then: they are exact on an input only, as bits are."""
    channels = int(b.rng.integers(1, 71))
    shape = (1, channels) if b.rng.random() < 0.3 else (1, channels, *size(b))
    value = b.input(*shape)
    return value if b.rng.random() < 0.6 else b.add(stairs(b, channels), value)


def reshape(b: Builder) -> str:
    """To another order of the same sizes, or flat."""
    x = pixelwise(b)
    sizes = [*b.graph.type(x).shape[1:], 1, 1][:3]
    b.rng.shuffle(sizes)
    flat = (int(np.prod(sizes)),)
    return b.add(Reshape((1, *(flat if b.rng.random() < 0.4 else sizes))), x)


def gather(b: Builder) -> str:
    """Any selection, with holes now and then; of a vector too, which may become a map."""
    x = pixelwise(b)
    kind = b.graph.type(x)
    sizes = (*kind.shape[1:], 1, 1)[:3]
    count = 3 if kind.is_map or b.rng.random() < 0.5 else 1
    indices = []
    for extent in sizes[:count]:
        one = b.rng.integers(-1, extent, int(b.rng.integers(1, 12)))
        if b.rng.random() < 0.4:
            one = np.arange(extent)
        one[-1] = max(one[-1], 0)
        indices.append(one.astype(np.int32))
    return b.add(Gather(*indices, fill=float(b.rng.choice([0.0, -1.5]))), x)


def concat(b: Builder) -> str:
    first = pixelwise(b)
    shape = b.graph.type(first).shape
    parts = [first]
    for _ in range(int(b.rng.integers(1, 4))):
        again = b.rng.random() < 0.3
        parts.append(first if again else b.input(1, int(b.rng.integers(1, 40)), *shape[2:]))
    return b.add(Concat(), *parts)


def select(b: Builder) -> str:
    """A condition with up to three thresholds, tensors and constants to choose from, one tensor twice now and then."""
    x = pixelwise(b)
    shape = b.graph.type(x).shape
    count = int(b.rng.integers(1, 4))
    condition = Staircase(
        np.sort(np.round(b.floats(shape[1], count), 1), axis=1),
        b.rng.integers(0, 2, (shape[1], count + 1)).astype(np.float32),
    )
    constants = [b.floats(shape[1]) if b.rng.random() < 0.3 else None for _ in range(2)]
    tensors = [x if b.rng.random() < 0.3 else b.input(*shape) for v in constants if v is None]
    return b.add(Select(condition, *constants), x, *tensors)


def channel_reduce(b: Builder) -> str:
    return b.add(ChannelReduce(["Mean", "Max"][int(b.rng.integers(2))]), pixelwise(b))


LAYERS: dict[type[Op], Callable[[Builder], str]] = {
    BinaryConv: binary_conv,
    FloatConv: float_conv,
    QuantConv: quant_conv,
    BytesConv: bytes_conv,
    Dense: dense,
    MaxPool: max_pool,
    AvgPool: avg_pool,
    Pixelwise: pixelwise,
    Gather: gather,
    Concat: concat,
    ChannelReduce: channel_reduce,
    Select: select,
    BinaryMaxPool: binary_max_pool,
    Reshape: reshape,
    Repack: repacked,
}
"""A random layer for each class of op in the registry: its value, in a graph with its own inputs."""


KERNEL_LAYERS: dict[str, Callable[[Builder], str]] = {
    "bconv_neon": block_conv,
    "bconv_1x1_dsp": pointwise_conv,
    "bconv_1x1_v7m": pointwise_conv,
    "bconv_1x1_c": pointwise_conv,
    "bconv_lut4_dsp": lut4_conv,
    "bconv_lut4_v7m": lut4_conv,
    "bconv_lut4_v6m": lut4_conv,
    "bconv_lut4_mve": functools.partial(lut4_conv, does=(lut4_mve.Lut4Mve(),)),
    "bconv_lut4_pair_mve": lut4_pairs,
    "fconv_mve": functools.partial(float_conv, grouped=False),
    "fconv_bytes_mve": functools.partial(bytes_conv, grouped=False),
    "bconv_lut4_c": lut4_conv,
    "bconv_lut4_c32": lut4_conv,
    "bconv_csa": any_conv,
    "repack_bytes": unpacked,
    "fconv_dsp": float_blocks,
    "fconv_neon": float_blocks,
    "fconv_bytes_dsp": functools.partial(float_blocks, uint8=True),
    "fconv_bytes_neon": functools.partial(float_blocks, uint8=True),
    "fconv_winograd_neon": winograd_conv,
    "maxpool_neon": wide_max_pool,
    "dense_dsp": dense_blocks,
    "dense_neon": dense_blocks,
    "repack_bits32": functools.partial(repacked, convs=2, pools=1),
}
"""The same by name, for kernels that do not fit all layers of their op."""


def layers(kernel: Kernel, seed: int) -> Graph:
    """A graph of independent random layers of a kernel's op."""
    b = Builder(seed)
    outputs: list[str] = []
    others = {"neon": [unit_epilogue, read_signs], "lut4": [unit_epilogue, signs_epilogue]}
    epilogues = [epilogue, *next((e for k, e in others.items() if f"bconv_{k}" in kernel.name), ())]
    if "bconv_1x1" in kernel.name:
        epilogues = [functools.partial(signs_epilogue, bends_twice=False)]
    if not kernel.exact:
        epilogues = [unit_epilogue]
    for i in range(LAYERS_A_KERNEL):
        value = KERNEL_LAYERS.get(kernel.name, LAYERS[kernel.op])(b)
        outputs += epilogues[i % len(epilogues)](b, value)
    if "lut4" in kernel.name:
        outputs += lut4_units(b)
    return b.done(*dict.fromkeys([*b.graph.outputs, *outputs]))


BLOCK_SEEDS = {"bconv_neon_a": 201, "bconv_neon_b": 202, "bconv_neon_c": 216}
"""Further layers of bconv_neon, which has 37 loops: by the program's name."""
