"""Pools, and reductions over height and width or over the channels."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx

from r2b_edge import ops
from r2b_edge.graph.from_onnx import Attributes, Importer, graph_shape, handles
from r2b_edge.graph.graph import Origin, TensorType
from r2b_edge.graph.handlers.kinds import as_map, emit_chain
from r2b_edge.graph.handlers.window import read_window
from r2b_edge.graph.views import check_size, whole
from r2b_edge.ops.base import Op
from r2b_edge.ops.windows import Window


@handles("MaxPool")
def _max_pool(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    if len(node.output) > 1 and node.output[1]:
        raise ValueError("the indices of a pool are not supported")
    x = as_map(im, im.dynamic(node.input[0]))
    window, _ = _pool_window(im, node, x, attrs)
    im.emit(node, ops.MaxPool(window), x)


@handles("AveragePool")
def _average_pool(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    x = as_map(im, im.dynamic(node.input[0]))
    window, overhang = _pool_window(im, node, x, attrs)
    if window.kernel == im.graph.type(x).shape[2:] and not any(window.pads):
        im.emit(node, ops.GlobalAvgPool(), x)
        return
    counted = bool(attrs.get("count_include_pad", 0))
    im.emit(node, ops.AvgPool(window, counted, overhang if counted else (0, 0)), x)


def _pool_window(
    im: Importer, node: onnx.NodeProto, x: str, attrs: Attributes
) -> tuple[Window, tuple[int, int]]:
    """The window, and the rows and columns that ceil_mode adds to its border."""
    size = im.graph.type(x).shape[2:]
    window = read_window(attrs, tuple(attrs["kernel_shape"]), size)
    if attrs.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        _require_usual_border(window, size)
    if not attrs.get("ceil_mode", 0):
        return window, (0, 0)
    window, overhang = _rounded_up(window, size)
    wanted = graph_shape(im.shapes.get(node.output[0], ()))[2:]
    if wanted and wanted != window.output_size(*size):
        raise ValueError("for ceil_mode, ONNX infers a position more than onnxruntime computes")
    return window, overhang


def _require_usual_border(window: Window, size: tuple[int, ...]) -> None:
    """Refuse an automatic border that onnxruntime computes in another way than ONNX states.

    It leaves dilations out, and takes a border below 0 where the windows do not cover the map.

    Raises:
        ValueError: it is such a one.
    """
    for axis, outputs in enumerate(window.output_size(*size)):
        kernel, stride = window.kernel[axis], window.strides[axis]
        dilated = kernel > 1 and window.dilations[axis] > 1
        if dilated or (outputs - 1) * stride + kernel - size[axis] < -1:
            raise ValueError("auto_pad with dilations or with gaps; write out its pads")


def _rounded_up(window: Window, size: tuple[int, ...]) -> tuple[Window, tuple[int, int]]:
    """The window with the border that its last, partial position needs, and how much that is more.

    As torch and onnxruntime have it, a last position that would start beyond the map and its border before does not
    count. What is beyond the model's own border never counts in a mean.
    """
    over = []
    for axis in range(2):
        stride, before, after = window.strides[axis], window.pads[axis], window.pads[axis + 2]
        extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
        room = size[axis] + before + after - extent
        outputs = math.ceil(room / stride) + 1
        if (outputs - 1) * stride >= size[axis] + before:
            outputs -= 1
        over.append(max((outputs - 1) * stride - room, 0))
    top, left, bottom, right = window.pads
    pads = (top, left, bottom + over[0], right + over[1])
    return dataclasses.replace(window, pads=pads), (over[0], over[1])


@handles("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "ReduceSum")
def _reduce(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    rank = im.rank(node.input[0])
    axes = _axes(im, node, attrs, rank)
    if rank > 4 and node.input[0] in im.views and node.op_type == "ReduceMean":
        _mean_of_groups(im, node, sorted(axes))
        return
    x = im.dynamic(node.input[0])
    kind = im.graph.type(x)
    if rank == 3:
        axes = {a + 1 if a == 2 else a for a in axes}  # a signal's length is the map's width
    if not kind.is_map and axes & {2, 3}:
        axes -= {2, 3}  # a vector's height and width are 1
        if not axes:
            im.alias[node.output[0]] = x
            return
    how = {"GlobalAveragePool": "Mean", "GlobalMaxPool": "Max"}.get(
        node.op_type, node.op_type.removeprefix("Reduce")
    )
    emit_chain(im, node, _reduction(how, axes, kind, rank), x)


def _mean_of_groups(im: Importer, node: onnx.NodeProto, axes: list[int]) -> None:
    """The mean over groups of channels, by an axis of their own: a 1x1 convolution with weights 1 / size and 0."""
    view, output = im.view(node.input[0]), str(node.output[0])
    kind = im.graph.type(view.source)
    groups = np.moveaxis(view.index, axes, range(-len(axes), 0))
    shape = groups.shape[: view.index.ndim - len(axes)]
    groups = groups.reshape(*shape[:2], math.prod(shape[2:]), -1)
    pixels = math.prod(kind.shape[2:])
    channels, places = np.divmod(groups[0], pixels)  # [O, pixels, size]
    one_pixel = bool((places == np.arange(places.shape[1])[None, :, None]).all())
    fits = kind.is_map and len(shape) == 4 and shape[0] == 1 and shape[2:] == kind.shape[2:]
    if not fits or not one_pixel or groups.min() < 0 or not (channels == channels[:, :1]).all():
        raise ValueError(
            f"over axes {axes}; of rank 5, a mean over groups of channels is supported"
        )
    check_size((kind.channels, shape[1]))
    weight = np.zeros((kind.channels, shape[1]), np.float32)
    np.add.at(weight, (channels[:, 0], np.arange(shape[1])[:, None]), 1 / channels.shape[2])
    conv = ops.FloatConv(
        np.ascontiguousarray(weight.T)[:, :, None, None],
        np.zeros(shape[1], np.float32),
        Window((1, 1)),
    )
    if im.shapes.get(output) == shape:
        im.emit(node, conv, view.source)
        return
    made = im.graph.fresh(f"{output}~value")
    im.graph.add(im.name(node, output), conv, (view.source,), made, Origin(output))
    im.set_view(node, whole(made, im.shapes[output]))


def _axes(im: Importer, node: onnx.NodeProto, attrs: Attributes, rank: int) -> set[int]:
    if node.op_type.startswith("Global"):
        return set(range(2, rank))
    axes = attrs.get("axes") or [int(v) for v in im.need_constant(node, 1, np.zeros(0, np.int64))]
    return {a % rank for a in axes}


def _reduction(how: str, axes: set[int], kind: TensorType, rank: int) -> list[tuple[Op, float]]:
    """The ops that reduce these axes of a graph tensor, each with the factor to the result."""
    spatial = {3} if rank == 3 else {2, 3}
    first: Op
    if axes == {1}:
        count, first = kind.channels, ops.ChannelReduce("Max" if how == "Max" else "Mean")
    elif axes and axes <= spatial:
        height, width = kind.shape[2:]
        window = Window((height if 2 in axes else 1, width if 3 in axes else 1))
        count = math.prod(window.kernel)
        whole = axes == spatial
        if how == "Max":
            steps: list[tuple[Op, float]] = [(ops.MaxPool(window), 1.0)]
            return [*steps, (ops.GlobalAvgPool(), 1.0)] if whole else steps
        first = ops.GlobalAvgPool() if whole else ops.AvgPool(window)
    else:
        listed = sorted({a - 1 if rank == 3 and a == 3 else a for a in axes})
        raise ValueError(
            f"over axes {listed or 'all'}; over height, width or both, or over the channels is supported"
        )
    if how != "Sum":
        return [(first, 1.0)]
    channels = 1 if axes == {1} else kind.channels
    scale = ops.ChannelAffine(np.full(channels, count, np.float32), np.zeros(channels, np.float32))
    return [(first, float(count)), (scale, 1.0)]
