"""Convolutions, dense layers and BatchNormalization."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx

from r2b_edge import ops
from r2b_edge.graph.from_onnx import Attributes, Importer, float32, handles
from r2b_edge.graph.graph import Origin
from r2b_edge.graph.handlers.kinds import as_map
from r2b_edge.graph.handlers.window import read_window
from r2b_edge.graph.views import View, border
from r2b_edge.ops.base import Floats
from r2b_edge.ops.windows import Window


@handles("Conv")
def _conv(im: Importer, node: onnx.NodeProto, attrs: Attributes) -> None:
    kernel = im.need_constant(node, 1).shape[2:]
    weight = float32(im.need_constant(node, 1))
    if len(kernel) == 1:  # over a signal
        weight = weight[:, :, None, :]
    bias = float32(im.need_constant(node, 2, np.zeros(weight.shape[:1])))
    x, extra, value = padded_source(im, node.input[0], attrs)
    dense = weight.shape[1:] == (im.graph.type(x).channels, 1, 1) and not any(attrs.get("pads", ()))
    if not im.graph.type(x).is_map and dense:
        im.emit(node, ops.Dense(weight[:, :, 0, 0].copy(), bias), x)
        return
    x = as_map(im, x)
    size = im.graph.type(x).shape[2:]
    padded = (size[0] + extra[0] + extra[2], size[1] + extra[1] + extra[3])
    window = read_window(attrs, kernel, padded)
    if any(extra):
        top, left, bottom, right = (a + b for a, b in zip(window.pads, extra, strict=True))
        window = dataclasses.replace(window, pads=(top, left, bottom, right))
    im.emit(node, ops.FloatConv(weight, bias, window, attrs.get("group", 1), value), x)


def padded_source(
    im: Importer, name: str, attrs: Attributes
) -> tuple[str, tuple[int, int, int, int], float]:
    """The tensor that a convolution reads, with the border that Pads before it add and the border's value.

    A border of another value than 0 beside the convolution's own pads, which hold 0, is a tensor of its own.
    """
    if name in im.views:
        view = im.view(name)
        extra = border(view, im.graph.type(view.source))
        own = any(attrs.get("pads", ())) or attrs.get("auto_pad", b"NOTSET") != b"NOTSET"
        if extra is not None and any(extra) and (view.fill == 0 or not own):
            return view.source, extra, view.fill
    return im.dynamic(name), (0, 0, 0, 0), 0.0


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
    name = node.input[0]
    view = im.view(name) if name in im.views else None
    if view is None or not _holds_a_map(im, view):
        im.emit(node, ops.Dense(np.ascontiguousarray(weight), bias), im.dynamic(name))
        return
    # Flatten then a dense layer is a convolution with a kernel as large as the map, whatever is moved on the way.
    c, h, w = im.graph.type(view.source).shape[1:]
    if weight.shape[1] != view.index.size or view.index.shape[0] != 1:
        raise ValueError(f"weights {weight.shape} on {list(view.index.shape)}")
    index = view.index.reshape(-1)
    kernel = np.zeros((c * h * w, weight.shape[0]), np.float32)
    np.add.at(kernel, index[index >= 0], weight.T[index >= 0])
    bias = float32(bias + weight[:, index < 0].sum(axis=1) * view.fill)
    kernel = np.ascontiguousarray(kernel.T).reshape(-1, c, h, w)
    mapped = im.graph.add(
        im.name(node, node.output[0]), ops.FloatConv(kernel, bias, Window((h, w))), (view.source,),
        im.graph.fresh(f"{node.output[0]}~map"), Origin(node.output[0]),
    )  # fmt: skip
    im.emit(node, ops.GlobalAvgPool(), mapped.output)


def _holds_a_map(im: Importer, view: View) -> bool:
    """True if a row holds all values of a map of several pixels.

    Of a part, a kernel as large as the map would be zeros for all the rest, and not binary.
    """
    kind = im.graph.type(view.source)
    if not kind.is_map or kind.shape[2:] == (1, 1) or view.index.ndim != 2:
        return False
    held = np.zeros(math.prod(kind.shape), np.bool_)
    held[view.index[view.index >= 0]] = True
    return bool(held.all())


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
