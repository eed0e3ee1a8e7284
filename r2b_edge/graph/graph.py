"""The graph: tensors with an origin, nodes with one output, nothing else.

Maps are NCHW as in ONNX, with a batch axis of 1 in the types (the interpreter takes any batch); vectors are
[N, C]. Layouts for a backend (NHWC, packed bits) are the exporters' business.

dtypes:
    float32  real values
    bits     +1 and -1; int8 in numpy, one bit in every backend
    int32    exact dot products of bits
    bool     only inside a cone before it is probed
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.findings import LayerFinding

if TYPE_CHECKING:
    from r2b_edge.ops.base import Op

__all__ = [
    "Array",
    "Graph",
    "LayerFinding",
    "Node",
    "Origin",
    "Tensor",
    "TensorType",
]

Array = NDArray[Any]


@dataclass(frozen=True)
class TensorType:
    """Shape (batch axis first, 1) and dtype of a tensor."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def channels(self) -> int:
        """Size of axis 1."""
        return self.shape[1]

    @property
    def is_map(self) -> bool:
        """True for [N, C, H, W], False for a vector [N, C]."""
        return len(self.shape) == 4

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a tensor stands in the reference: `onnx tensor = scale * value + offset`.

    Args:
        onnx: name of the tensor in model.onnx. Its shape may differ by axes of size 1.
        scale: scalar or [C] along axis 1; 0 where the reference does not show the value.
        offset: scalar or [C]; [C, H, W] where a border that is no bit adds a constant to the reference.
        border: what the ONNX tensor has around a map (top, left, bottom, right): the padding of those who read it.
    """

    onnx: str
    scale: NDArray[np.float32] | float = 1.0
    offset: NDArray[np.float32] | float = 0.0
    border: tuple[int, int, int, int] = (0, 0, 0, 0)

    def inside(self, shown: Array, shape: tuple[int, ...]) -> Array:
        """The part of the ONNX tensor that shows a value of `shape`: a view in that shape."""
        if not any(self.border):
            return shown.reshape(shape)
        top, left, bottom, right = self.border
        n, c, height, width = shape
        padded = shown.reshape(n, c, height + top + bottom, width + left + right)
        return padded[:, :, top : top + height, left : left + width]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A named value with its type and its origin in the reference."""

    name: str
    type: TensorType
    origin: Origin


@dataclass(frozen=True, eq=False)
class Node:
    """One op applied to tensors, by name; exactly one output. `name` is the ONNX node's, for messages."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    output: str


@dataclass
class Graph:
    """A network. `nodes` are in execution order; passes edit the graph in place (see r2b_edge.passes).

    `own_shapes` are the shapes of the inputs and outputs as the model itself has them, batch axis first: they differ
    from the types' by axes of size 1. The values of `uint8_inputs` are whole numbers from 0 to 255, which a backend may
    store in a byte; to everything else they are float32.

    `stored_weights` and `rounding` are for weights in half precision (see rounding.py): the ONNX tensor that a layer
    computes, by the name of its FloatConv or Dense, where model.onnx holds its weights; and, by that tensor, the
    factors by which these are rounded, [O, ...]. `notes`: what a user should know of what passes did, or did not.
    """

    name: str
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    findings: list[LayerFinding] = field(default_factory=list)
    own_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    uint8_inputs: frozenset[str] = frozenset()
    stored_weights: dict[str, str] = field(default_factory=dict)
    rounding: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def producers(self) -> dict[str, Node]:
        """Map from a tensor's name to the node that writes it."""
        return {node.output: node for node in self.nodes}

    def consumers(self) -> dict[str, list[Node]]:
        """Map from a tensor's name to the nodes that read it, in execution order."""
        readers: dict[str, list[Node]] = {name: [] for name in self.tensors}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return readers

    def type(self, name: str) -> TensorType:
        """Type of the tensor `name`."""
        return self.tensors[name].type

    def add(self, name: str, op: Op, inputs: Iterable[str], output: str, origin: Origin) -> Node:
        """Append a node and the tensor that it writes, whose type the op's shape rule gives."""
        node = self.make(name, op, inputs, output, origin)
        self.nodes.append(node)
        return node

    def make(self, name: str, op: Op, inputs: Iterable[str], output: str, origin: Origin) -> Node:
        """As `add`, but leave it to the caller where the node goes."""
        names = tuple(inputs)
        kind = op.infer(*(self.type(n) for n in names))
        self.tensors[output] = Tensor(output, kind, origin)
        return Node(name, op, names, output)

    def fresh(self, stem: str) -> str:
        """A tensor name that is not taken yet."""
        if stem not in self.tensors:
            return stem
        return next(
            f"{stem}~{i}"
            for i in range(1, len(self.tensors) + 2)
            if f"{stem}~{i}" not in self.tensors
        )

    def prune(self) -> None:
        """Drop nodes that no output needs, and tensors that nobody writes or reads."""
        needed = set(self.outputs)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if node.output in needed:
                needed.update(node.inputs)
                kept.append(node)
        self.nodes = kept[::-1]
        alive = needed | set(self.inputs)
        self.tensors = {name: t for name, t in self.tensors.items() if name in alive}
