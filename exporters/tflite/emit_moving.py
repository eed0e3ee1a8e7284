"""Ops that move values: Gather and Concat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2b_edge.exporters.tflite.registry import Context, emits, stored_shape
from r2b_edge.graph.graph import Node
from r2b_edge.ops import Concat, Gather

Indices = NDArray[np.int32]


@emits(Concat)
def emit_concat(context: Context, nodes: Sequence[Node]) -> None:
    """CONCATENATION along the last axis."""
    (node,) = nodes
    axis = len(context.type(node.output).shape) - 1
    inputs = [context.read(name) for name in node.inputs]
    options = ("ConcatenationOptions", {"axis": axis})
    context.writer.builtin("CONCATENATION", inputs, [context.write(node.output)], options)


@dataclass(frozen=True)
class _Part:
    """What one axis takes: `core` lies between borders of the fill value.

    Args:
        before: how many places of the border come first.
        core: the indices between, -1 for holes.
        after: how many places of the border come last.
    """

    before: int
    core: Indices
    after: int

    @staticmethod
    def of(indices: Indices) -> _Part:
        taken = np.flatnonzero(indices >= 0)
        first, last = int(taken[0]), int(taken[-1]) + 1
        return _Part(first, indices[first:last], indices.size - last)

    @property
    def step(self) -> int:
        """The distance of neighbours, if it is always the same and positive; 0 if not, or with holes."""
        steps = np.diff(self.core)
        regular = steps.size == 0 or (steps[0] > 0 and bool((steps == steps[0]).all()))
        if not regular or self.core.min() < 0:
            return 0
        return int(steps[0]) if steps.size else 1


@emits(Gather)
def emit_gather(context: Context, nodes: Sequence[Node]) -> None:
    """SLICE or STRIDED_SLICE for all regular axes at once, GATHER for each other one, then PAD or PADV2.

    Holes within an axis are read from one more place that a PADV2 appends. All of them copy floats as they are.
    """
    (node,) = nodes
    op = node.op
    assert isinstance(op, Gather)
    kind = context.type(node.inputs[0])
    chain = _Chain(context, node, context.read(node.inputs[0]), stored_shape(kind))
    order = (
        (1, 2, 0) if op.rows is not None else (0,)
    )  # stored axes 1, 2, 3 are rows, columns, channels
    parts = [_Part.of(op.indices[i]) for i in order]
    if op.rows is not None and not kind.is_map:
        chain.reshape((1, 1, 1, kind.channels))
    holes = [part.core.min() < 0 for part in parts]
    if any(holes):
        cores = [np.where(p.core < 0, n, p.core) for p, n in zip(parts, chain.shape[1:], strict=True)]  # fmt: skip
        chain.pad([(0, int(hole)) for hole in holes], op.fill)
        parts = [_Part(p.before, c, p.after) for p, c in zip(parts, cores, strict=True)]
    chain.slice(parts)
    for axis, part in enumerate(parts, 1):
        if not part.step:
            chain.gather(axis, part.core)
    chain.pad([(part.before, part.after) for part in parts], op.fill)
    chain.done()


class _Chain:
    """Operators one after another, the last of which writes the node's output. Axes count without the batch."""

    def __init__(self, context: Context, node: Node, source: int, shape: Sequence[int]) -> None:
        self.context, self.node = context, node
        self.source, self.shape = source, tuple(shape)
        self.waiting: list[tuple[str, list[int], tuple[int, ...], Any]] = []

    def add(self, kind: str, more: list[int], shape: Sequence[int], options: Any) -> None:
        self.waiting.append((kind, more, tuple(shape), options))
        self.shape = tuple(shape)

    def reshape(self, shape: Sequence[int]) -> None:
        target = self.context.integers("shape", list(shape))
        self.add("RESHAPE", [target], shape, ("ReshapeOptions", {"newShape": list(shape)}))

    def slice(self, parts: Sequence[_Part]) -> None:
        """Cut the regular axes."""
        begin, end, strides = [0], [1], [1]
        for part, size in zip(parts, self.shape[1:], strict=True):
            regular = part.step > 0
            begin.append(int(part.core[0]) if regular else 0)
            end.append(int(part.core[-1]) + 1 if regular else size)
            strides.append(part.step or 1)
        shape = [-(-(e - b) // s) for b, e, s in zip(begin, end, strides, strict=True)]
        if tuple(shape) == self.shape:
            return
        if max(strides) == 1:
            self.add("SLICE", [self._integers(begin), self._integers(shape)], shape, ("SliceOptions", {}))  # fmt: skip
        else:
            more = [self._integers(values) for values in (begin, end, strides)]
            self.add("STRIDED_SLICE", more, shape, ("StridedSliceOptions", {}))

    def gather(self, axis: int, indices: Indices) -> None:
        shape = [*self.shape[:axis], indices.size, *self.shape[axis + 1 :]]
        options = ("GatherOptions", {"axis": axis, "batchDims": 0})
        self.add("GATHER", [self._integers(indices)], shape, options)

    def pad(self, pads: Sequence[tuple[int, int]], fill: float) -> None:
        if not any(map(any, pads)):
            return
        shape = [1] + [n + b + a for n, (b, a) in zip(self.shape[1:], pads, strict=True)]
        more = [self._integers([(0, 0), *pads])]
        if fill == 0:
            self.add("PAD", more, shape, ("PadOptions", {}))
        else:
            more.append(self.context.constant("pad_value", [fill]))
            self.add("PADV2", more, shape, ("PadV2Options", {}))

    def done(self) -> None:
        if not self.waiting:  # nothing moves: a copy
            begin, size = self._integers([0] * len(self.shape)), self._integers(self.shape)
            self.add("SLICE", [begin, size], self.shape, ("SliceOptions", {}))
        for i, (kind, more, shape, options) in enumerate(self.waiting):
            last = i == len(self.waiting) - 1
            name = self.node.output
            output = (
                self.context.write(name) if last else self.context.temporary(f"{name}/part", shape)
            )
            self.context.writer.builtin(kind, [self.source, *more], [output], options)
            self.source = output

    def _integers(self, values: Any) -> int:
        return self.context.integers("indices", values)
