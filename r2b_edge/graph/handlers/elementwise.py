"""Activations."""

from __future__ import annotations

import numpy as np
import onnx

from r2b_edge import ops
from r2b_edge.graph.from_onnx import Attributes, Importer, float32, handles
from r2b_edge.graph.graph import Origin

TINY = 2.0**-120
"""A slope below it has an inverse near the end of float32."""


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


@handles("HardSigmoid")
def _hard_sigmoid(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    x = im.dynamic(node.input[0])
    channels = im.graph.type(x).channels
    alpha, beta = attrs.get("alpha", 0.2), attrs.get("beta", 0.5)
    if abs(alpha) < TINY:
        raise ValueError(f"alpha is {alpha}")
    line = ops.ChannelAffine(
        np.full(channels, alpha, np.float32), np.full(channels, beta, np.float32)
    )
    part = im.graph.fresh(f"{node.output[0]}~line")
    origin = Origin(im.graph.tensors[x].origin.onnx, 1 / alpha, -beta / alpha)
    im.graph.add(part, line, (x,), part, origin)
    im.emit(node, ops.Clip(0.0, 1.0), part)


@handles("HardSwish", "Elu", "Gelu", "Softplus")
def _by_name(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    if attrs.get("alpha", 1.0) != 1:
        raise ValueError(f"alpha is {attrs['alpha']}; 1 is supported")
    if attrs.get("approximate", b"none") != b"none":
        raise ValueError("the approximation by tanh; the exact function is supported")
    im.emit(node, ops.Unary(node.op_type), im.dynamic(node.input[0]))


@handles("Softmax", "LogSoftmax")
def _softmax(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    x, rank = im.dynamic(node.input[0]), im.rank(node.input[0])
    if attrs.get("axis", -1) % rank != 1:
        raise ValueError(f"along axis {attrs.get('axis', -1)}; along the channels is supported")
    im.emit(node, ops.Softmax(log=node.op_type == "LogSoftmax"), x)
