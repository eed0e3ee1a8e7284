"""Pools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r2b_edge.errors import UnsupportedError
from r2b_edge.exporters.tflite.geometry import Padding, inside, plan
from r2b_edge.exporters.tflite.registry import Context, emits, stored_shape
from r2b_edge.graph.graph import Node
from r2b_edge.ops import AvgPool, GlobalAvgPool, MaxPool, Window

_LOWEST = float(np.finfo(np.float32).min)


@emits(MaxPool)
def emit_max_pool(context: Context, nodes: Sequence[Node]) -> None:
    """MAX_POOL_2D; a border that is not SAME holds the lowest float, which never wins."""
    (node,) = nodes
    assert isinstance(node.op, MaxPool)
    kind = context.type(node.inputs[0])
    padding = plan(_undilated(node, node.op.window), kind.shape[2], kind.shape[3])
    _pool(context, node, "MAX_POOL_2D", node.op.window, padding, _LOWEST)


@emits(AvgPool)
def emit_avg_pool(context: Context, nodes: Sequence[Node]) -> None:
    """AVERAGE_POOL_2D, which divides by the number of taps on the (padded) map.

    With count_include_pad the border is padded with zeros, so that it counts. Without, SAME is right as it is;
    any other border is padded with zeros too, and the mean over all taps is multiplied by taps / taps on the map.
    """
    (node,) = nodes
    op = node.op
    assert isinstance(op, AvgPool)
    window, kind = _undilated(node, op.window), context.type(node.inputs[0])
    height, width = kind.shape[2:]
    padding = plan(window, height, width, allow_same=not op.count_include_pad)
    if op.count_include_pad or not padding.explicit:
        _pool(context, node, "AVERAGE_POOL_2D", window, padding, 0.0)
        return
    rows, columns = inside(window, 0, height).sum(axis=1), inside(window, 1, width).sum(axis=1)
    share = np.prod(window.kernel) / np.outer(rows, columns)
    mean = context.temporary(f"{node.output}/mean", stored_shape(context.type(node.output)))
    _pool(context, node, "AVERAGE_POOL_2D", window, padding, 0.0, mean)
    inputs = [mean, context.constant(f"{node.output}/share", share[None, :, :, None])]
    context.writer.builtin("MUL", inputs, [context.write(node.output)], ("MulOptions", {}))


@emits(GlobalAvgPool)
def emit_global_avg_pool(context: Context, nodes: Sequence[Node]) -> None:
    """MEAN over height and width, to [1, C]."""
    (node,) = nodes
    inputs = [context.read(node.inputs[0]), context.integers("height_width", [1, 2])]
    options = ("ReducerOptions", {"keepDims": False})
    context.writer.builtin("MEAN", inputs, [context.write(node.output)], options)


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


def _undilated(node: Node, window: Window) -> Window:
    if window.dilations != (1, 1):
        raise UnsupportedError(
            f"{type(node.op).__name__} {node.name!r} is dilated, which TFLite's pools are not",
            "use a pool with dilation 1",
        )
    return window
