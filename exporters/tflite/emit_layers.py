"""Layers with real or 8-bit weights: FloatConv and Dense, alone or with the ReLU or ReLU6 that follows; QuantConv."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from r2b_edge.exporters.tflite.geometry import plan
from r2b_edge.exporters.tflite.registry import Context, emits, stored_shape
from r2b_edge.graph.graph import Node
from r2b_edge.ops import Clip, Dense, FloatConv, QuantConv
from r2b_edge.ops.integers import LEVELS

_ACTIVATIONS = {
    (0.0, np.inf): schema.ActivationFunctionType.RELU,
    (0.0, 6.0): schema.ActivationFunctionType.RELU6,
}


def fusable(clip: Clip) -> bool:
    """True if a layer's own activation can do it."""
    return (clip.low, clip.high) in _ACTIVATIONS


def _activation(nodes: Sequence[Node]) -> int:
    if len(nodes) == 1:
        return int(schema.ActivationFunctionType.NONE)
    clip = nodes[1].op
    assert isinstance(clip, Clip)
    return int(_ACTIVATIONS[clip.low, clip.high])


@emits(FloatConv)
def emit_float_conv(context: Context, nodes: Sequence[Node]) -> None:
    """CONV_2D (filter OHWI), or DEPTHWISE_CONV_2D (filter 1HWO) where every group has one channel.

    torch and TFLite number the outputs of a depthwise convolution alike: channel c gives outputs c m to c m + m - 1.
    """
    conv, name = nodes[0].op, nodes[-1].output
    assert isinstance(conv, FloatConv)
    assert conv.pad_value == 0 or not any(conv.window.pads), "passes/legal.py refuses it"
    source, kind = context.read(nodes[0].inputs[0]), context.type(nodes[0].inputs[0])
    padding = plan(conv.window, kind.shape[2], kind.shape[3])
    padded = context.pad(name, source, stored_shape(kind), padding.pads)
    options = {
        "padding": padding.mode,
        "strideH": conv.window.strides[0],
        "strideW": conv.window.strides[1],
        "dilationHFactor": conv.window.dilations[0],
        "dilationWFactor": conv.window.dilations[1],
        "fusedActivationFunction": _activation(nodes),
    }
    if conv.groups == kind.channels and conv.groups > 1:
        operator, table = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
        options["depthMultiplier"] = conv.weight.shape[0] // conv.groups
        filters = conv.weight.transpose(1, 2, 3, 0)
        version = 2 if conv.window.dilations != (1, 1) else 1
    else:
        operator, table = "CONV_2D", "Conv2DOptions"
        filters = conv.weight.transpose(0, 2, 3, 1)
        version = 6 if conv.groups > 1 else 1
    inputs = [
        padded,
        context.constant(f"{name}/weight", filters),
        context.constant(f"{name}/bias", conv.bias),
    ]
    context.writer.builtin(operator, inputs, [context.write(name)], (table, options), version)


@emits(Dense)
def emit_dense(context: Context, nodes: Sequence[Node]) -> None:
    """FULLY_CONNECTED with bias."""
    dense, name = nodes[0].op, nodes[-1].output
    assert isinstance(dense, Dense)
    inputs = [
        context.read(nodes[0].inputs[0]),
        context.constant(f"{name}/weight", dense.weight),
        context.constant(f"{name}/bias", dense.bias),
    ]
    options = {"fusedActivationFunction": _activation(nodes)}
    output = context.write(name)
    context.writer.builtin("FULLY_CONNECTED", inputs, [output], ("FullyConnectedOptions", options))


@emits(QuantConv)
def emit_quant_conv(context: Context, nodes: Sequence[Node]) -> None:
    """MUL, ROUND, MAXIMUM and MINIMUM, then CONV_2D or FULLY_CONNECTED on integers held as float32, below 2^24: exact.

    TFLite's own QUANTIZE rounds halves away from zero, and its integer convolution rounds what it gives to 8 bits.
    """
    (node,) = nodes
    op, name = node.op, node.output
    assert isinstance(op, QuantConv)
    kind = context.type(node.inputs[0])
    shape = stored_shape(kind)
    value = context.read(node.inputs[0])
    if op.inverse != 1:
        scaled = context.temporary(f"{name}/scaled", shape)
        inputs = [value, context.constant("inverse", [op.inverse])]
        context.writer.builtin("MUL", inputs, [scaled], ("MulOptions", {}))
        value = scaled
    rounded = context.temporary(f"{name}/rounded", shape)
    context.writer.builtin("ROUND", [value], [rounded])
    value = rounded
    for operator, bound in (("MAXIMUM", -op.zero_point), ("MINIMUM", LEVELS - op.zero_point)):
        bounded = context.temporary(f"{name}/{operator.lower()}", shape)
        inputs = [value, context.constant("bound", [bound])]
        context.writer.builtin(operator, inputs, [bounded], ("MaximumMinimumOptions", {}))
        value = bounded
    none = {"fusedActivationFunction": int(schema.ActivationFunctionType.NONE)}
    bias = context.constant(f"{name}/bias", np.zeros(op.weight.shape[0]))
    if not kind.is_map:
        weight = context.constant(f"{name}/weight", op.weight[:, :, 0, 0])
        output = context.write(name)
        context.writer.builtin(
            "FULLY_CONNECTED", [value, weight, bias], [output], ("FullyConnectedOptions", none)
        )
        return
    padding = plan(op.window, kind.shape[2], kind.shape[3])
    padded = context.pad(name, value, shape, padding.pads)
    weight = context.constant(f"{name}/weight", op.weight.transpose(0, 2, 3, 1))
    options = none | {
        "padding": padding.mode,
        "strideH": op.window.strides[0],
        "strideW": op.window.strides[1],
        "dilationHFactor": 1,
        "dilationWFactor": 1,
    }
    output = context.write(name)
    context.writer.builtin("CONV_2D", [padded, weight, bias], [output], ("Conv2DOptions", options))
