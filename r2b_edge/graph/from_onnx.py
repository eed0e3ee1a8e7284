"""model.onnx -> Graph: one handler an ONNX op type.

Vectors: a tensor of ONNX shape [1, C, 1, 1] that comes from a global pool or a dense layer is a vector [1, C] in the
graph, so that reshapes between the two vanish. Signals: a tensor [1, C, L] is a map of height 1, [1, C, 1, L].
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
from r2b_edge.graph.views import MAX_TOTAL, View, resolve, whole
from r2b_edge.ops.base import Floats, Op

STANDARD = ("", "ai.onnx")
Attributes = dict[str, Any]
"""Of an ONNX node, by name, as Python values."""
Handler = Callable[["Importer", onnx.NodeProto, Attributes], None]
INTEGERS = (
    onnx.TensorProto.INT8, onnx.TensorProto.INT16, onnx.TensorProto.INT32, onnx.TensorProto.INT64,
    onnx.TensorProto.UINT8,
)  # fmt: skip
"""ONNX's types whose values the graph holds as float32, see the handler of Cast."""
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


def from_onnx(source: Path | onnx.ModelProto, name: str) -> Graph:
    """Read a model.onnx that the front end wrote.

    Args:
        source: the file, or what `read_onnx` gave; standard ops only, constants folded, batch axis 1.
        name: what the graph is called.

    Raises:
        UnsupportedError: an op, an attribute or a shape that the graph cannot hold; names the node.
        InputError: the file is not a readable ONNX model.
    """
    importer = Importer(read_onnx(source) if isinstance(source, Path) else source, name)
    for value in importer.inputs:
        importer.take_input(value)
    importer.require_known_ops()
    for node in importer.model.graph.node:
        importer.visit(node)
    importer.finish()
    return importer.graph


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model in a file that the front end wrote, with the shapes of all tensors, checked.

    Raises:
        UnsupportedError: a name or an opset that cannot be imported.
        InputError: the file is not a readable ONNX model.
    """
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
    return model


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


def graph_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A signal [N, C, L] is a map of height 1 in the graph, [N, C, 1, L]; other shapes stay."""
    return (*shape[:2], 1, shape[2]) if len(shape) == 3 else shape


def _why_unknown(node: onnx.NodeProto) -> str:
    if node.op_type in ("If", "Loop", "Scan"):
        return (
            "what it does depends on values of the input, and the steps of the export are fixed; "
            "write it with torch.where, or with a fixed number of rounds"
        )
    return "this op is not supported"


def _known(node: onnx.NodeProto) -> bool:
    return node.op_type in HANDLERS and node.domain in STANDARD and bool(node.output[0])


class Importer:
    """State of one import: constants, and what graph tensor stands for each ONNX tensor."""

    def __init__(self, model: onnx.ModelProto, name: str) -> None:
        import r2b_edge.graph.handlers  # noqa: F401  (fills HANDLERS)

        self.model = model
        self.graph = Graph(name)
        self.constants: dict[str, Array] = {
            t.name: numpy_helper.to_array(t) for t in model.graph.initializer
        }
        self.alias: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.integers: set[str] = set()
        self.quantised: dict[str, tuple[str, float, int]] = {}
        self.taken: set[str] = {output for node in model.graph.node for output in node.output}
        self.named: set[str] = set()
        self.views: dict[str, tuple[View, onnx.NodeProto]] = {}
        self.moved = 0
        for info in (*model.graph.value_info, *model.graph.input, *model.graph.output):
            dims = info.type.tensor_type.shape.dim
            if info.type.tensor_type.elem_type in INTEGERS:
                self.integers.add(info.name)
            self.shapes[info.name] = tuple(d.dim_value for d in dims)

    @property
    def inputs(self) -> list[onnx.ValueInfoProto]:
        """The model's inputs, without initializers that are listed among them."""
        return [v for v in self.model.graph.input if v.name not in self.constants]

    def take_input(self, value: onnx.ValueInfoProto) -> None:
        """Make an input of the model one of the graph."""
        shape = self.shapes[value.name]
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            raise UnsupportedError(
                f"input {value.name!r} is not float32", "give the model a float32 input"
            )
        if len(shape) not in (2, 3, 4) or 0 in shape or shape[0] != 1:
            raise UnsupportedError(
                f"input {value.name!r} has shape {list(shape)}; [1, C, H, W], [1, C, L] or [1, C] is supported"
            )
        kind = TensorType(graph_shape(shape))
        self.graph.tensors[value.name] = Tensor(value.name, kind, Origin(value.name))
        self.graph.own_shapes[value.name] = shape
        self.graph.inputs.append(value.name)
        self.alias[value.name] = value.name

    def require_known_ops(self) -> None:
        """Look for ops without a handler, so that a model's author learns of all of them at once.

        Raises:
            UnsupportedError: there are some; names the first of each kind.
        """
        unknown: dict[str, list[onnx.NodeProto]] = {}
        for node in self.model.graph.node:
            if not _known(node):
                unknown.setdefault(node.op_type, []).append(node)
        if not unknown:
            return
        ((first, *rest), *others) = unknown.values()
        if not rest and not others:
            raise self.refuse(first, _why_unknown(first))
        listed = (
            f"{len(nodes)} {kind} (first {nodes[0].name or nodes[0].output[0]!r})"
            for kind, nodes in sorted(unknown.items(), key=lambda item: (-len(item[1]), item[0]))
        )
        raise UnsupportedError(f"these ops are not supported: {', '.join(listed)}")

    def visit(self, node: onnx.NodeProto) -> None:
        """Import one node.

        Raises:
            UnsupportedError: it cannot be imported; names it.
        """
        try:
            self.take_node(node)
        except ValueError as error:
            raise self.refuse(node, str(error)) from error

    def take_node(self, node: onnx.NodeProto) -> None:
        """Let the node's handler import it.

        Raises:
            ValueError: why it cannot.
        """
        if not _known(node):
            raise ValueError(_why_unknown(node))
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        HANDLERS[node.op_type](self, node, attributes)

    def finish(self) -> None:
        """Name the outputs."""
        for value in self.model.graph.output:
            self.take_output(value)

    def take_output(self, value: onnx.ValueInfoProto) -> None:
        """Let the graph end in an output of the model.

        Raises:
            UnsupportedError: it is a constant, or a shape that the graph cannot hold.
        """
        if value.name not in self.alias and value.name not in self.views:
            raise UnsupportedError(f"output {value.name!r} does not depend on the input")
        try:
            output = self.dynamic(value.name)
        except ValueError as error:
            raise UnsupportedError(f"output {value.name!r}: {error}") from error
        self.graph.outputs.append(output)
        if output not in self.graph.inputs:  # an input keeps the shape that it is fed in
            self.graph.own_shapes[output] = self.shapes[value.name]

    def refuse(self, node: onnx.NodeProto, reason: str) -> UnsupportedError:
        """The error that names a node."""
        inputs = [i for i in node.input if i and i not in self.constants]
        shapes = ", ".join(str(list(self.shapes.get(i, ()))) for i in inputs)
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
        """The graph tensor that stands for an ONNX tensor; a view becomes one where it is first asked for.

        Raises:
            ValueError: the tensor does not depend on the input, or is a view that the graph's ops cannot make.
        """
        if name in self.alias:
            return self.alias[name]
        if name not in self.views:
            raise ValueError(
                f"{name!r} is a constant or a second output; a tensor that depends on the input is expected"
            )
        view, node = self.views[name]
        shape = graph_shape(view.index.shape)
        try:
            if len(shape) not in (2, 4) or shape[0] != 1:
                raise ValueError(f"a tensor of shape {list(shape)} is no map and no vector")
            made = resolve(view, self.graph.type(view.source), shape)
        except ValueError as error:
            raise ValueError(
                f"{node.op_type} {node.name or name!r} gives what the graph cannot hold: {error}"
            ) from error
        source = view.source
        for op in made[:-1]:
            part = self.graph.fresh(f"{name}~part")
            reshaped = isinstance(op, ops.Reshape)  # then it holds all values of its source
            origin = self.graph.tensors[source].origin if reshaped else Origin(name)
            source = self.graph.add(part, op, (source,), part, origin).output
        self.alias[name] = self.emit(node, made[-1], source, output=name) if made else source
        return self.alias[name]

    def view(self, name: str) -> View:
        """The ONNX tensor as a view, which it may be or not.

        Raises:
            ValueError: it does not depend on the input, or is too large.
        """
        if name in self.views:
            return self.views[name][0]
        source = self.dynamic(name)
        return whole(source, self.shapes.get(name) or self.graph.type(source).shape)

    def set_view(self, node: onnx.NodeProto, view: View, output: int = 0) -> None:
        """Let a view stand for one of the node's outputs.

        Raises:
            ValueError: its shape is not the one that ONNX infers, or the views take too much memory.
        """
        name = str(node.output[output])
        want = self.shapes.get(name, ())
        if want and 0 not in want and want != view.index.shape:
            raise ValueError(f"its output is {list(want)}, not {list(view.index.shape)}")
        self.moved += view.index.size
        if self.moved > MAX_TOTAL:
            raise ValueError(f"the model moves more than {MAX_TOTAL:,} values")
        self.views[name] = (view, node)

    def rank(self, name: str) -> int:
        """Rank of the ONNX tensor."""
        return len(self.shapes.get(name, ())) or len(self.graph.type(self.dynamic(name)).shape)

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

    def name(self, node: onnx.NodeProto, output: str) -> str:
        """A name for what the node becomes: its own, if it has one and nobody else has it; else the output's."""
        taken = node.name in self.taken or not node.name or "~" in node.name
        name = str(output if taken else node.name)
        while name in self.named:  # an ONNX node without a name that becomes several
            name += "~"
        self.taken.add(name)
        self.named.add(name)
        return name

    def emit(self, node: onnx.NodeProto, op: Op, *inputs: str, output: str | None = None) -> str:
        """Append an op that computes one of the node's outputs, the first if none is given."""
        output = str(node.output[0]) if output is None else output
        self.graph.add(self.name(node, output), op, inputs, output, Origin(output))
        have, want = self.graph.type(output).shape, self.shapes.get(output, ())
        if len(have) == 4:
            want = graph_shape(want)
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
