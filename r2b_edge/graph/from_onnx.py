"""model.onnx -> Graph: one handler an ONNX op type.

Vectors: a tensor of ONNX shape [1, C, 1, 1] that comes from a global pool or a dense layer is a vector [1, C] in the
graph, so that reshapes between the two vanish.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from r2b_edge import ops
from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.text import first_line
from r2b_edge.graph.graph import Array, Graph, Origin, Tensor, TensorType
from r2b_edge.ops.base import Floats, Op

STANDARD = ("", "ai.onnx")
Handler = Callable[["Importer", onnx.NodeProto, dict[str, Any]], None]
MIN_OPSET = 13
"""Of ONNX: before it, axes and limits are attributes that the handlers do not read."""
HANDLERS: dict[str, Handler] = {}
"""ONNX op type -> handler(importer, node, attributes). Filled by r2b_edge.graph.handlers."""


def handles(*kinds: str) -> Callable[[Handler], Handler]:
    """Register a handler for ONNX op types."""

    def register(function: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def from_onnx(path: Path, name: str) -> Graph:
    """Read a model.onnx that the front end wrote.

    Args:
        path: the file; standard ops only, constants folded, batch axis 1.
        name: what the graph is called.

    Raises:
        UnsupportedError: an op, an attribute or a shape that the graph cannot hold; names the node.
        InputError: the file is not a readable ONNX model.
    """
    import r2b_edge.graph.handlers  # noqa: F401  (fills HANDLERS)

    try:
        model = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
        onnx.checker.check_model(model, full_check=True)  # handlers rely on what ONNX promises
    except Exception as error:  # protobuf and onnx raise many types for a damaged file
        reason = first_line(str(error))
        raise InputError(f"{path.name} is not a readable ONNX model: {reason}") from error
    _check_names(model, path)
    opset = min((o.version for o in model.opset_import if o.domain in STANDARD), default=0)
    if opset < MIN_OPSET:
        raise UnsupportedError(
            f"{path.name} has opset {opset}; {MIN_OPSET} or later is supported",
            "let the front end convert it",
        )
    importer = Importer(model, name)
    for node in model.graph.node:
        importer.visit(node)
    importer.finish()
    return importer.graph


def _check_names(model: onnx.ModelProto, path: Path) -> None:
    """Names must be text (protobuf gives bytes where they are none), and tensors free of our own mark."""
    nodes, graph = model.graph.node, model.graph
    tensors = {name for node in nodes for name in (*node.input, *node.output)}
    tensors |= {v.name for v in (*graph.input, *graph.output, *graph.initializer)}
    if any(isinstance(name, bytes) for name in (*tensors, *(n.name for n in nodes))):
        raise InputError(f"{path.name} is not a readable ONNX model: a name is no text")
    marked = sorted(name for name in tensors if "~" in name)
    if marked:
        raise UnsupportedError(
            f"a tensor is called {marked[0]!r}", "the '~' is kept for derived names: rename it"
        )


def float32(values: Array) -> Floats:
    """Constants in float32.

    Raises:
        ValueError: one is not finite, or becomes infinite.
    """
    with np.errstate(over="ignore"):
        cast = np.asarray(values, dtype=np.float32)
    if not np.isfinite(cast).all():
        raise ValueError("a constant is not finite in float32")
    return cast


class Importer:
    """State of one import: constants, and what graph tensor stands for each ONNX tensor."""

    def __init__(self, model: onnx.ModelProto, name: str) -> None:
        self.model = model
        self.graph = Graph(name)
        self.constants: dict[str, Array] = {
            t.name: numpy_helper.to_array(t) for t in model.graph.initializer
        }
        self.alias: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.taken: set[str] = {output for node in model.graph.node for output in node.output}
        self.pads: dict[str, tuple[str, tuple[int, int, int, int], float]] = {}
        for info in (*model.graph.value_info, *model.graph.input, *model.graph.output):
            dims = info.type.tensor_type.shape.dim
            self.shapes[info.name] = tuple(d.dim_value for d in dims)
        for value in model.graph.input:
            if value.name not in self.constants:
                self._input(value)

    def _input(self, value: onnx.ValueInfoProto) -> None:
        shape = self.shapes[value.name]
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            raise UnsupportedError(
                f"input {value.name!r} is not float32", "give the model a float32 input"
            )
        if len(shape) not in (2, 4) or 0 in shape or shape[0] != 1:
            raise UnsupportedError(
                f"input {value.name!r} has shape {list(shape)}; [1, C, H, W] or [1, C] is supported"
            )
        self.graph.tensors[value.name] = Tensor(value.name, TensorType(shape), Origin(value.name))
        self.graph.inputs.append(value.name)
        self.alias[value.name] = value.name

    def visit(self, node: onnx.NodeProto) -> None:
        """Import one node."""
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type not in HANDLERS or node.domain not in STANDARD or not node.output[0]:
            raise self.refuse(node, "this op is not supported")
        try:
            HANDLERS[node.op_type](self, node, attributes)
        except ValueError as error:
            raise self.refuse(node, str(error)) from error

    def finish(self) -> None:
        """Name the outputs."""
        for value in self.model.graph.output:
            if value.name in self.pads:
                raise UnsupportedError(
                    f"output {value.name!r} is a Pad's; a Pad is supported before a Conv only"
                )
            if value.name not in self.alias:
                raise UnsupportedError(f"output {value.name!r} does not depend on the input")
            self.graph.outputs.append(self.alias[value.name])

    def refuse(self, node: onnx.NodeProto, reason: str) -> UnsupportedError:
        """The error that names a node."""
        shapes = ", ".join(str(list(self.shapes.get(i, ()))) for i in node.input if i in self.alias)
        return UnsupportedError(
            f"{node.op_type} {node.name or node.output[0]!r} on {shapes}: {reason}"
        )

    def scalar(self, node: onnx.NodeProto, index: int, default: float) -> float:
        """Input `index` of the node: a constant of one element."""
        value = self.need_constant(node, index, np.asarray(default))
        if value.size != 1:
            raise ValueError(f"input {index} has {value.size} elements, not 1")
        return float(value.reshape(-1)[0])

    def constant(self, name: str) -> Array | None:
        """The constant called `name`, or None."""
        return self.constants.get(name)

    def need_constant(
        self, node: onnx.NodeProto, index: int, default: Array | None = None
    ) -> Array:
        """Input `index` of the node, which must be a constant."""
        if index >= len(node.input) or not node.input[index]:
            if default is None:
                raise ValueError(f"input {index} is missing")
            return default
        value = self.constant(node.input[index])
        if value is None:
            raise ValueError(f"input {index} ({node.input[index]!r}) must be a constant")
        return value

    def dynamic(self, name: str) -> str:
        """The graph tensor that stands for an ONNX tensor."""
        if name in self.pads:
            raise ValueError("a Pad is supported before a Conv only")
        if name not in self.alias:
            raise ValueError(
                f"{name!r} is a constant or a second output; a tensor that depends on the input is expected"
            )
        return self.alias[name]

    def rank(self, name: str) -> int:
        """Rank of the ONNX tensor."""
        return len(self.shapes.get(name, ())) or len(self.graph.type(self.alias[name]).shape)

    def channel_constant(self, value: Array, onnx_rank: int, channels: int) -> Array:
        """A constant that broadcasts against an ONNX tensor of `onnx_rank`, as [C] or [1].

        Raises:
            ValueError: it varies along another axis than the channels.
        """
        array = np.asarray(value)
        if array.ndim > onnx_rank:
            if any(n != 1 for n in array.shape[: array.ndim - onnx_rank]):
                raise ValueError(f"a constant of shape {list(array.shape)} changes the rank")
            array = array.reshape(array.shape[array.ndim - onnx_rank :])
        array = array.reshape((1,) * (onnx_rank - array.ndim) + array.shape)
        for axis in range(array.ndim):
            if axis != 1 and array.shape[axis] > 1:
                first = array.take([0], axis=axis)
                if not (array == first).all():
                    raise ValueError(
                        f"a constant of shape {list(value.shape)} varies along axis {axis}; only scales and "
                        "offsets per channel are supported"
                    )
                array = first
        if array.size not in (1, channels):
            raise ValueError(
                f"a constant of shape {list(value.shape)} broadcasts {channels} channels"
            )
        return array.reshape(-1)

    def name(self, node: onnx.NodeProto) -> str:
        """A name for what the node becomes: its own, if it has one and nobody else has it."""
        taken = node.name in self.taken or not node.name or "~" in node.name
        name = str(node.output[0] if taken else node.name)
        self.taken.add(name)
        return name

    def emit(self, node: onnx.NodeProto, op: Op, *inputs: str) -> str:
        """Append an op that computes the node's output."""
        output = str(node.output[0])
        self.graph.add(self.name(node), op, inputs, output, Origin(output))
        have, want = self.graph.type(output).shape, self.shapes.get(output, ())
        rest = set(want[len(have) :])
        if 0 in have or (want and (want[: len(have)] != have or not rest <= {1})):
            raise ValueError(f"its output {list(want)} is neither a map nor a vector of channels")
        self.alias[output] = output
        return output

    def affine(self, node: onnx.NodeProto, x: str, scale: Array, offset: Array) -> str:
        """Emit a ChannelAffine with constants [C] or [1]."""
        channels = self.graph.type(x).channels
        full = [np.broadcast_to(float32(v), (channels,)).copy() for v in (scale, offset)]
        return self.emit(node, ops.ChannelAffine(full[0], full[1]), x)
