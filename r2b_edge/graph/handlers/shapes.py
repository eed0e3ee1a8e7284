"""Ops that move values: each is worked out on the indices of a view, see r2b_edge.graph.views."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx

from r2b_edge import ops
from r2b_edge.graph.from_onnx import Attributes, Importer, handles
from r2b_edge.graph.graph import Array
from r2b_edge.graph.handlers.kinds import as_one_kind
from r2b_edge.graph.views import View, check_size, whole

PAD_MODES = {b"constant": "constant", b"reflect": "reflect", b"edge": "edge", b"wrap": "wrap"}
"""ONNX's modes in numpy's words."""


def _with(view: View, index: Array) -> View:
    if 0 in index.shape:
        raise ValueError(f"its output {list(index.shape)} is empty")
    return dataclasses.replace(view, index=np.ascontiguousarray(index, dtype=np.int32))


def _axis(value: int, view: View) -> int:
    rank = view.index.ndim
    if not -rank <= value < rank:
        raise ValueError(f"axis {value} of a tensor of rank {rank}")
    return int(value) % rank


@handles("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def _reshape(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view, shape = im.view(node.input[0]), im.shapes.get(node.output[0], ())
    if not shape or 0 in shape:
        raise ValueError("its output's shape is not known: it must not depend on the data")
    im.set_view(node, _with(view, view.index.reshape(shape)))


@handles("Transpose")
def _transpose(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view = im.view(node.input[0])
    im.set_view(node, _with(view, view.index.transpose(attrs.get("perm"))))


@handles("Slice")
def _slice(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view = im.view(node.input[0])
    starts, ends = im.need_constant(node, 1).tolist(), im.need_constant(node, 2).tolist()
    axes = im.need_constant(node, 3, np.arange(len(starts))).tolist()
    steps = im.need_constant(node, 4, np.ones(len(starts), np.int64)).tolist()
    index = view.index
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = _axis(axis, view)
        size = index.shape[axis]
        # Counted from the end where negative, then kept inside: ONNX's rule, where -1 after a clamp is "before 0".
        low, high = (0, size) if step > 0 else (-1, size - 1)
        first = min(max(start + size if start < 0 else start, max(low, 0)), high)
        last = min(max(end + size if end < 0 else end, low), high if step > 0 else size - 1)
        index = index.take(np.arange(first, last, step), axis=axis)
    im.set_view(node, _with(view, index))


@handles("Split")
def _split(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view = im.view(node.input[0])
    axis = _axis(attrs.get("axis", 0), view)
    sizes = [im.shapes.get(name, ()) for name in node.output]
    if not all(sizes):
        raise ValueError("the sizes of its parts are not known")
    ends = np.cumsum([shape[axis] for shape in sizes])
    for output, (end, shape) in enumerate(zip(ends, sizes, strict=True)):
        part = _inside(np.arange(end - shape[axis], end), view.index.shape[axis])
        im.set_view(node, _with(view, view.index.take(part, axis=axis)), output)


@handles("Gather")
def _gather(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view, indices = im.view(node.input[0]), im.need_constant(node, 1)
    axis, sizes = _axis(attrs.get("axis", 0), view), view.index.shape
    check_size((*sizes[:axis], *indices.shape, *sizes[axis + 1 :]))
    im.set_view(node, _with(view, view.index.take(_inside(indices, sizes[axis]), axis=axis)))


@handles("GatherND")
def _gather_nd(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view, indices = im.view(node.input[0]), im.need_constant(node, 1)
    sizes, depth = view.index.shape, indices.shape[-1]
    if attrs.get("batch_dims", 0) or depth > len(sizes):
        raise ValueError(f"batch_dims {attrs.get('batch_dims', 0)}, indices {list(indices.shape)}")
    check_size((*indices.shape[:-1], *sizes[depth:]))
    places = tuple(_inside(indices[..., k], sizes[k]) for k in range(depth))
    im.set_view(node, _with(view, view.index[places]))


def _inside(indices: Array, size: int) -> Array:
    """Indices from 0 on, counted from the end where they are negative.

    Raises:
        ValueError: one is beyond the ends.
    """
    if indices.size and not -size <= indices.min() <= indices.max() < size:
        raise ValueError(f"indices {indices.min()} to {indices.max()} into {size}")
    return np.where(indices < 0, indices + size, indices)


@handles("Resize")
def _resize(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view = im.view(node.input[0])
    shape = im.shapes.get(node.output[0], ())
    mode = attrs.get("mode", b"nearest").decode()
    how = attrs.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = attrs.get("nearest_mode", b"round_prefer_floor").decode()
    usual = (how, rounding) in (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"))
    if mode != "nearest" or not usual or attrs.get("antialias", 0):
        raise ValueError(f"{mode}, {how}, {rounding}; torch's nearest neighbour is supported")
    if len(shape) != view.index.ndim or any(n % m for n, m in zip(shape, view.index.shape, strict=True)):  # fmt: skip
        raise ValueError(f"to {list(shape)}; whole factors are supported")
    factors = [n // m for n, m in zip(shape, view.index.shape, strict=True)]
    scales = im.need_constant(node, 2, np.zeros(0)).reshape(-1)
    axes = attrs.get("axes", range(len(factors)))
    if scales.size and not np.array_equal(scales, [factors[axis] for axis in axes]):
        # 2.1 of 4 is 8 too, but takes other values.
        raise ValueError(f"by {scales.tolist()}; whole factors are supported")
    check_size(shape)
    index = view.index
    for axis, size in enumerate(shape):
        index = index.repeat(size // index.shape[axis], axis=axis)
    im.set_view(node, _with(view, index))


@handles("Expand")
def _expand(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view, shape = im.view(node.input[0]), im.need_constant(node, 1).tolist()
    wanted = np.broadcast_shapes(view.index.shape, tuple(shape))
    check_size(wanted)
    im.set_view(node, _with(view, np.broadcast_to(view.index, wanted)))


@handles("Tile")
def _tile(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    view, repeats = im.view(node.input[0]), im.need_constant(node, 1).tolist()
    check_size(tuple(n * r for n, r in zip(view.index.shape, repeats, strict=True)))
    im.set_view(node, _with(view, np.tile(view.index, repeats)))


@handles("Pad")
def _pad(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    mode = PAD_MODES.get(attrs.get("mode", b"constant"))
    view, value = im.view(node.input[0]), im.scalar(node, 2, 0.0)
    pads = [int(v) for v in im.need_constant(node, 1)]
    axes = im.need_constant(node, 3, np.arange(len(pads) // 2)).tolist()
    if mode is None or not np.isfinite(value):
        raise ValueError(f"mode {attrs.get('mode', b'').decode()}, value {value}")
    holes = bool((view.index < 0).any())
    if mode == "constant" and holes and value != view.fill:
        # Two values: the inner padding becomes a tensor of its own.
        view = _solid(im, node.input[0])
    index = view.index
    widths = [(0, 0)] * index.ndim
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        widths[_axis(axis, view)] = (before, after)
    check_size(tuple(n + max(b, 0) + max(a, 0) for n, (b, a) in zip(index.shape, widths, strict=True)))  # fmt: skip
    for axis, (before, after) in enumerate(widths):  # ONNX crops by negative pads
        index = index.take(np.arange(max(-before, 0), index.shape[axis] + min(after, 0)), axis=axis)
    grown = [(max(before, 0), max(after, 0)) for before, after in widths]
    least = {"reflect": 1, "wrap": 0}.get(mode, -np.inf)  # of what the border leaves of the tensor
    if any(n - max(pair) < least for pair, n in zip(grown, index.shape, strict=True)):
        raise ValueError(f"mode {mode} with a border as wide as the tensor")
    options = {"constant_values": -1} if mode == "constant" else {}
    index = np.pad(index, grown, mode=mode, **options)  # type: ignore[call-overload]
    fill = value if mode == "constant" and (index < 0).any() else view.fill
    im.set_view(node, dataclasses.replace(_with(view, index), fill=fill))


def _solid(im: Importer, name: str) -> View:
    """The view after it has become a graph tensor."""
    shape = im.view(name).index.shape
    return whole(im.dynamic(name), shape)


@handles("Concat")
def _concat(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    if any(name in im.constants for name in node.input):
        raise ValueError("one of its inputs is a constant")
    axis = attrs["axis"] % im.rank(node.input[0])
    joined = _joined(im, node, axis)
    if joined is not None:
        im.set_view(node, joined)
        return
    if axis != 1:
        raise ValueError(f"along axis {attrs['axis']}; only channels can be concatenated")
    names = [im.dynamic(name) for name in node.input]
    if len(names) == 1:
        im.alias[node.output[0]] = names[0]
    else:
        im.emit(node, ops.Concat(), *as_one_kind(im, names))


def _joined(im: Importer, node: onnx.NodeProto, axis: int) -> View | None:
    """The inputs side by side, if all are views of one tensor; None for whole tensors, which Concat is faster for."""
    if axis == 1 and not all(name in im.views for name in node.input):
        return None
    views = [im.view(name) for name in node.input]
    fills = {view.fill for view in views if (view.index < 0).any()}
    if len({view.source for view in views}) > 1 or len(fills) > 1:
        return None
    sizes = [view.index.shape for view in views]
    check_size((*sizes[0][:axis], sum(s[axis] for s in sizes), *sizes[0][axis + 1 :]))
    index = np.concatenate([view.index for view in views], axis=axis)
    return _with(dataclasses.replace(views[0], fill=next(iter(fills), 0.0)), index)
