"""Layers in 8-bit integers, in the form that `export --quantize-float` writes (passes/quantize_float.py)."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx

from r2b_edge import ops
from r2b_edge.graph.from_onnx import Attributes, Importer, handles
from r2b_edge.graph.graph import Array
from r2b_edge.graph.handlers.kinds import as_map
from r2b_edge.graph.handlers.layers import padded_source
from r2b_edge.graph.handlers.window import read_window
from r2b_edge.ops.integers import LARGEST_WEIGHT, LEVELS

FORM = "only Mul by a number, then QuantizeLinear with the scale 1 to uint8, is supported"
MIDDLE = 128
"""Of the bytes that weights are stored as."""


@handles("QuantizeLinear")
def _quantise(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    """Kept for the layers that read it; nothing else can."""
    scale, zero = im.need_constant(node, 1), im.need_constant(node, 2)
    before = next((n for n in im.model.graph.node if node.input[0] in n.output), None)
    factor = None if before is None else im.constant(before.input[-1])
    if scale.size != 1 or scale.item() != 1 or zero.size != 1 or zero.dtype != np.uint8:
        raise ValueError(FORM)
    if before is None or before.op_type != "Mul" or factor is None or factor.size != 1:
        raise ValueError(FORM)
    im.quantised[node.output[0]] = (before.input[0], float(factor.item()), int(zero.item()))


@handles("ConvInteger")
def _conv_integer(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    source, inverse, zero_point = _input(im, node)
    weight = _weights(im, node)
    if attrs.get("group", 1) != 1:
        raise ValueError("groups are not supported")
    kernel = weight.shape[2:]
    if len(kernel) == 1:  # over a signal
        weight = weight[:, :, None, :]
    x, extra, value = padded_source(im, source, attrs)
    if value:
        x, extra = im.dynamic(source), (0, 0, 0, 0)
    dense = weight.shape[2:] == (1, 1) and not any(attrs.get("pads", ()))
    if not im.graph.type(x).is_map and dense:
        im.emit(node, ops.QuantConv(weight, inverse, zero_point), x)
        return
    x = as_map(im, x)
    size = im.graph.type(x).shape[2:]
    padded = (size[0] + extra[0] + extra[2], size[1] + extra[1] + extra[3])
    window = read_window(attrs, kernel, padded)
    if any(extra):
        top, left, bottom, right = (a + b for a, b in zip(window.pads, extra, strict=True))
        window = dataclasses.replace(window, pads=(top, left, bottom, right))
    im.emit(node, ops.QuantConv(weight, inverse, zero_point, window), x)


@handles("MatMulInteger")
def _matmul_integer(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    source, inverse, zero_point = _input(im, node)
    weight = _weights(im, node)
    if weight.ndim != 2:
        raise ValueError(f"weights of rank {weight.ndim}; a matrix is supported")
    rows = np.ascontiguousarray(weight.T)[:, :, None, None]
    im.emit(node, ops.QuantConv(rows, inverse, zero_point), im.dynamic(source))


def _input(im: Importer, node: onnx.NodeProto) -> tuple[str, float, int]:
    """What the layer's input is quantised from, the inverse of its step, and its zero point."""
    name = str(node.input[0])
    if name not in im.quantised:
        raise ValueError(FORM)
    source, inverse, zero_point = im.quantised[name]
    if im.scalar(node, 2, 0) != zero_point:
        raise ValueError("its zero point is not that of its input")
    return source, inverse, zero_point


def _weights(im: Importer, node: onnx.NodeProto) -> Array:
    """The weights as int8: bytes less MIDDLE."""
    stored = im.need_constant(node, 1)
    if stored.dtype != np.uint8 or im.scalar(node, 3, 0) != MIDDLE:
        raise ValueError(
            f"its weights are {stored.dtype}; uint8 with a zero point of {MIDDLE} are supported"
        )
    values = stored.astype(np.int16) - MIDDLE
    if np.abs(values).max(initial=0) > LARGEST_WEIGHT or stored.max(initial=0) > LEVELS:
        raise ValueError("a weight of -128")
    return values.astype(np.int8)
