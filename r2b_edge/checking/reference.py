"""The reference: onnxruntime on model.onnx, with every tensor that a graph tensor comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from r2b_edge.errors import InputError
from r2b_edge.frontend.reference import session
from r2b_edge.graph.graph import Array, Graph, Tensor
from r2b_edge.graph.rounding import round_model
from r2b_edge.ops.base import per_channel


class Reference:
    """Runs model.onnx as it stands: graph optimisations are off, since they flip signs by rounding.

    Args:
        path: model.onnx.
        graph: the graph whose tensors will be asked for. Weights that it holds rounded are rounded here too.
        as_trained: leave all weights as the file has them. Tensors that it does not compute are left out.

    Raises:
        InputError: the file cannot be read.
    """

    def __init__(self, path: Path, graph: Graph, as_trained: bool = False) -> None:
        self.graph = graph
        self.model = model = _load(path)
        if not as_trained:
            round_model(model, graph.rounding)
        have = {o.name for o in model.graph.output} | {i.name for i in model.graph.input}
        names = dict.fromkeys(t.origin.onnx for t in graph.tensors.values())
        if as_trained:  # a network without what quantising it put in
            names = dict.fromkeys(o for node in model.graph.node for o in node.output if o in names)
        extra = [onnx.ValueInfoProto(name=name) for name in names if name not in have]
        model.graph.output.extend(extra)
        self._session = session(model)

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """All ONNX tensors by name for one sample; `inputs` by graph name, batch 1, in the graph's shapes."""
        feed = {
            name: np.asarray(value, dtype=np.float32).reshape(self.graph.own_shapes[name])
            for name, value in inputs.items()
        }
        names = [output.name for output in self._session.get_outputs()]
        values = dict(zip(names, self._session.run(names, feed), strict=True))
        return values | feed

    def value(self, tensor: Tensor, onnx_values: dict[str, Array]) -> Array:
        """What `tensor` holds in the reference: origin undone, in the graph's dtype and shape.

        Values that the reference does not show (scale 0) are +1 in bits, else 0.
        """
        shown = tensor.origin.inside(onnx_values[tensor.origin.onnx], tensor.type.shape)
        shown = shown.astype(np.float32)
        scale, offset = affine_of(tensor, shown)
        if tensor.type.dtype == "bits":
            return np.where((shown >= offset) == (scale >= 0), 1, -1).astype(np.int8)
        if tensor.type.dtype == "float32" and (scale == 1).all() and not offset.any():
            return np.asarray(shown)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.where(scale == 0, 0, (shown.astype(np.float64) - offset) / scale)
        if tensor.type.dtype == "int32":
            return np.asarray(np.rint(value), dtype=np.int32)
        return np.asarray(value, dtype=np.float32)

    def top1(self, values: dict[str, Array]) -> int | None:
        """Index of the greatest output, of graph tensors by name; None where the output is no vector."""
        if len(self.graph.outputs) != 1 or self.graph.type(self.graph.outputs[0]).is_map:
            return None
        return int(values[self.graph.outputs[0]].argmax())

    def outputs(self, onnx_values: dict[str, Array]) -> dict[str, Array]:
        """The network's outputs as graph tensors by name."""
        tensors = self.graph.tensors
        return {name: self.value(tensors[name], onnx_values) for name in self.graph.outputs}


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "export again") from error


def affine_of(tensor: Tensor, like: Array) -> tuple[Array, Array]:
    """Scale and offset of a tensor's origin in double, shaped to broadcast along the channels of `like`."""
    scale, offset = (
        np.asarray(v, dtype=np.float64) for v in (tensor.origin.scale, tensor.origin.offset)
    )
    return np.asarray(per_channel(scale, like)), np.asarray(per_channel(offset, like))
