"""Pools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r2b_edge.exporters.tflite.geometry import Padding, plan
from r2b_edge.exporters.tflite.registry import Context, emits, stored_shape
from r2b_edge.graph.graph import Node
from r2b_edge.ops import AvgPool, ChannelReduce, GlobalAvgPool, MaxPool, Window

_LOWEST = float(np.finfo(np.float32).min)


@emits(MaxPool)
def emit_max_pool(context: Context, nodes: Sequence[Node]) -> None:
    """MAX_POOL_2D; a border that is not SAME holds the lowest float, which never wins. See `_by_taps` for dilation."""
    (node,) = nodes
    assert isinstance(node.op, MaxPool)
    window, kind = node.op.window, context.type(node.inputs[0])
    if _dilated(window):
        output = context.write(node.output)
        _by_taps(context, node, window, "MAXIMUM", "MaximumMinimumOptions", _LOWEST, output)
        return
    padding = plan(window, kind.shape[2], kind.shape[3])
    _pool(context, node, "MAX_POOL_2D", window, padding, _LOWEST)


@emits(AvgPool)
def emit_avg_pool(context: Context, nodes: Sequence[Node]) -> None:
    """AVERAGE_POOL_2D, which divides by the number of taps on the (padded) map.

    With count_include_pad the border is padded with zeros, so that it counts. Without, SAME is right as it is;
    any other border is padded with zeros too, and the mean over all taps is multiplied by taps / taps that count.
    """
    (node,) = nodes
    op = node.op
    assert isinstance(op, AvgPool)
    window, kind = op.window, context.type(node.inputs[0])
    height, width = kind.shape[2:]
    counted = np.outer(op.counts(0, height), op.counts(1, width))
    padding = plan(window, height, width, allow_same=not op.count_include_pad)
    full = bool((counted == np.prod(window.kernel)).all())
    if not _dilated(window) and (full or not padding.explicit):
        _pool(context, node, "AVERAGE_POOL_2D", window, padding, 0.0)
        return
    mean = context.temporary(f"{node.output}/mean", stored_shape(context.type(node.output)))
    if _dilated(window):
        share = 1 / counted
        _by_taps(context, node, window, "ADD", "AddOptions", 0.0, mean)
    else:
        share = np.prod(window.kernel) / counted
        _pool(context, node, "AVERAGE_POOL_2D", window, padding, 0.0, mean)
    inputs = [mean, context.constant(f"{node.output}/share", share[None, :, :, None])]
    context.writer.builtin("MUL", inputs, [context.write(node.output)], ("MulOptions", {}))


def _dilated(window: Window) -> bool:
    """A dilation that matters: TFLite's pools have none."""
    return any(k > 1 and d > 1 for k, d in zip(window.kernel, window.dilations, strict=True))


def _by_taps(
    context: Context,
    node: Node,
    window: Window,
    operator: str,
    table: str,
    fill: float,
    target: int,
) -> None:
    """A dilated pool tap by tap: each a STRIDED_SLICE of the padded map, which the operator joins to those before."""
    kind, shape = context.type(node.inputs[0]), stored_shape(context.type(node.output))
    height, width = kind.shape[2:]
    top, left, bottom, right = plan(window, height, width, allow_same=False).pads
    source = context.read(node.inputs[0])
    padded = context.pad(node.output, source, stored_shape(kind), (top, left, bottom, right), fill)
    sums = None
    taps = [(y, x) for y in range(window.kernel[0]) for x in range(window.kernel[1])]
    for tap in taps:
        begin = [n * d for n, d in zip(tap, window.dilations, strict=True)]
        spans = zip(begin, shape[1:3], window.strides, strict=True)
        end = [first + (count - 1) * stride + 1 for first, count, stride in spans]
        part = context.temporary(f"{node.output}/tap", shape)
        inputs = [
            padded,
            context.integers("begin", [0, *begin, 0]),
            context.integers("end", [1, *end, kind.channels]),
            context.integers("strides", [1, *window.strides, 1]),
        ]
        context.writer.builtin("STRIDED_SLICE", inputs, [part], ("StridedSliceOptions", {}))
        if sums is None:
            sums = part
            continue
        joined = target if tap == taps[-1] else context.temporary(f"{node.output}/joined", shape)
        context.writer.builtin(operator, [sums, part], [joined], (table, {}))
        sums = joined


@emits(GlobalAvgPool)
def emit_global_avg_pool(context: Context, nodes: Sequence[Node]) -> None:
    """MEAN over height and width, to [1, C]."""
    (node,) = nodes
    inputs = [context.read(node.inputs[0]), context.integers("height_width", [1, 2])]
    options = ("ReducerOptions", {"keepDims": False})
    context.writer.builtin("MEAN", inputs, [context.write(node.output)], options)


@emits(ChannelReduce)
def emit_channel_reduce(context: Context, nodes: Sequence[Node]) -> None:
    """MEAN or REDUCE_MAX along the channels."""
    (node,) = nodes
    assert isinstance(node.op, ChannelReduce)
    operator = {"Mean": "MEAN", "Max": "REDUCE_MAX"}[node.op.kind]
    axis = len(context.type(node.output).shape) - 1
    inputs = [context.read(node.inputs[0]), context.integers("channels", [axis])]
    options = ("ReducerOptions", {"keepDims": True})
    context.writer.builtin(operator, inputs, [context.write(node.output)], options)


def _pool(
    context: Context,
    node: Node,
    operator: str,
    window: Window,
    padding: Padding,
    fill: float,
    output: int | None = None,
) -> None:
    source, shape = context.read(node.inputs[0]), stored_shape(context.type(node.inputs[0]))
    padded = context.pad(node.output, source, shape, padding.pads, fill)
    options = {
        "padding": padding.mode,
        "strideH": window.strides[0],
        "strideW": window.strides[1],
        "filterHeight": window.kernel[0],
        "filterWidth": window.kernel[1],
    }
    target = context.write(node.output) if output is None else output
    context.writer.builtin(operator, [padded], [target], ("Pool2DOptions", options))
