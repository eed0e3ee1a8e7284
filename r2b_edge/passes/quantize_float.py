"""`--quantize-float`: stem, downsamples and classifier compute in 8-bit integers; gates stay in float.

model.onnx is rewritten, not the graph: it is what every executor is compared with. A layer y = Conv(x, W) + b becomes

    q = QuantizeLinear(Mul(x, inverse), 1, zero_point)          uint8
    y = Add(Mul(Cast(ConvInteger(q, V)), step * steps[o]), b)   V: int8, symmetric, W[o] = steps[o] * V[o]

and a Gemm or MatMul likewise with MatMulInteger. The input has one step and one zero point (asymmetric): 255 steps span
what calibration saw of it, and 0. Weights have a step for each output channel. Sums are exact in integers, those of
onnxruntime too: see r2b_edge/ops/integers.py for the numbers and their order.

Weights stand in ONNX as bytes, V + 128: onnxruntime's product of unsigned by signed bytes saturates on x86 machines
without VNNI, that of unsigned bytes does not.

Layers that stay float: those of gates (passes/gates.py), those whose weights model.onnx does not hold one by one,
grouped and dilated convolutions, and those whose sums could reach 2^24.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from r2b_edge.graph.graph import Array, Graph
from r2b_edge.ops import Dense, FloatConv
from r2b_edge.ops.integers import EXACT_INTEGERS, LARGEST_WEIGHT, LEVELS, largest_sum
from r2b_edge.passes.gates import gate_layers

MIDDLE = 128
STORED_ONE_BY_ONE = "model.onnx does not hold its weights one by one"


@dataclass(frozen=True)
class Layer:
    """A layer that can be quantised.

    Args:
        name: of its node in the graph.
        output: the ONNX tensor that it computes.
        source: the ONNX tensor that it reads.
    """

    name: str
    output: str
    source: str


@dataclass(frozen=True)
class Range:
    """What calibration saw of a tensor; `whole` if it holds nothing but bytes, 0 to 255."""

    low: float
    high: float
    whole: bool = False


def quantizable(graph: Graph, model: onnx.ModelProto) -> tuple[list[Layer], dict[str, list[str]]]:
    """What `--quantize-float` is for.

    Args:
        graph: after the passes, with `stored_weights`.
        model: what it was made from.

    Returns:
        The layers, in execution order; and the names of the float layers that stay float, by the reason.
    """
    nodes = {node.output[0]: node for node in model.graph.node if node.output}
    gates = gate_layers(graph)
    layers: list[Layer] = []
    others: dict[str, list[str]] = {}
    for node in graph.nodes:
        if not isinstance(node.op, FloatConv | Dense):
            continue
        if reason := _obstacle(graph, node.name, node.op, gates):
            others.setdefault(reason, []).append(node.name)
            continue
        output = graph.stored_weights[node.name]
        layers.append(Layer(node.name, output, str(nodes[output].input[0])))
    return layers, others


def _obstacle(graph: Graph, name: str, op: FloatConv | Dense, gates: set[str]) -> str:
    """Why a layer stays float, or ""."""
    if name in gates:
        return "gates stay float"
    if name not in graph.stored_weights:
        return STORED_ONE_BY_ONE
    if isinstance(op, FloatConv) and op.groups != 1:
        return "it has groups"
    if isinstance(op, FloatConv) and op.window.dilations != (1, 1):
        return "it has dilations"
    return ""


def quantize_float(
    model: onnx.ModelProto, layers: list[Layer], ranges: Mapping[str, Range]
) -> dict[str, str]:
    """Rewrite layers of model.onnx, in place.

    Args:
        model: the network in float32.
        layers: what to rewrite.
        ranges: of their sources, by ONNX tensor.

    Returns:
        Those that were left in float, with the reason.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    names = _Names(model)
    wanted = {layer.output: layer for layer in layers}
    refused: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        layer = wanted.get(node.output[0]) if node.output else None
        if layer is None:
            nodes.append(node)
            continue
        weight = numpy_helper.to_array(constants[node.input[1]])
        bias = numpy_helper.to_array(constants[node.input[2]]) if len(node.input) > 2 else None
        made = _Quantised.of(node, weight, bias, ranges[layer.source])
        if reason := made.fault():
            refused[layer.name] = reason
            nodes.append(node)
        else:
            nodes += made.nodes(node, layer.name, names, model)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unused(model)
    return refused


@dataclass(frozen=True)
class _Quantised:
    """The numbers of one layer.

    Args:
        inverse: of the input's step, float32.
        zero_point: 0 to 255.
        weight: integers [O, ...].
        scale: float32 [O], step * steps[o].
        bias: float32 [O], or None.
    """

    inverse: np.float32
    zero_point: int
    weight: Array
    scale: Array
    bias: Array | None

    @classmethod
    def of(cls, node: onnx.NodeProto, weight: Array, bias: Array | None, span: Range) -> _Quantised:
        """Steps and integers for an ONNX node's weights and what its input holds."""
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        outputs_first = node.op_type == "Conv" or bool(attributes.get("transB", 0))
        rows = weight if outputs_first else weight.T
        wide = rows.astype(np.float64) * attributes.get("alpha", 1.0)
        flat = np.abs(wide).reshape(len(wide), -1).max(axis=1, initial=0.0)
        steps = np.where(flat > 0, flat, 1.0) / LARGEST_WEIGHT
        integers = np.rint(wide / steps.reshape(-1, *(1,) * (wide.ndim - 1)))
        low, high = min(span.low, 0.0), max(span.high, 0.0)
        if span.whole:
            inverse, zero_point = np.float32(1), 0
        else:
            with np.errstate(over="ignore", divide="ignore"):
                inverse = np.float32(LEVELS / np.float64(high - low))
                zero_point = int(np.clip(np.rint(-low * np.float64(inverse)), 0, LEVELS)) if low < 0 else 0  # fmt: skip
        scale = steps / np.float64(inverse)
        if bias is not None:
            shift = bias.astype(np.float64).reshape(-1) * attributes.get("beta", 1.0)
            bias = np.broadcast_to(shift, steps.shape).astype(np.float32)
        return cls(inverse, zero_point, integers, scale.astype(np.float32), bias)

    def fault(self) -> str:
        """Why it cannot be, or ""."""
        if not np.isfinite(self.inverse) or not (np.isfinite(self.scale) & (self.scale > 0)).all():
            return "its input is 0 in all samples, or its steps are no float32"
        if largest_sum(self.weight, self.zero_point) >= EXACT_INTEGERS:
            return "its sums could reach 2^24"
        return ""

    def nodes(
        self, node: onnx.NodeProto, name: str, names: _Names, model: onnx.ModelProto
    ) -> list[onnx.NodeProto]:
        """What stands for an ONNX node; its constants go into the model."""
        y, convolves = node.output[0], node.op_type == "Conv"
        column = (1, -1, *(1,) * (self.weight.ndim - 2)) if convolves else (-1,)
        stored = self.weight if convolves else np.ascontiguousarray(self.weight.T)

        def constant(what: str, value: Array) -> str:
            label = names.fresh(f"{y}_{what}")
            model.graph.initializer.append(numpy_helper.from_array(value, label))
            return label

        zero = constant("zero_point", np.asarray(self.zero_point, np.uint8))
        weights = constant("weight_int8", (stored + MIDDLE).astype(np.uint8))
        middle = constant("weight_zero_point", np.asarray(MIDDLE, np.uint8))
        scaled, q, sums, real, product = (
            names.fresh(f"{y}_{what}")
            for what in ("in_steps", "bytes", "sums", "real_sums", "scaled")
        )
        kept = [a for a in node.attribute if convolves]
        layer = helper.make_node(
            "ConvInteger" if convolves else "MatMulInteger", [q, weights, zero, middle], [sums], name=names.free(name)
        )  # fmt: skip
        layer.attribute.extend(kept)
        made = [
            helper.make_node("Mul", [node.input[0], constant("inverse", np.asarray(self.inverse))], [scaled]),
            helper.make_node("QuantizeLinear", [scaled, constant("one", np.asarray(np.float32(1))), zero], [q]),
            layer,
            helper.make_node("Cast", [sums], [real], to=TensorProto.FLOAT),
        ]  # fmt: skip
        scale = constant("scale", self.scale.reshape(column))
        if self.bias is None:
            return [*made, helper.make_node("Mul", [real, scale], [y])]
        bias = constant("bias_float", self.bias.reshape(column))
        return [
            *made,
            helper.make_node("Mul", [real, scale], [product]),
            helper.make_node("Add", [product, bias], [y]),
        ]


class _Names:
    """Names that no tensor of a model has; those that are given out are taken."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.taken = {name for node in graph.node for name in (*node.input, *node.output)}
        self.taken |= {v.name for v in (*graph.input, *graph.output, *graph.initializer)}

    def fresh(self, stem: str) -> str:
        """`stem`, with a number behind it if that is needed."""
        name = next(n for n in self._numbered(stem) if n not in self.taken)
        self.taken.add(name)
        return name

    def free(self, name: str) -> str:
        """`name` for a node if no tensor is called so, as the importer wants it; else none."""
        return "" if name in self.taken or "~" in name else name

    def _numbered(self, stem: str) -> Iterator[str]:
        yield stem
        yield from (f"{stem}_{number}" for number in range(1, len(self.taken) + 2))


def _drop_unused(model: onnx.ModelProto) -> None:
    read = {name for node in model.graph.node for name in node.input}
    read |= {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
