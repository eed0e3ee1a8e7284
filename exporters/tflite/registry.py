"""One emitter an op, and what they share.

An emitter takes (context, nodes): nodes[0] holds the op that it is registered for, the others are fused into it
(convert.py says what may be). It reads the inputs by `context.read`, and ends by writing the last node's output
into the tensor that `context.write` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2b_edge.exporters.bits import words
from r2b_edge.exporters.tflite.model import TfliteTensor
from r2b_edge.exporters.tflite.writer import Writer
from r2b_edge.graph.graph import Graph, Node, TensorType
from r2b_edge.ops import Op

Emitter = Callable[["Context", Sequence[Node]], None]

EMITTERS: dict[type[Op], Emitter] = {}


def emits(op: type[Op]) -> Callable[[Emitter], Emitter]:
    """Register the emitter of an op class."""

    def register(emitter: Emitter) -> Emitter:
        EMITTERS[op] = emitter
        return emitter

    return register


class Context:
    """The graph being written, and the writer it goes to."""

    def __init__(self, graph: Graph, writer: Writer) -> None:
        self.graph = graph
        self.writer = writer
        self.tensors: dict[str, TfliteTensor] = {}

    def type(self, name: str) -> TensorType:
        """Type of a tensor of the graph."""
        return self.graph.type(name)

    def read(self, name: str) -> int:
        """Index of a tensor of the graph that is written already."""
        return self.tensors[name].index

    def write(self, name: str) -> int:
        """Index of a new tensor for the graph's tensor `name`."""
        kind = self.type(name)
        packed = kind.dtype == "bits"
        index = self.writer.tensor(name, stored_shape(kind), "int32" if packed else "float32")
        self.tensors[name] = TfliteTensor(index, kind.shape, kind.dtype)
        return index

    def temporary(self, name: str, shape: Sequence[int], dtype: str = "float32") -> int:
        """Index of a new tensor that the graph does not know."""
        return self.writer.tensor(name, shape, dtype)

    def constant(self, name: str, value: Any) -> int:
        """Index of a float32 constant."""
        return self.writer.constant(name, np.asarray(value, dtype=np.float32))

    def integers(self, name: str, value: Any) -> int:
        """Index of an int32 constant."""
        return self.writer.constant(name, np.asarray(value, dtype=np.int32))

    def pad(
        self, name: str, source: int, shape: Sequence[int], pads: Sequence[int], fill: Any = 0
    ) -> int:
        """Pad a stored map with `fill`: index of the result, or of the source where nothing is to do.

        Args:
            name: for the new tensor.
            source: index of a map [1, H, W, K], float32, or int32 where `fill` is an np.int32.
            shape: its shape.
            pads: (top, left, bottom, right).
            fill: what the border holds; 0 gives PAD, anything else PADV2.
        """
        if not any(pads):
            return source
        top, left, bottom, right = pads
        n, height, width, depth = shape
        padded = (n, height + top + bottom, width + left + right, depth)
        dtype = "int32" if isinstance(fill, np.int32) else "float32"
        output = self.temporary(f"{name}/pad", padded, dtype)
        inputs = [source, self.integers("pads", [[0, 0], [top, bottom], [left, right], [0, 0]])]
        if fill == 0:
            self.writer.builtin("PAD", inputs, [output], ("PadOptions", {}))
        else:
            value = self.writer.constant("pad_value", np.asarray(fill).reshape(1).astype(dtype))
            self.writer.builtin("PADV2", [*inputs, value], [output], ("PadV2Options", {}))
        return output

    def reshape(self, source: int, output: int, shape: Sequence[int]) -> None:
        """Write the values of `source`, in their order, to the tensor `output` of another shape."""
        options = ("ReshapeOptions", {"newShape": list(shape)})
        inputs = [source, self.integers("shape", list(shape))]
        self.writer.builtin("RESHAPE", inputs, [output], options)

    def transpose(self, source: int, output: int, axes: Sequence[int]) -> None:
        """Write `source` with its axes in another order to the tensor `output`."""
        inputs = [source, self.integers("axes", list(axes))]
        self.writer.builtin("TRANSPOSE", inputs, [output], ("TransposeOptions", {}))


def stored_shape(kind: TensorType) -> tuple[int, ...]:
    """Shape in the file: maps NHWC, vectors [N, C], bits packed along the channels."""
    depth = words(kind.channels) if kind.dtype == "bits" else kind.channels
    if kind.is_map:
        return (kind.shape[0], kind.shape[2], kind.shape[3], depth)
    return (kind.shape[0], depth)


def channels(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """A constant of [1] or [C] as [C]."""
    return np.broadcast_to(values, (count,)).astype(np.float32)
