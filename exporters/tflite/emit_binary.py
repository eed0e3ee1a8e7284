"""Bits: Step to LceQuantize, BinaryConv to LceBconv2d. Exact, ties and borders included."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from r2b_edge.exporters.bits import WORD, pack, words
from r2b_edge.exporters.tflite.geometry import SAME, Padding, extend, fits, inside, plan
from r2b_edge.exporters.tflite.registry import Context, channels, emits, stored_shape
from r2b_edge.exporters.tflite.writer import ABSENT
from r2b_edge.graph.graph import Node
from r2b_edge.ops import BinaryConv, ChannelAffine, Step

_LARGEST = np.finfo(np.float32).max


@emits(Step)
def emit_step(context: Context, nodes: Sequence[Node]) -> None:
    """Compare with a threshold per channel: a shift and LceQuantize.

    LceQuantize gives bit 1 (-1) where x < 0 on x86; its aarch64 path packs the sign bit, so that -0.0 gives -1
    there. Both agree, and with the graph, if the shifted value is never -0.0. Write d for the direction:

    1.  x >= t  <=>  x - t >= 0 and x <= t  <=>  t - x >= 0 hold exactly in IEEE float32: a difference of two
        unequal floats is never rounded to zero, because it is a multiple of the smallest subnormal.
    2.  A sum is -0.0 only if both terms are -0.0. The shift -d t is stored as +0.0 where it is zero, so
        d x + (-d t) is never -0.0. This is also why a threshold of zero keeps its ADD: x itself may be -0.0.
    3.  TFLite flushes subnormals to zero while it runs (measured). A difference of two floats can be subnormal only
        if both are below 2^-102: there, and only there, a bit may differ from the graph's.
    4.  An infinite threshold (a constant channel) becomes the largest float, so that no NaN and no infinity
        arises; it differs only where x is itself the largest float.
    """
    (node,) = nodes
    op = node.op
    assert isinstance(op, Step)
    x, kind = context.read(node.inputs[0]), context.type(node.inputs[0])
    threshold = np.clip(op.threshold.astype(np.float32), -_LARGEST, _LARGEST)
    direction = op.direction.astype(np.float32)
    shape = stored_shape(kind)
    shifted = context.temporary(f"{node.output}/shifted", shape)
    if np.all(direction < 0):
        positive_zero = _shared(threshold + np.float32(0.0))
        source = context.constant("threshold", positive_zero)
        context.writer.builtin("SUB", [source, x], [shifted], ("SubOptions", {}))
    else:
        if np.any(direction < 0):
            turned = context.temporary(f"{node.output}/turned", shape)
            factor = context.constant("direction", direction)
            context.writer.builtin("MUL", [x, factor], [turned], ("MulOptions", {}))
            x = turned
        shift = context.constant("shift", _shared(-direction * threshold + np.float32(0.0)))
        context.writer.builtin("ADD", [x, shift], [shifted], ("AddOptions", {}))
    context.writer.custom("LceQuantize", [shifted], [context.write(node.output)], {})


def _shared(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[C], or [1] where all are equal."""
    return values[:1] if np.all(values == values[0]) else values


@dataclasses.dataclass(frozen=True)
class _Border:
    """How the border of a BinaryConv is made, see `_border`.

    Args:
        padding: mode of the LceBconv2d, and the pads to add to the packed map first.
        fill: the word that those pads hold.
        factor: what the sum of the weights on the border is multiplied by and added; 0 adds nothing.
        produced: height and width that the LceBconv2d gives, where more than is wanted; the rest is cut off.
    """

    padding: Padding
    fill: int = 0
    factor: int = 0
    produced: tuple[int, int] | None = None


def _border(conv: BinaryConv, height: int, width: int) -> _Border:
    """The cheapest exact border for a map of this size.

    Where the window is SAME (see geometry.py):
        0    LceBconv2d's own zero padding: it pads with +1 and corrects that. The correction is wrong (measured, LCE
             0.16) for a kernel larger than the map, such as 5x5 on 4x4: not used there;
        +1   its pad_values = 1.
    Where it is not, but would be on a larger map:
        0    the packed map is extended below and to the right, and what that adds to the output is cut off.
    Else the packed map is padded first and the window is VALID:
        +1   words of 0;
        -1   words with all C bits set, if one word fits all (C < 32 or C % 32 == 0);
        else words of 0, and a correction is added. With S the sum of the weights that lie on the border,
             dot(p) = dot(+1) + (p - 1) S.
    """
    value = conv.pad_value
    own_zeros = value == 0 and fits(conv.window, height, width)
    padding = plan(conv.window, height, width, allow_same=value == 1 or own_zeros)
    if not padding.explicit or value == 1:
        return _Border(padding)
    if own_zeros and (extended := extend(conv.window, height, width)) is not None:
        return _Border(extended[0], produced=extended[1])
    depth = conv.weight.shape[1]
    if value == -1 and depth % WORD == 0:
        return _Border(padding, fill=-1)
    if value == -1 and depth < WORD:
        return _Border(padding, fill=(1 << depth) - 1)
    return _Border(padding, factor=value - 1)


@emits(BinaryConv)
def emit_binary_conv(context: Context, nodes: Sequence[Node]) -> None:
    """BinaryConv, alone or with the ChannelAffine that follows, as LceBconv2d with float output.

    Rounding: the dot product alone is exact. With K taps and scale a, LCE computes fl(fl(-a acc) + fl(offset + K a)),
    acc = K - dot: an error of at most 2^-23 K |a|, next to outputs of about |a| sqrt(K).
    """
    conv, name = nodes[0].op, nodes[-1].output
    assert isinstance(conv, BinaryConv)
    outputs = conv.weight.shape[0]
    scale, offset = np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
    if len(nodes) > 1:
        affine = nodes[1].op
        assert isinstance(affine, ChannelAffine)
        scale, offset = channels(affine.scale, outputs), channels(affine.offset, outputs)

    height, width = _sizes(context, nodes[0])
    border = _border(conv, height, width)
    wanted = stored_shape(context.type(name))
    produced = (1, *(border.produced or conv.window.output_size(height, width)), outputs)
    result = context.write(name)
    final = produced == wanted and not border.factor
    dots = result if final else context.temporary(f"{name}/dots", produced)
    parts = []
    for group, (bits, depth) in enumerate(_slices(context, nodes[0], conv.groups)):
        own = slice(group * outputs // conv.groups, (group + 1) * outputs // conv.groups)
        shape = (1, height, width, words(depth))
        padded = context.pad(name, bits, shape, border.padding.pads, np.int32(border.fill))
        filters = pack(np.ascontiguousarray(conv.weight[own].transpose(0, 2, 3, 1)))
        inputs = [
            padded,
            context.integers(f"{name}/filter", filters),
            context.constant(f"{name}/scale", scale[own]),
            context.constant(f"{name}/offset", offset[own]),
            ABSENT,  # thresholds, for packed output
        ]
        part = dots
        if conv.groups > 1:
            part_shape = (*produced[:3], outputs // conv.groups)
            part = context.temporary(f"{name}/group", part_shape)
        context.writer.custom("LceBconv2d", inputs, [part], _options(conv, depth, border.padding))
        parts.append(part)
    if conv.groups > 1:
        options = ("ConcatenationOptions", {"axis": 3})
        context.writer.builtin("CONCATENATION", parts, [dots], options)
    if border.factor:
        correction = _correction(context, name, conv, (height, width), border.factor * scale)
        context.writer.builtin("ADD", [dots, correction], [result], ("AddOptions", {}))
    elif len(wanted) == 2:
        context.reshape(dots, result, wanted)
    elif not final:
        inputs = [dots, context.integers("begin", [0] * 4), context.integers("size", wanted)]
        context.writer.builtin("SLICE", inputs, [result], ("SliceOptions", {}))


def _sizes(context: Context, node: Node) -> tuple[int, int]:
    """Height and width of what a node reads; a vector is a map of one pixel."""
    kind = context.type(node.inputs[0])
    return (kind.shape[2], kind.shape[3]) if kind.is_map else (1, 1)


def _options(conv: BinaryConv, depth: int, padding: Padding) -> dict[str, int]:
    """LceBconv2d requires all of these."""
    return {
        "channels_in": depth,
        "dilation_height_factor": conv.window.dilations[0],
        "dilation_width_factor": conv.window.dilations[1],
        "fused_activation_function": 0,
        "pad_values": 1 if padding.mode == SAME and conv.pad_value == 1 else 0,
        "padding": padding.mode,
        "stride_height": conv.window.strides[0],
        "stride_width": conv.window.strides[1],
    }


def _slices(context: Context, node: Node, groups: int) -> list[tuple[int, int]]:
    """The packed input of each group with its number of channels.

    LceBconv2d's default kernel has no groups. Whole words are split as they are; other groups are unpacked to
    +1.0 and -1.0, split and packed again.
    """
    source = node.inputs[0]
    bits, kind = context.read(source), context.type(source)
    maps = (1, *_sizes(context, node))
    if not kind.is_map:  # LceBconv2d takes maps only
        shape = (*maps, words(kind.channels))
        pixel = context.temporary(f"{source}/pixel", shape, "int32")
        context.reshape(bits, pixel, shape)
        bits = pixel
    if groups == 1:
        return [(bits, kind.channels)]
    depth = kind.channels // groups
    writer = context.writer
    axis = context.integers("axis", 3)
    options = ("SplitOptions", {"numSplits": groups})
    if depth % WORD == 0:
        shape = (*maps, words(depth))
        parts = [context.temporary(f"{source}/group", shape, "int32") for _ in range(groups)]
        writer.builtin("SPLIT", [axis, bits], parts, options, version=3)
        return [(part, depth) for part in parts]
    signs = context.temporary(f"{source}/signs", (*maps, kind.channels))
    writer.custom("LceDequantize", [bits], [signs], {})
    floats = [context.temporary(f"{source}/group", (*maps, depth)) for _ in range(groups)]
    writer.builtin("SPLIT", [axis, signs], floats, options)
    parts = []
    for part in floats:
        parts.append(context.temporary(f"{source}/group", (*maps, words(depth)), "int32"))
        writer.custom("LceQuantize", [part], [parts[-1]], {})
    return [(part, depth) for part in parts]


def _correction(
    context: Context,
    name: str,
    conv: BinaryConv,
    sizes: tuple[int, int],
    scale: NDArray[np.float32],
) -> int:
    """The map scale[o] * S[y, x, o], S the sum of the weights of the taps that lie on the border.

    S depends on y and x only through which kernel rows and columns are inside, a handful of cases: a small table
    is stored, and two GATHERs spread it over the map.
    """
    taps = conv.weight.sum(axis=1, dtype=np.int64)  # [O, KH, KW]
    rows, row_of = np.unique(inside(conv.window, 0, sizes[0]), axis=0, return_inverse=True)
    columns, column_of = np.unique(inside(conv.window, 1, sizes[1]), axis=0, return_inverse=True)
    within = np.einsum("oyx,ry,cx->rco", taps, rows.astype(np.int64), columns.astype(np.int64))
    border = taps.sum(axis=(1, 2)) - within
    index = context.constant(f"{name}/border", (border * scale.astype(np.float64))[None])
    shape = [1, len(rows), len(columns), taps.shape[0]]
    for axis, cases in ((1, row_of), (2, column_of)):
        if np.array_equal(cases, np.arange(shape[axis])):
            continue
        shape[axis] = cases.size
        spread = context.temporary(f"{name}/border", shape)
        inputs = [index, context.integers("cases", cases.reshape(-1))]
        options = ("GatherOptions", {"axis": axis, "batchDims": 0})
        context.writer.builtin("GATHER", inputs, [spread], options)
        index = spread
    return index
