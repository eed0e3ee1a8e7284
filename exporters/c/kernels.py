"""The registry: every kernel there is. It drives selection, the generated project and the tests.

To add a kernel: its file in firmware_templates/kernels, its declaration in r2b_kernels.h, one entry in REGISTRY. A
family is a name that targets list in order of preference; the first kernel that fits is taken. What is listed here is
tested by tests/c against the ops' references, on random shapes that its `fits` accepts.
"""

from __future__ import annotations

import functools

import numpy as np

from r2b_edge.exporters.bits import words
from r2b_edge.exporters.c import (
    binary_blocks,
    float_blocks,
    float_mve,
    integers,
    lut4,
    lut4_mve,
    pack,
    pointwise,
    winograd,
)
from r2b_edge.exporters.c.anchors import BytesConv, Pixelwise, Repack
from r2b_edge.exporters.c.kernel import Field, Kernel
from r2b_edge.exporters.c.layout import BITS32, BITS128, BYTES, NHWC, Layout, chw
from r2b_edge.exporters.c.pack import align, window_fields
from r2b_edge.graph.graph import TensorType
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
)

EXACT_INTEGERS = 2**24
"""float32 holds every integer below it."""


def _tile_bytes(op: Op, x: TensorType, y: TensorType) -> int:
    return align(4 * y.channels)


def _bconv_fits(op: Op, x: TensorType, y: TensorType) -> bool:
    assert isinstance(op, BinaryConv)
    taps = op.weight[0].size
    return y.channels % op.groups == 0 and taps < EXACT_INTEGERS and op.pad_value in (-1, 0, 1)


def _bconv_workspace(op: Op, x: TensorType, y: TensorType) -> int:
    assert isinstance(op, BinaryConv)
    _, channels, kernel_y, kernel_x = op.weight.shape
    return align(4 * y.channels) + 4 * kernel_y * kernel_x * words(channels)


def _bconv_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    assert isinstance(op, BinaryConv)
    return {
        "window": window_fields(op.window, x, y),
        "groups": op.groups,
        "pad_value": op.pad_value,
        "weights": pack.binary_weights(op.weight),
    }


def _lut4_kernel(
    family: str, does: lut4.Lut4, *others: str, headers: tuple[str, ...] = ()
) -> Kernel:
    """A family's kernel of r2b_lut4.h."""
    files = tuple(f"r2b_lut4{part}.h" for part in ("", "_driver", "_table", "_merge", "_epilogue"))
    return Kernel(
        f"bconv_lut4_{family}", BinaryConv, family, "r2b_bconv_lut4", f"r2b_bconv_lut4_{family}.c",
        BITS32, (NHWC, BITS32), does.fields, does.workspace, does.fits,
        headers=(*files, *headers), others=others, fuse=does.fuse, wins=does.wins,
    )  # fmt: skip


def _pointwise_kernel(family: str, others: lut4.Lut4, *sources: str) -> Kernel:
    """A family's kernel of r2b_bconv_1x1.h, beside one of r2b_lut4.h."""
    does = pointwise.Pointwise(others)
    return Kernel(
        f"bconv_1x1_{family}", BinaryConv, family, "r2b_bconv_1x1", f"r2b_bconv_1x1_{family}.c",
        BITS32, (BITS32,), does.fields, does.workspace, does.fits, frozenset({"AFFINE", "PRELU", "CLIP", "BITS"}),
        takes=does.takes, headers=("r2b_bconv_1x1.h",), others=sources, fuse=does.fuse, wins=does.wins,
    )  # fmt: skip


_LUT4_ON_DSP = lut4.Lut4(16, 5.9, run=22)
_LUT4_ON_V7M = lut4.Lut4(16, 6.7, run=22)
_LUT4_V7M = ("r2b_lut4_table_v7m.S", "r2b_lut4_signs_v7m.S")
_LUT4_V7M_HEADERS = ("r2b_lut4_v7m.h", "r2b_lut4_pass.inc", "r2b_lut4_merge.inc")


def _repack_kernel(name: str, family: str, file: str, source: Layout, target: Layout) -> Kernel:
    def fits(op: Op, x: TensorType, y: TensorType) -> bool:
        assert isinstance(op, Repack)
        return (op.source, op.target) == (source, target)

    return Kernel(
        name, Repack, family, "r2b_repack", file,
        source, (target,), _map_fields, lambda op, x, y: 0, fits, frozenset({"STORE"}),
    )  # fmt: skip


def _fconv_fits(op: Op, x: TensorType, y: TensorType) -> bool:
    assert isinstance(op, FloatConv)
    return y.channels % op.groups == 0


def _fconv_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    assert isinstance(op, FloatConv)
    return {
        "window": window_fields(op.window, x, y),
        "groups": op.groups,
        "weights": pack.stored(pack.conv_weights(op.weight), op.half),
        "bias": pack.floats(op.bias, y.channels),
    }


def _bytes_conv_fits(op: Op, x: TensorType, y: TensorType) -> bool:
    assert isinstance(op, BytesConv)
    return _fconv_fits(op.conv, x, y)


def _bytes_conv_workspace(op: Op, x: TensorType, y: TensorType) -> int:
    assert isinstance(op, BytesConv)
    return _tile_bytes(op, x, y) + pack.rows_bytes(op.window, x)


def _bytes_conv_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    assert isinstance(op, BytesConv)
    return {**_fconv_fields(op.conv, x, y), **pack.affine(op.scale, op.offset, x.channels)}


def _float_blocks(family: str, pixels: int) -> tuple[Kernel, ...]:
    """Convolutions and dense layer of r2b_fconv_blocks.h; the inner loop makes so many pixels at once."""
    source = f"r2b_fconv_{family}.c"
    headers = ("r2b_fconv_blocks.h", f"r2b_fconv_{family}_loops.h", "r2b_bytes.h")
    conv = Kernel(
        f"fconv_{family}", FloatConv, family, "r2b_fconv_blocks", source,
        NHWC, _OUT, float_blocks.conv_fields, functools.partial(float_blocks.workspace, pixels),
        float_blocks.conv_fits, headers=headers, by_rows=True, half=True,
    )  # fmt: skip
    on_bytes = Kernel(
        f"fconv_bytes_{family}", BytesConv, family, "r2b_fconv_blocks", source,
        BYTES, _OUT, float_blocks.bytes_fields, functools.partial(float_blocks.bytes_workspace, pixels),
        float_blocks.bytes_fits, headers=headers, by_rows=True, half=True,
    )  # fmt: skip
    dense = Kernel(
        f"dense_{family}", Dense, family, "r2b_dense", source,
        NHWC, _OUT, float_blocks.dense_fields, functools.partial(float_blocks.workspace, 1),
        float_blocks.dense_fits, headers=headers, half=True,
        split=float_blocks.dense_split if family == "neon" else None,
    )  # fmt: skip
    return conv, on_bytes, dense


def _dense_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    assert isinstance(op, Dense)
    return {
        "in_channels": x.channels,
        "out_channels": y.channels,
        "weights": pack.stored(pack.floats(op.weight), op.half),
        "bias": pack.floats(op.bias, y.channels),
    }


def _pool_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    assert isinstance(op, MaxPool | AvgPool | BinaryMaxPool)
    count_pad = int(isinstance(op, AvgPool) and op.count_include_pad)
    fields: dict[str, Field] = {"window": window_fields(op.window, x, y), "count_pad": count_pad}
    if isinstance(op, AvgPool) and count_pad:
        _, height, width = chw(x)
        fields["count_height"] = height + op.window.pads[2] - op.overhang[0]
        fields["count_width"] = width + op.window.pads[3] - op.overhang[1]
    return fields


def _map_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    channels, height, width = chw(x)
    return {"height": height, "width": width, "channels": channels}


def _gather_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    assert isinstance(op, Gather)
    in_channels, _, in_width = chw(x)
    channels, height, width = chw(y)
    one = np.zeros(1, np.int32)
    rows, columns = (one if i is None else i for i in (op.rows, op.columns))
    whole = np.array_equal(op.channels, np.arange(in_channels))
    return {
        "in_width": in_width,
        "in_channels": in_channels,
        "out_height": height,
        "out_width": width,
        "out_channels": channels,
        "rows": rows.view(np.uint32),  # -1 is R2B_NOWHERE
        "columns": columns.view(np.uint32),
        "channels": 0 if whole else op.channels.view(np.uint32),
        "fill": float(op.fill),
    }


def _concat_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    _, height, width = chw(y)
    return {"height": height, "width": width}


def _select_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    assert isinstance(op, Select)
    return {
        **_map_fields(op, x, y),
        "count": op.condition.thresholds.shape[1],
        "thresholds": pack.floats(op.condition.thresholds.T),
        "values": pack.floats(op.condition.values.T),
        "a": 0 if op.a is None else pack.floats(op.a),
        "b": 0 if op.b is None else pack.floats(op.b),
    }


def _channel_reduce_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    assert isinstance(op, ChannelReduce)
    return {**_map_fields(op, x, y), "is_mean": int(op.kind == "Mean")}


def _reshape_fields(op: Op, x: TensorType, y: TensorType) -> dict[str, Field]:
    sides = {"in": chw(x), "out": chw(y)}
    names = ("channels", "height", "width")
    return {
        f"{side}_{n}": v for side, sizes in sides.items() for n, v in zip(names, sizes, strict=True)
    }


_OUT = (NHWC, BITS32, BITS128)
"""What every kernel writes that runs r2b_epilogue_tile."""
_FCONV_LOOPS = ("r2b_fconv_loops.h", "r2b_bytes.h")

_MVE_HEADERS = ("r2b_mve_weights.h", "r2b_bytes.h")
_LUT4_MVE = lut4_mve.Lut4Mve()
_LUT4_PAIR_MVE = lut4_mve.Lut4PairMve()
_LUT4_MVE_HEADERS = tuple(f"r2b_lut4_mve{part}.h" for part in ("", "_table", "_signs", "_epilogue"))

REGISTRY: tuple[Kernel, ...] = (
    Kernel(
        "bconv_portable", BinaryConv, "portable", "r2b_bconv", "r2b_bconv_portable.c",
        BITS32, _OUT, _bconv_fields, _bconv_workspace, _bconv_fits, headers=("r2b_bconv_row.h",), by_rows=True,
    ),
    Kernel(
        "fconv_portable", FloatConv, "portable", "r2b_fconv", "r2b_fconv_portable.c",
        NHWC, _OUT, _fconv_fields, _tile_bytes, _fconv_fits,
        headers=_FCONV_LOOPS, by_rows=True, half=True,
    ),
    Kernel(
        "fconv_bytes_portable", BytesConv, "portable", "r2b_fconv", "r2b_fconv_bytes_portable.c",
        BYTES, _OUT, _bytes_conv_fields, _bytes_conv_workspace, _bytes_conv_fits,
        headers=_FCONV_LOOPS, by_rows=True, half=True,
    ),
    Kernel(
        "dense_portable", Dense, "portable", "r2b_dense", "r2b_dense_portable.c",
        NHWC, _OUT, _dense_fields, _tile_bytes, half=True,
    ),
    Kernel(
        "maxpool_portable", MaxPool, "portable", "r2b_pool", "r2b_pool_portable.c",
        NHWC, _OUT, _pool_fields, _tile_bytes, trails=True, by_rows=True,
    ),
    Kernel(
        "avgpool_portable", AvgPool, "portable", "r2b_pool", "r2b_pool_portable.c",
        NHWC, _OUT, _pool_fields, _tile_bytes, trails=True, by_rows=True,
    ),
    Kernel(
        "bmaxpool_portable", BinaryMaxPool, "portable", "r2b_pool", "r2b_bmaxpool_portable.c",
        BITS32, (BITS32,), _pool_fields, lambda op, x, y: 0, tiles=frozenset({"STORE"}),
    ),
    Kernel(
        "reshape_portable", Reshape, "portable", "r2b_reshape", "r2b_reshape_portable.c",
        NHWC, _OUT, _reshape_fields, _tile_bytes,
    ),
    Kernel(
        "map_portable", Pixelwise, "portable", "r2b_map", "r2b_map_portable.c",
        NHWC, _OUT, _map_fields, _tile_bytes, in_place=True,
    ),
    Kernel(
        "gather_portable", Gather, "portable", "r2b_gather", "r2b_gather_portable.c",
        NHWC, _OUT, _gather_fields, _tile_bytes,
    ),
    Kernel(
        "concat_portable", Concat, "portable", "r2b_concat", "r2b_concat_portable.c",
        NHWC, _OUT, _concat_fields, _tile_bytes, several=True,
    ),
    Kernel(
        "channel_reduce_portable", ChannelReduce, "portable", "r2b_channel_reduce",
        "r2b_channel_reduce_portable.c", NHWC, _OUT, _channel_reduce_fields, _tile_bytes,
    ),
    Kernel(
        "select_portable", Select, "portable", "r2b_select", "r2b_select_portable.c",
        NHWC, _OUT, _select_fields, _tile_bytes, in_place=True, several=True,
    ),
    Kernel(
        "bconv_neon", BinaryConv, "neon", "r2b_bconv_blocks", "r2b_bconv_neon.c",
        BITS128, _OUT, binary_blocks.fields, binary_blocks.workspace, binary_blocks.fits,
        headers=("r2b_bconv_neon_loops.h", "r2b_bconv_neon_finish.h", "r2b_bconv_neon_epilogue.h"),
        fuse=binary_blocks.fuse, split=binary_blocks.share,
    ),
    _pointwise_kernel("dsp", _LUT4_ON_DSP, "r2b_1x1_row_v7m.S"),
    _pointwise_kernel("v7m", _LUT4_ON_V7M, "r2b_1x1_row_v7m.S"),
    _pointwise_kernel("c", lut4.Lut4(16, None)),
    _lut4_kernel(
        "dsp", _LUT4_ON_DSP, *_LUT4_V7M, "r2b_lut4_pass_dsp.S", "r2b_lut4_unit_fpv.S", headers=_LUT4_V7M_HEADERS,
    ),
    _lut4_kernel("v7m", _LUT4_ON_V7M, *_LUT4_V7M, "r2b_lut4_pass_v7m.S", headers=_LUT4_V7M_HEADERS),
    _lut4_kernel(
        "v6m", lut4.Lut4(16, 5.3), "r2b_lut4_pass_v6m.S", "r2b_lut4_merge_v6m.S", "r2b_lut4_unit_v6m.c",
        "r2b_lut4_scale_v6m.S",
    ),
    _lut4_kernel("c", lut4.Lut4(16, None), headers=("r2b_lut4_pass.h",)),
    _lut4_kernel("c32", lut4.Lut4(32, None), headers=("r2b_lut4_pass.h",)),
    Kernel(
        "bconv_lut4_mve", BinaryConv, "mve", "r2b_bconv_lut4", "r2b_bconv_lut4_mve.c",
        BITS32, (NHWC, BITS32), _LUT4_MVE.fields, _LUT4_MVE.workspace, _LUT4_MVE.fits,
        headers=_LUT4_MVE_HEADERS, others=("r2b_lut4_mve.S",), fuse=_LUT4_MVE.fuse, wins=_LUT4_MVE.wins,
    ),
    Kernel(
        "fconv_mve", FloatConv, "mve", "r2b_fconv_blocks", "r2b_fconv_mve.c",
        NHWC, _OUT, float_mve.conv_fields, float_mve.conv_workspace, float_mve.conv_fits,
        headers=_MVE_HEADERS, by_rows=True, half=True,
    ),
    Kernel(
        "dense_mve", Dense, "mve", "r2b_dense", "r2b_dense_mve.c",
        NHWC, _OUT, float_mve.dense_fields, float_mve.dense_workspace, headers=_MVE_HEADERS, half=True,
    ),
    *_float_blocks("dsp", pixels=2),
    Kernel(
        "fconv_winograd_neon", FloatConv, "neon", "r2b_fconv_blocks", "r2b_fconv_winograd_neon.c",
        NHWC, _OUT, winograd.fields, winograd.workspace, winograd.fits,
        headers=("r2b_fconv_winograd_neon.h", "r2b_fconv_winograd_neon_input.h"),
        others=("r2b_winograd_neon.S", "r2b_winograd_inputs_neon.S"), fuse=winograd.fuse, wins=winograd.wins,
        takes=winograd.takes, by_rows=True, rows_at_once=winograd.TILE, split=winograd.share, exact=False,
    ),
    Kernel(
        "maxpool_neon", MaxPool, "neon", "r2b_pool", "r2b_maxpool_neon.c",
        NHWC, _OUT, _pool_fields, lambda op, x, y: 2 * _tile_bytes(op, x, y), wins=lambda op, x, y: x.channels >= 4,
        trails=True, by_rows=True,
    ),
    *_float_blocks("neon", pixels=4),
    _repack_kernel("repack_bits128", "neon", "r2b_repack_bits.c", BITS32, BITS128),
    _repack_kernel("repack_bits32", "neon", "r2b_repack_bits.c", BITS128, BITS32),
    _repack_kernel("repack_bytes", "portable", "r2b_repack_bytes.c", BYTES, NHWC),
    Kernel(
        "bconv_csa", BinaryConv, "mcu", "r2b_bconv", "r2b_bconv_csa.c",
        BITS32, _OUT, _bconv_fields, _bconv_workspace, _bconv_fits, headers=("r2b_bconv_row.h",), by_rows=True,
        others=("r2b_csa_dots_v7m.S",),
    ),
    Kernel(
        "qconv_portable", QuantConv, "portable", "r2b_qconv", "r2b_qconv_portable.c",
        NHWC, _OUT, integers.fields, integers.workspace, headers=("r2b_qconv_rows.h",),
    ),
    Kernel(
        "qconv_dsp", QuantConv, "dsp", "r2b_qconv", "r2b_qconv_dsp.c",
        NHWC, _OUT, integers.paired_fields, integers.workspace, headers=("r2b_qconv_rows.h",),
    ),
    Kernel(
        "bconv_lut4_pair_mve", BinaryConv, "mve", "r2b_bconv_lut4", "r2b_bconv_lut4_pair_mve.c",
        BITS32, (NHWC, BITS32), _LUT4_PAIR_MVE.fields, _LUT4_PAIR_MVE.workspace, _LUT4_PAIR_MVE.fits,
        headers=_LUT4_MVE_HEADERS, others=("r2b_lut4_pair_mve.S",), fuse=_LUT4_PAIR_MVE.fuse,
        wins=_LUT4_PAIR_MVE.wins,
    ),
    Kernel(
        "qconv_mve", QuantConv, "mve", "r2b_qconv", "r2b_qconv_mve.c",
        NHWC, _OUT, integers.vector_fields, integers.vector_workspace,
    ),
    Kernel(
        "fconv_bytes_mve", BytesConv, "mve", "r2b_fconv_blocks", "r2b_fconv_mve.c",
        BYTES, _OUT, float_mve.bytes_fields, float_mve.bytes_workspace, float_mve.bytes_fits,
        headers=_MVE_HEADERS, by_rows=True, half=True,
    ),
)  # fmt: skip
"""One line a kernel; within a family the first that fits is taken."""
