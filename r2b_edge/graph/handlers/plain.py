"""Constants, and ops that change no value."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
from onnx import numpy_helper

from r2b_edge import ops
from r2b_edge.graph.from_onnx import INTEGERS, Attributes, Importer, handles


@handles("Constant")
def _constant(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    ((key, value),) = attrs.items()
    if isinstance(value, onnx.TensorProto):
        im.constants[node.output[0]] = numpy_helper.to_array(value)
    elif key in ("value_float", "value_floats"):
        im.constants[node.output[0]] = np.asarray(value, np.float32)
    elif key in ("value_int", "value_ints"):
        im.constants[node.output[0]] = np.asarray(value, np.int64)
    else:
        raise ValueError(f"{key} is not supported")


@handles("Identity", "Dropout")
def _identity(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    if node.op_type == "Dropout" and im.scalar(node, 2, 0.0):
        raise ValueError("training mode; export the model in eval mode")
    if node.input[0] in im.constants:
        im.constants[node.output[0]] = im.constants[node.input[0]]
    else:
        im.alias[node.output[0]] = im.dynamic(node.input[0])


@handles("Cast")
def _cast(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    """Integers are float32 in the graph: those that come from a comparison or a rounding are exact in it."""
    x = im.dynamic(node.input[0])
    kind = im.graph.type(x).dtype
    to = "bool" if attrs["to"] == onnx.TensorProto.BOOL else "float32"
    if attrs["to"] in INTEGERS and kind == "float32" and node.input[0] not in im.integers:
        if attrs["to"] not in (onnx.TensorProto.INT32, onnx.TensorProto.INT64):
            raise ValueError("of real numbers to integers of fewer than 32 bits or without sign")
        im.emit(node, ops.Elementwise("Trunc", (None,)), x)
    elif attrs["to"] not in (*INTEGERS, onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL):
        raise ValueError(f"to {onnx.TensorProto.DataType.Name(attrs['to'])}")
    elif kind == to or (kind == "int32" and to == "float32"):
        im.alias[node.output[0]] = x
        tensor = im.graph.tensors[x]
        if tensor.origin.onnx in im.integers and node.output[0] not in im.integers:
            origin = dataclasses.replace(tensor.origin, onnx=node.output[0])  # of its own type
            im.graph.tensors[x] = dataclasses.replace(tensor, origin=origin)
    else:
        im.emit(node, ops.Elementwise("Cast", (None,), to), x)
