"""Small ONNX models written out by hand, as the front end would save them: constants are initializers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from r2b_edge.frontend.reference import session
from r2b_edge.graph.from_onnx import from_onnx
from r2b_edge.graph.graph import Graph

Array = NDArray[Any]
Operand = str | Array | float | None


class Net:
    """An ONNX model under construction; `op` appends a node and returns the name of its first output.

    Args:
        shape: of the input "x".
        opset: version of the standard operators.
        dtype: of the input.
    """

    def __init__(
        self, shape: Sequence[int] = (1, 4, 6, 6), opset: int = 18, dtype: int = TensorProto.FLOAT
    ) -> None:
        self.shape = tuple(shape)
        self.opset = opset
        self.inputs = [helper.make_tensor_value_info("x", dtype, self.shape)]
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, value: Array | float) -> str:
        """An initializer; Python numbers become float32 scalars."""
        array = value if isinstance(value, np.ndarray) else np.asarray(value, np.float32)
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def op(
        self,
        kind: str,
        *inputs: Operand,
        name: str | None = None,
        outputs: Sequence[str] | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Append a node. Inputs: names, arrays and numbers (initializers), or None (left out)."""
        names = [i if isinstance(i, str) else "" if i is None else self.constant(i) for i in inputs]
        index = len(self.nodes)
        outputs = outputs or [f"t{index}"]
        node_name = f"{kind}_{index}" if name is None else name
        self.nodes.append(
            helper.make_node(kind, names, list(outputs), node_name, domain=domain, **attributes)
        )
        return outputs[0]

    def model(self, *outputs: str, dtype: int = TensorProto.FLOAT) -> onnx.ModelProto:
        """The model with these outputs, or the last node's."""
        names = outputs or (self.nodes[-1].output[0],)
        graph = helper.make_graph(
            self.nodes,
            "main",
            self.inputs,
            [helper.make_tensor_value_info(n, dtype, None) for n in names],
            self.initializers,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10
        )

    def save(self, path: Path, *outputs: str, dtype: int = TensorProto.FLOAT) -> Path:
        """Write the model to a file."""
        path.write_bytes(self.model(*outputs, dtype=dtype).SerializeToString())
        return path

    def graph(self, folder: Path, *outputs: str, dtype: int = TensorProto.FLOAT) -> Graph:
        """The model as from_onnx reads it, before any pass."""
        return from_onnx(self.save(folder / "model.onnx", *outputs, dtype=dtype), "net")

    def onnxruntime(self, x: Array, *outputs: str) -> dict[str, Array]:
        """All outputs by name, from onnxruntime without optimisation."""
        runner = session(self.model(*outputs))
        names = [output.name for output in runner.get_outputs()]
        return dict(zip(names, runner.run(names, {"x": x}), strict=True))

    # The pieces that networks are made of.

    def conv(self, x: str, weight: Array, bias: Array | None = None, **attributes: Any) -> str:
        """Conv with constants."""
        return self.op("Conv", x, weight, *([] if bias is None else [bias]), **attributes)

    def batch_norm(
        self, x: str, gamma: Array, beta: Array, mean: Array, variance: Array, **attributes: Any
    ) -> str:
        """BatchNormalization with constants [C]."""
        values = (np.asarray(v, np.float32) for v in (gamma, beta, mean, variance))
        return self.op("BatchNormalization", x, *values, **attributes)

    def random_batch_norm(self, x: str, channels: int, random: np.random.Generator) -> str:
        """BatchNormalization with statistics that are not trivial and some negative gammas."""
        gamma = random.uniform(0.5, 1.5, channels) * random.choice([-1, 1], channels)
        beta, mean = random.normal(size=(2, channels)) * 0.3
        return self.batch_norm(x, gamma, beta, mean, random.uniform(0.5, 2, channels))

    def sign(self, x: str) -> str:
        """Where(x >= 0, 1, -1): a binarisation without ties."""
        return self.op("Where", self.op("GreaterOrEqual", x, 0.0), 1.0, -1.0)


def signs(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Random +1 and -1."""
    return random.choice(np.float32([-1, 1]), shape)


def floats(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Standard normal float32."""
    return random.normal(size=shape).astype(np.float32)
