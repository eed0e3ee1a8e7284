"""Read as much of a model.onnx as can be read: the graph is cut at what cannot be imported.

What a node that is refused reads becomes an output of the graph, and what it writes an input, where the graph can hold
such a tensor. So everything before and behind it is looked at as in any other network.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx

from r2b_edge.errors import UnsupportedError
from r2b_edge.graph.from_onnx import Importer, graph_shape, read_onnx
from r2b_edge.graph.graph import Graph, Origin, Tensor, TensorType


@dataclass(frozen=True)
class Refused:
    """A node, an input or an output that cannot be imported.

    Args:
        name: of the node, the input or the output.
        op: ONNX op type, "input" or "output".
        reason: why.
        output: the first ONNX tensor that it writes.
        behind: the refused node that this one only comes after, or "".
    """

    name: str
    op: str
    reason: str
    output: str
    behind: str = ""


@dataclass(frozen=True, eq=False)
class Reading:
    """What could be read.

    Args:
        model: model.onnx with the shapes of all tensors.
        shapes: of its tensors by name.
        weights: shape of every constant by name.
        inputs: of the model, those that the graph has.
        graph: cut at what was refused; not yet through any pass.
        refused: in execution order.
    """

    model: onnx.ModelProto
    shapes: dict[str, tuple[int, ...]]
    weights: dict[str, tuple[int, ...]]
    inputs: tuple[str, ...]
    graph: Graph
    refused: tuple[Refused, ...]


def read(path: Path, name: str) -> Reading:
    """Import a model.onnx that the front end wrote, node by node.

    Args:
        path: the file.
        name: what the graph is called.

    Raises:
        InputError: the file is not a readable ONNX model.
        UnsupportedError: nothing of it can be imported: its opset, or a name.
    """
    importer = Importer(read_onnx(path), name)
    model = importer.model
    cut = _Cut(importer)
    for value in importer.inputs:
        try:
            importer.take_input(value)
        except UnsupportedError as error:
            cut.refuse(Refused(value.name, "input", error.message, value.name), [value.name])
    inputs = tuple(importer.graph.inputs)
    for node in model.graph.node:
        cut.take(node)
    for value in model.graph.output:
        cut.take_output(value)
    graph = importer.graph
    ends = dict.fromkeys((*graph.outputs, *cut.ends))
    graph.outputs = [end for end in ends if end not in graph.inputs]
    weights = {name: value.shape for name, value in importer.constants.items()}
    return Reading(model, importer.shapes, weights, inputs, graph, tuple(cut.refused))


class _Cut:
    """The import with its cuts.

    Args:
        importer: before its first node.
    """

    def __init__(self, importer: Importer) -> None:
        self.importer = importer
        self.refused: list[Refused] = []
        self.ends: dict[str, None] = {}
        self._behind: dict[str, str] = {}  # ONNX tensors that the graph lacks -> the refused node
        model = importer.model
        self._floats = {
            value.name
            for value in (*model.graph.value_info, *model.graph.output)
            if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        }

    def take(self, node: onnx.NodeProto) -> None:
        """Import a node, or cut the graph at it."""
        importer, graph = self.importer, self.importer.graph
        shown = node.name or node.output[0]
        missing = next((self._behind[i] for i in node.input if i in self._behind), "")
        if missing:
            reason = f"it comes after {missing!r}, which is not supported"
            self.refuse(
                Refused(shown, node.op_type, reason, node.output[0], missing), node.output, node
            )
            return
        nodes, tensors, taken = len(graph.nodes), dict(graph.tensors), set(importer.taken)
        try:
            importer.take_node(node)
        except ValueError as error:
            del graph.nodes[nodes:]
            graph.tensors, importer.taken = tensors, taken
            self.refuse(Refused(shown, node.op_type, str(error), node.output[0]), node.output, node)

    def take_output(self, value: onnx.ValueInfoProto) -> None:
        """Let the graph end in an output of the model; what is refused already is not told again."""
        if value.name in self._behind:
            return
        try:
            self.importer.take_output(value)
        except UnsupportedError as error:
            self.refused.append(Refused(value.name, "output", error.message, value.name))

    def end(self, names: Iterable[str]) -> None:
        """Let the graph end in these ONNX tensors, as far as it has them."""
        for name in names:
            if name in self.importer.constants:
                continue
            # Not a tensor behind a cut, or one that no graph holds alone.
            with contextlib.suppress(ValueError):
                self.ends[self.importer.dynamic(name)] = None

    def refuse(
        self, refused: Refused, outputs: Iterable[str], node: onnx.NodeProto | None = None
    ) -> None:
        """Cut: what the node reads ends the graph, and what it writes begins it anew."""
        importer, graph = self.importer, self.importer.graph
        self.refused.append(refused)
        self.end(() if node is None else node.input)
        for name in outputs:
            shape = importer.shapes.get(name, ())
            if name in self._floats and len(shape) in (2, 3, 4) and shape[0] == 1 and all(shape):
                kind = TensorType(graph_shape(shape))
                graph.tensors[name] = Tensor(name, kind, Origin(name))
                graph.own_shapes[name] = shape
                graph.inputs.append(name)
                importer.alias[name] = name
            elif name:
                self._behind[name] = refused.behind or refused.name
