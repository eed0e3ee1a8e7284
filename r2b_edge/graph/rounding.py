"""Weights of model.onnx that the graph holds rounded, and model.onnx with the same rounding.

The graph's weights are not model.onnx's: BatchNorm and scales were folded into them. But each of them is one stored
weight times a factor of its output channel, and of its input channel where an affine map before a dense layer was
folded. So what rounding does to a weight of the graph, as a factor, is done to the stored weight: then the two compute
the same again, and can be compared as exactly as without rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from r2b_edge.graph.graph import Array, Graph
from r2b_edge.ops.base import Floats
from r2b_edge.ops.floating import Dense, FloatConv

STORED = ("Conv", "Gemm", "MatMul")
"""ONNX ops whose input 1 becomes the weights of a FloatConv or a Dense."""


def stored_weights(graph: Graph, model: onnx.ModelProto) -> dict[str, str]:
    """Which weights of a graph stand in model.onnx one by one.

    Args:
        graph: as `from_onnx` made it, before any pass.
        model: what it was made from.

    Returns:
        The ONNX tensor that a layer computes, by the name of its FloatConv or Dense: of those layers whose weights,
        brought into the graph's order, are the graph's. A Flatten that moves values on the way leaves a layer out.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node if node.op_type in STORED}
    found = {}
    for node in graph.nodes:
        if not isinstance(node.op, FloatConv | Dense):
            continue
        shown = graph.tensors[node.output].origin.onnx
        maker = makers.get(shown)
        if maker is None or maker.input[1] not in constants:
            continue
        have = numpy_helper.to_array(constants[maker.input[1]])
        if have.size != node.op.weight.size:
            continue
        attributes = _attributes(maker)
        want = (have.astype(np.float64) * attributes.get("alpha", 1.0)).astype(np.float32)
        if np.array_equal(_as_stored(maker, have, node.op.weight), want):
            found[node.name] = shown
    return found


def round_model(model: onnx.ModelProto, factors: Mapping[str, Floats]) -> None:
    """Multiply stored weights by factors, in place.

    Args:
        model: model.onnx.
        factors: [O, ...] in the order of the graph's weights, by the ONNX tensor that the layer computes; see
            Graph.rounding. A weight that several layers share becomes one for each.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    names = _free_names(model)
    for node in model.graph.node:
        if not node.output or node.output[0] not in factors:
            continue
        have = numpy_helper.to_array(constants[node.input[1]])
        factor = _as_stored(node, have, factors[node.output[0]])
        rounded = (have.astype(np.float64) * factor).astype(have.dtype)
        fresh = next(names)
        model.graph.initializer.append(numpy_helper.from_array(rounded, fresh))
        node.input[1] = fresh


def _as_stored(node: onnx.NodeProto, stored: Array, values: Array) -> Array:
    """Values in the order of a graph's weights, [O, ...], in the order and the shape of the ONNX node's weights."""
    rows = values.reshape(values.shape[0], -1)
    outputs_first = node.op_type == "Conv" or bool(_attributes(node).get("transB", 0))
    ordered: Array = (rows if outputs_first else rows.T).reshape(stored.shape)
    return ordered


def _attributes(node: onnx.NodeProto) -> dict[str, float]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _free_names(model: onnx.ModelProto) -> Iterator[str]:
    """Names that no tensor of the model has."""
    graph = model.graph
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {v.name for v in (*graph.input, *graph.output, *graph.initializer)}
    number = 0
    while True:
        number += 1
        if f"rounded_{number}" not in taken:
            yield f"rounded_{number}"
