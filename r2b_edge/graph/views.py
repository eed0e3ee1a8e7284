"""Views: what ONNX ops that only move values (Reshape, Transpose, Slice, Pad, ...) make of a graph tensor.

A view says for each place of an ONNX tensor which value of a graph tensor stands there. Chains of such ops are worked
out on the indices alone, whatever ranks they pass through, and become at most two nodes where something reads the
result: so a channel shuffle by Reshape, Transpose and Reshape is one Gather, and most reshapes are nothing.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import TensorType
from r2b_edge.ops.base import Op
from r2b_edge.ops.floating import GlobalAvgPool
from r2b_edge.ops.moving import Gather
from r2b_edge.ops.raw import Reshape

MAX_ELEMENTS = 2**25
MAX_TOTAL = 2**27
"""Of a view, and of all views of a model: its shapes come from strangers, and indices take memory."""

Index = NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """An ONNX tensor as a selection of a graph tensor's values.

    Args:
        source: the graph tensor.
        index: int32 in the ONNX tensor's shape: flat places in `source`, NCHW; -1 where `fill` stands.
        fill: the value of what has no source.
    """

    source: str
    index: Index
    fill: float = 0.0


def whole(source: str, shape: tuple[int, ...]) -> View:
    """All values of `source` in order, in another shape.

    Raises:
        ValueError: the shape is not known, or too large.
    """
    if 0 in shape:
        raise ValueError("the shape of its input is not known")
    check_size(shape)
    return View(source, np.arange(math.prod(shape), dtype=np.int32).reshape(shape))


def check_size(shape: tuple[int, ...]) -> None:
    """Refuse what would not fit into memory.

    Raises:
        ValueError: more than MAX_ELEMENTS.
    """
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {list(shape)} is too large")


def resolve(view: View, kind: TensorType, shape: tuple[int, ...]) -> list[Op]:
    """The ops, one after another, that make a graph tensor of a view; none if it is its source.

    Args:
        view: the view.
        kind: type of its source.
        shape: of the graph tensor: a map [1, C, H, W] or a vector [1, C].

    Raises:
        ValueError: nothing in the graph's ops selects these values.
    """
    in_order = bool((view.index.reshape(-1) == np.arange(math.prod(kind.shape))).all()) if (
        view.index.size == math.prod(kind.shape)
    ) else False  # fmt: skip
    same_vector = not kind.is_map and shape[:2] == kind.shape and set(shape[2:]) <= {1}
    if in_order and (shape == kind.shape or same_vector):
        return []
    if in_order and kind.is_map and kind.shape[2:] == (1, 1) and len(shape) == 2:
        return [GlobalAvgPool()]  # the mean of one value
    if in_order:
        return [Reshape(shape)]
    if len(shape) == 4 and (kind.is_map or shape[2:] != (1, 1)):
        return [_gather(view, kind, shape)]
    if not kind.is_map:
        return [Gather(view.index.reshape(-1), fill=view.fill)]
    try:
        # Values of one pixel: a 1x1 map, and the mean of each of its values.
        return [_gather(view, kind, (*shape[:2], 1, 1)), GlobalAvgPool()]
    except ValueError:
        return [Reshape((1, math.prod(kind.shape))), Gather(view.index.reshape(-1), fill=view.fill)]


def _gather(view: View, kind: TensorType, shape: tuple[int, ...]) -> Gather:
    """The view as a selection of channels, of rows and of columns, each by itself."""
    sizes = (*kind.shape, 1, 1)[1:4]
    index = view.index.reshape(shape[1:])
    absent = index < 0
    chosen = []
    for axis, stride in enumerate((sizes[1] * sizes[2], sizes[2], 1)):
        others = tuple(a for a in range(3) if a != axis)
        place = index // stride % sizes[axis]
        place[absent] = -1
        chosen.append(place.max(axis=others))
    channels, rows, columns = (
        c.reshape([-1 if a == axis else 1 for a in range(3)]) for axis, c in enumerate(chosen)
    )
    flat = (channels * sizes[1] + rows) * sizes[2] + columns
    again = np.where((channels >= 0) & (rows >= 0) & (columns >= 0), flat, -1)
    if not (again == index).all():
        raise ValueError(f"{list(view.index.shape)} of {kind} mixes channels with height or width")
    return Gather(chosen[0], chosen[1], chosen[2], view.fill)


def border(view: View, kind: TensorType) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) if the view is its source, a map, with a border of `fill`; else None."""
    index = view.index[:, :, None] if view.index.ndim == 3 else view.index  # a signal has height 1
    if not kind.is_map or index.ndim != 4 or index.shape[:2] != kind.shape[:2]:
        return None
    rows, columns = (index[0, 0] >= 0).any(axis=1), (index[0, 0] >= 0).any(axis=0)
    if not rows.any():
        return None
    top, left = int(rows.argmax()), int(columns.argmax())
    bottom, right = int(rows[::-1].argmax()), int(columns[::-1].argmax())
    inside = np.arange(math.prod(kind.shape), dtype=np.int32).reshape(kind.shape)
    pads = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(inside, pads, constant_values=-1)
    same = padded.shape == index.shape and bool((padded == index).all())
    return (top, left, bottom, right) if same else None
