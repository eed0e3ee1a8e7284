"""Hand-made ONNX models for the front end's tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def weights(**arrays: Any) -> list[onnx.TensorProto]:
    return [
        numpy_helper.from_array(np.asarray(array, np.float32), name)
        for name, array in arrays.items()
    ]


def model(
    nodes: list[onnx.NodeProto],
    *,
    initializers: list[onnx.TensorProto] | None = None,
    shape: tuple[int | str, ...] = (1, 3, 8, 8),
    output: str = "y",
    opset: int = 18,
    extra: list[onnx.OperatorSetIdProto] | None = None,
    functions: list[onnx.FunctionProto] | None = None,
) -> onnx.ModelProto:
    """A model with the input "x" of this shape and one float output of open rank."""
    graph = helper.make_graph(
        nodes,
        "/home/somebody/secret",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        initializers or [],
    )
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset), *(extra or [])],
        functions=functions or [],
        producer_name="/home/somebody/secret",
        doc_string="/home/somebody/secret",
    )
    helper.set_model_props(made, {"source": "/home/somebody/secret"})
    for node in made.graph.node:
        node.doc_string = "/home/somebody/secret.py"
    made.ir_version = 8
    return made


def conv_bn(**kwargs: Any) -> onnx.ModelProto:
    """Conv 3 to 4, kernel 3, then BatchNormalization."""
    rng = np.random.default_rng(0)
    values = weights(
        w=rng.standard_normal((4, 3, 3, 3)),
        gamma=[1, -2, 0.5, 1],
        beta=[0, 1, 2, 3],
        mean=[0.1, 0.2, 0.3, 0.4],
        var=[1, 2, 3, 4],
    )
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["y"], "bn"),
    ]
    return model(nodes, initializers=values, **kwargs)
