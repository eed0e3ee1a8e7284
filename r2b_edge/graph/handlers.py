"""The ONNX handlers: one function an op type, or one for a family of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from r2b_edge import ops
from r2b_edge.graph.from_onnx import Importer, float32, handles
from r2b_edge.graph.graph import Origin
from r2b_edge.ops.base import Floats
from r2b_edge.ops.raw import FUNCTIONS
from r2b_edge.ops.windows import Window

Attributes = dict[str, Any]
ONE = np.ones(1, np.float32)
ZERO = np.zeros(1, np.float32)
TINY = 2.0**-120
"""A divisor below it has an inverse near the end of float32."""
ARITY = {"Abs": 1, "Neg": 1, "Not": 1, "Sign": 1, "Tanh": 1, "Where": 3}
"""Inputs of the elementwise ops; the others take 2."""


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


def _window(attrs: Attributes, kernel: tuple[int, ...], size: tuple[int, ...]) -> Window:
    if len(kernel) != 2:
        raise ValueError(f"a kernel of rank {len(kernel)}; two dimensions are supported")
    strides = tuple(attrs.get("strides", (1, 1)))
    dilations = tuple(attrs.get("dilations", (1, 1)))
    pads = tuple(attrs.get("pads", (0, 0, 0, 0)))
    auto = attrs.get("auto_pad", b"NOTSET").decode()
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            max(
                (-(-size[i] // strides[i]) - 1) * strides[i]
                + (kernel[i] - 1) * dilations[i]
                + 1
                - size[i],
                0,
            )
            for i in range(2)
        ]
        low = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in totals]
        pads = (low[0], low[1], totals[0] - low[0], totals[1] - low[1])
    elif auto == "VALID":
        pads = (0, 0, 0, 0)
    if min(pads) < 0:
        raise ValueError(f"negative pads {list(pads)}")
    return Window((kernel[0], kernel[1]), strides, pads, dilations)


@handles("Conv")
def _conv(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    weight = float32(im.need_constant(node, 1))
    bias = float32(im.need_constant(node, 2, np.zeros(weight.shape[:1])))
    name, extra, value = im.pads.get(node.input[0], (node.input[0], (0, 0, 0, 0), 0.0))
    x = im.dynamic(name)
    if not im.graph.type(x).is_map:
        if weight.shape[1:] != (im.graph.type(x).channels, 1, 1) or any(extra):
            raise ValueError("a convolution on a tensor without height and width")
        im.emit(node, ops.Dense(weight[:, :, 0, 0].copy(), bias), x)  # refused where it pads
        return
    size = im.graph.type(x).shape[2:]
    padded = (size[0] + extra[0] + extra[2], size[1] + extra[1] + extra[3])
    window = _window(attrs, weight.shape[2:], padded)
    if any(extra):
        if any(window.pads) and value != 0.0:
            raise ValueError("two paddings with different values")
        total = tuple(a + b for a, b in zip(window.pads, extra, strict=True))
        window = Window(window.kernel, window.strides, total, window.dilations)
    else:
        value = 0.0  # a Pad of nothing
    im.emit(node, ops.FloatConv(weight, bias, window, attrs.get("group", 1), value), x)


@handles("Pad")
def _pad(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    if attrs.get("mode", b"constant") != b"constant":
        raise ValueError(f"mode {attrs['mode'].decode()}; constant padding is supported")
    x = im.dynamic(node.input[0])
    pads = [int(v) for v in im.need_constant(node, 1)]
    value = im.scalar(node, 2, 0.0)
    rank = im.rank(node.input[0])
    axes = [int(v) % rank for v in im.need_constant(node, 3, np.arange(len(pads) // 2))]
    before = dict(zip(axes, pads[: len(axes)], strict=True))
    after = dict(zip(axes, pads[len(axes) :], strict=True))
    if any(before.get(a, 0) or after.get(a, 0) for a in (0, 1)) or min(pads) < 0:
        raise ValueError(f"pads {pads}; only height and width can be padded")
    im.pads[node.output[0]] = (
        node.input[0],
        (before.get(2, 0), before.get(3, 0), after.get(2, 0), after.get(3, 0)),
        value,
    )
    im.alias[node.output[0]] = x


@handles("Gemm")
def _gemm(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    weight = im.need_constant(node, 1).astype(np.float64)
    weight = weight if attrs.get("transB", 0) else weight.T
    bias = im.need_constant(node, 2, np.zeros(weight.shape[0], np.float32))
    if attrs.get("transA", 0):
        raise ValueError("transA is not supported")
    weight = weight * attrs.get("alpha", 1.0)
    bias = np.broadcast_to(bias.reshape(-1) * attrs.get("beta", 1.0), (weight.shape[0],))
    _dense(im, node, float32(weight), float32(bias))


@handles("MatMul")
def _matmul(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    weight = im.need_constant(node, 1).T
    if weight.ndim != 2:
        raise ValueError(f"weights of rank {weight.ndim}; a matrix is supported")
    _dense(im, node, float32(weight), np.zeros(weight.shape[0], np.float32))


def _dense(im: Importer, node: onnx.NodeProto, weight: Floats, bias: Floats) -> None:
    x = im.dynamic(node.input[0])
    producer = im.graph.producers().get(x)
    if producer is not None and isinstance(producer.op, ops.Reshape):
        # Flatten then a dense layer is a convolution with a kernel as large as the map.
        (x,) = producer.inputs
        c, h, w = im.graph.type(x).shape[1:]
        kernel = weight.reshape(weight.shape[0], c, h, w)
        conv = ops.FloatConv(np.ascontiguousarray(kernel), bias, Window((h, w)))
        mapped = im.graph.add(
            f"{node.output[0]}~conv", conv, (x,), im.graph.fresh(f"{node.output[0]}~map"),
            Origin(node.output[0]),
        )  # fmt: skip
        im.emit(node, ops.GlobalAvgPool(), mapped.output)
    else:
        im.emit(node, ops.Dense(np.ascontiguousarray(weight), bias), x)


@handles("BatchNormalization")
def _batch_norm(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    if attrs.get("training_mode", 0):
        raise ValueError("training mode; export the model in eval mode")
    gamma, beta, mean, variance = (
        im.need_constant(node, i).astype(np.float64) for i in range(1, 5)
    )
    with np.errstate(invalid="ignore", divide="ignore"):  # float32() refuses what is not finite
        scale = gamma / np.sqrt(variance + attrs.get("epsilon", 1e-5))
    im.affine(node, im.dynamic(node.input[0]), scale, beta - mean * scale)


@handles("PRelu")
def _prelu(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    x = im.dynamic(node.input[0])
    channels = im.graph.type(x).channels
    slope = im.channel_constant(im.need_constant(node, 1), im.rank(node.input[0]), channels)
    im.emit(node, ops.PReLU(np.broadcast_to(float32(slope), (channels,)).copy()), x)


@handles("LeakyRelu")
def _leaky_relu(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    x = im.dynamic(node.input[0])
    slope = np.full(im.graph.type(x).channels, attrs.get("alpha", 0.01), np.float32)
    im.emit(node, ops.PReLU(slope), x)


@handles("Relu")
def _relu(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    im.emit(node, ops.Clip(0.0, np.inf), im.dynamic(node.input[0]))


@handles("Clip")
def _clip(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    low, high = im.scalar(node, 1, -np.inf), im.scalar(node, 2, np.inf)
    im.emit(node, ops.Clip(low, high), im.dynamic(node.input[0]))


@handles("Sigmoid")
def _sigmoid(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    im.emit(node, ops.Sigmoid(), im.dynamic(node.input[0]))


@handles("MaxPool")
def _max_pool(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    im.emit(node, ops.MaxPool(_pool_window(im, node, attrs)), im.dynamic(node.input[0]))


@handles("AveragePool")
def _average_pool(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    counted = bool(attrs.get("count_include_pad", 0))
    im.emit(node, ops.AvgPool(_pool_window(im, node, attrs), counted), im.dynamic(node.input[0]))


def _pool_window(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> Window:
    if attrs.get("ceil_mode", 0):
        raise ValueError("ceil_mode is not supported")
    if len(node.output) > 1 and node.output[1]:
        raise ValueError("the indices of a pool are not supported")
    kind = im.graph.type(im.dynamic(node.input[0]))
    if not kind.is_map:
        raise ValueError("a pool on a tensor without height and width")
    size = kind.shape[2:]
    return _window(attrs, tuple(attrs["kernel_shape"]), size)


@handles("GlobalAveragePool")
def _global_average_pool(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    im.emit(node, ops.GlobalAvgPool(), im.dynamic(node.input[0]))


@handles("ReduceMean")
def _reduce_mean(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    axes = attrs.get("axes") or [int(v) for v in im.need_constant(node, 1, np.zeros(0, np.int64))]
    x = im.dynamic(node.input[0])
    rank = im.rank(node.input[0])
    spatial = sorted(a % rank for a in axes)
    if rank != 4 or spatial != [2, 3]:
        raise ValueError(f"axes {list(axes)}; a mean over height and width is supported")
    if im.graph.type(x).is_map:
        im.emit(node, ops.GlobalAvgPool(), x)
    else:
        im.alias[node.output[0]] = x  # already a vector: its height and width are 1


@handles("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def _reshape(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    x = im.dynamic(node.input[0])
    shape = im.shapes.get(node.output[0], ())
    kind = im.graph.type(x)
    if not shape or 0 in shape or shape[0] != 1:
        raise ValueError("the output's shape is not known, or the batch axis is not 1")
    same_vector = not kind.is_map and shape[:2] == kind.shape and set(shape[2:]) <= {1}
    if same_vector or shape == kind.shape:
        im.alias[node.output[0]] = x
    elif kind.is_map and len(shape) == 2 and kind.shape[2:] == (1, 1):
        im.emit(node, ops.GlobalAvgPool(), x)  # the mean of one value
    elif kind.is_map and len(shape) == 2:
        im.emit(node, ops.Reshape(shape), x)
    else:
        raise ValueError(f"from {list(kind.shape)} to {list(shape)}")


@handles("Cast")
def _cast(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    names = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.BOOL: "bool"}
    if attrs["to"] not in names:
        raise ValueError(f"to {onnx.TensorProto.DataType.Name(attrs['to'])}")
    x, to = im.dynamic(node.input[0]), names[attrs["to"]]
    if im.graph.type(x).dtype == to:
        im.alias[node.output[0]] = x
    else:
        im.emit(node, ops.Elementwise("Cast", (None,), to), x)


@handles(*FUNCTIONS)
def _elementwise(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    kind = node.op_type
    names = [im.dynamic(i) for i in node.input if i not in im.constants]
    if not names:
        raise ValueError("a constant that was not folded")
    channels = im.graph.type(names[0]).channels
    ranks = {im.rank(i) for i in node.input if i not in im.constants}
    if len(ranks) > 1:
        raise ValueError("its inputs have different ranks")
    (rank,) = ranks
    if len(node.input) != ARITY.get(kind, 2):
        raise ValueError(f"{len(node.input)} inputs; {ARITY.get(kind, 2)} are supported")
    operands = tuple(
        im.channel_constant(im.constants[i], rank, channels) if i in im.constants else None
        for i in node.input
    )
    if len(operands) == 2 and len(names) == 1 and _affine(im, node, names[0], operands):
        return
    if kind in ("Add", "Mul") and len(names) == 2:
        im.emit(node, ops.Add() if kind == "Add" else ops.Mul(), *names)
        return
    im.emit(node, ops.Elementwise(kind, operands), *names)


def _affine(im: Importer, node: onnx.NodeProto, x: str, operands: tuple[Any, ...]) -> bool:
    """A sum or a product with a constant is a ChannelAffine."""
    if im.graph.type(x).dtype != "float32":
        return False
    first = operands[0] is not None
    value = operands[0] if first else operands[1]
    value = value.astype(np.float64)
    match node.op_type:
        case "Add":
            im.affine(node, x, ONE, value)
        case "Sub":
            im.affine(node, x, -ONE if first else ONE, value if first else -value)
        case "Mul":
            im.affine(node, x, value, ZERO)
        case "Div" if not first and (np.abs(value) >= TINY).all():
            im.affine(node, x, 1 / value, ZERO)
        case _:
            return False
    return True
