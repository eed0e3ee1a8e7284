"""A part of model.onnx: what onnxruntime makes of given tensors in its midst, such as a step's own inputs."""

from __future__ import annotations

from collections.abc import Collection

import onnx
from onnx import TensorProto, helper

from r2b_edge.frontend.reference import session
from r2b_edge.graph.graph import Array

Values = dict[str, Array]
"""ONNX tensors by name."""


class Part:
    """The nodes of a model that lead from some of its tensors to others.

    Args:
        model: the whole model; constants are initializers.
        given: float32 tensors that `run` is told.
        wanted: tensors that it computes from them.
    """

    def __init__(
        self, model: onnx.ModelProto, given: Collection[str], wanted: Collection[str]
    ) -> None:
        self._computed = [name for name in wanted if name not in given]
        nodes, constants = _between(model.graph, given, self._computed)
        read = {name for node in nodes for name in node.input}
        self._read = [name for name in given if name in read]
        graph = helper.make_graph(
            nodes,
            "part",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self._read],
            [onnx.ValueInfoProto(name=name) for name in self._computed],
            constants,
        )
        part = helper.make_model(
            graph, opset_imports=model.opset_import, ir_version=model.ir_version
        )
        self._session = session(part) if self._computed else None

    def run(self, given: Values) -> Values:
        """All tensors, given and wanted."""
        if self._session is None:  # the step only changes what stands for a tensor
            return dict(given)
        computed = self._session.run(self._computed, {name: given[name] for name in self._read})
        return given | dict(zip(self._computed, computed, strict=True))


def _between(
    graph: onnx.GraphProto, given: Collection[str], wanted: Collection[str]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes between, in execution order, and their constants.

    Raises:
        LookupError: `wanted` is not determined by `given`.
    """
    inputs = {value.name for value in graph.input}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    needed = set(wanted) - set(given)
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(_without_outputs(node, given))
            needed.update(set(node.input) - set(given) - {""})
    if free := (needed & inputs) - set(constants):
        raise LookupError(f"{sorted(free)} are not given")
    return nodes[::-1], [constants[name] for name in sorted(needed & set(constants))]


def _without_outputs(node: onnx.NodeProto, names: Collection[str]) -> onnx.NodeProto:
    """The node with other names for those of its outputs that are given, as one half of a Split may be."""
    if not set(node.output).intersection(names):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[:] = [f"{name}~given" if name in names else name for name in node.output]
    return copy
