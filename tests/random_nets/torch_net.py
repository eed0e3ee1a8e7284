"""A network as a torch module, exported through the front end: node by node what build.py wrote in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, numpy_helper

from r2b_edge.frontend.normalise import normalise
from r2b_edge.frontend.reference import session
from r2b_edge.frontend.torch_export import program_to_onnx

from . import build
from .build import Built
from .spec import Net

Tensor = torch.Tensor
Attributes = dict[str, Any]


def _bordered(x: Tensor, pads: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """F.pad with ONNX's order of pads, of the map's axes only."""
    n = len(pads) // 2
    turned = [p for axis in reversed(range(n)) for p in (pads[axis], pads[axis + n])]
    if not any(turned):
        return x
    if mode == "constant":
        return F.pad(x, turned, value=value)
    return F.pad(x, turned, mode={"edge": "replicate"}.get(mode, mode))


def _conv(attrs: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    n = weight.ndim - 2
    convolve = F.conv2d if n == 2 else F.conv1d
    pads = attrs.get("pads", [0] * 2 * n)
    before = pads[:n]
    if before != pads[n:]:
        x, before = _bordered(x, pads), [0] * n
    strides, dilations = attrs.get("strides", [1] * n), attrs.get("dilations", [1] * n)
    return convolve(x, weight, bias, strides, before, dilations, attrs.get("group", 1))


def _pad(attrs: Attributes, x: Tensor, pads: Tensor, value: Tensor | None = None) -> Tensor:
    n = x.ndim - 2
    of_map = [*pads.tolist()[2 : 2 + n], *pads.tolist()[4 + n :]]
    mode = attrs.get("mode", b"constant").decode()
    return _bordered(x, of_map, mode, 0.0 if value is None else float(value))


def _gemm(attrs: Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    assert attrs["transB"] == 1
    return F.linear(x, weight, bias)


def _norm(
    attrs: Attributes, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    return F.batch_norm(x, mean, variance, gamma, beta, eps=attrs["epsilon"])


def _max_pool(attrs: Attributes, x: Tensor) -> Tensor:
    n = x.ndim - 2
    pool = F.max_pool2d if n == 2 else F.max_pool1d
    x = _bordered(x, attrs.get("pads", [0] * 2 * n), value=-torch.inf)
    strides, dilations = attrs.get("strides", [1] * n), attrs.get("dilations", [1] * n)
    return pool(x, attrs["kernel_shape"], strides, 0, dilations, bool(attrs.get("ceil_mode", 0)))


def _average_pool(attrs: Attributes, x: Tensor) -> Tensor:
    n = x.ndim - 2
    pool = F.avg_pool2d if n == 2 else F.avg_pool1d
    kernel, strides = attrs["kernel_shape"], attrs.get("strides", [1] * n)
    ceil, counted, pads = (
        bool(attrs.get("ceil_mode", 0)),
        bool(attrs["count_include_pad"]),
        attrs["pads"],
    )
    if pads[:n] == pads[n:] and all(2 * p <= k for p, k in zip(pads, kernel, strict=False)):
        return pool(x, kernel, strides, pads[:n], ceil, counted)
    sums = pool(_bordered(x, pads), kernel, strides)
    return sums if counted else sums / pool(_bordered(torch.ones_like(x), pads), kernel, strides)


def _cast(attrs: Attributes, x: Tensor) -> Tensor:
    assert attrs["to"] == TensorProto.FLOAT
    return x.float()


def _slice(
    attrs: Attributes, x: Tensor, start: Tensor, stop: Tensor, axis: Tensor, step: Tensor
) -> Tensor:
    assert int(axis) == 1
    return x[:, int(start) : int(stop) : int(step)]


def _elementwise(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda attrs, *inputs: function(*inputs)


OPS: dict[str, Callable[..., Any]] = {
    "Abs": _elementwise(torch.abs),
    "Add": _elementwise(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _norm,
    "Cast": _cast,
    "Clip": lambda attrs, x, low, high: torch.clamp(x, float(low), float(high)),
    "Concat": lambda attrs, *inputs: torch.cat(inputs, 1),
    "Conv": _conv,
    "Div": _elementwise(torch.div),
    "Elu": _elementwise(F.elu),
    "Equal": _elementwise(torch.eq),
    "Flatten": lambda attrs, x: torch.flatten(x, 1),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda attrs, x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "GreaterOrEqual": _elementwise(torch.ge),
    "HardSigmoid": lambda attrs, x: torch.clamp(0.2 * x + 0.5, 0, 1),
    "HardSwish": _elementwise(F.hardswish),
    "LeakyRelu": lambda attrs, x: F.leaky_relu(x, attrs["alpha"]),
    "LogSoftmax": lambda attrs, x: F.log_softmax(x, attrs["axis"]),
    "Less": _elementwise(torch.lt),
    "LessOrEqual": _elementwise(torch.le),
    "MatMul": _elementwise(torch.matmul),
    "Max": _elementwise(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _elementwise(torch.minimum),
    "Mul": _elementwise(torch.mul),
    "Neg": _elementwise(torch.neg),
    "PRelu": lambda attrs, x, slope: F.prelu(x, slope.reshape(-1)),
    "Pad": _pad,
    "ReduceMean": lambda attrs, x, axes: x.mean(axes.tolist()),
    "Relu": _elementwise(F.relu),
    "Reshape": lambda attrs, x, shape: x.reshape(shape.tolist()),
    "Round": _elementwise(torch.round),
    "Sigmoid": _elementwise(torch.sigmoid),
    "Sign": _elementwise(torch.sign),
    "Slice": _slice,
    "Softmax": lambda attrs, x: F.softmax(x, attrs["axis"]),
    "Softplus": _elementwise(F.softplus),
    "Split": lambda attrs, x, sizes: torch.split(x, sizes.tolist(), 1),
    "Sub": _elementwise(torch.sub),
    "Tanh": _elementwise(torch.tanh),
    "Transpose": lambda attrs, x: x.permute(attrs["perm"]),
    "Unsqueeze": lambda attrs, x, axes: x.reshape(*x.shape, *[1] * len(axes)),
    "Where": _elementwise(torch.where),
}
"""ONNX op type -> the same in torch, of its attributes and inputs."""


class OnnxModule(torch.nn.Module):
    """What an ONNX model computes. Constants are buffers, or plain numbers where the ONNX constant is a scalar."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self.model = model.graph
        self.fixed: dict[str, Tensor] = {}
        for tensor in model.graph.initializer:
            value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            if value.ndim == 0 or value.dtype == torch.int64:
                self.fixed[tensor.name] = value
            else:
                self.register_buffer(tensor.name, value)

    def forward(self, *inputs: Tensor) -> Any:
        values = dict(self.named_buffers()) | self.fixed
        values |= {i.name: x for i, x in zip(self.model.input, inputs, strict=True)}
        for node in self.model.node:
            attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            arguments = [values[name] for name in node.input]
            made = OPS[node.op_type](attrs, *arguments)
            outputs = made if isinstance(made, tuple) else (made,)
            values |= dict(zip(node.output, outputs, strict=True))
        return tuple(values[o.name] for o in self.model.output)


def built_by_torch(spec: Net) -> Built:
    """The network as the front end makes it of a torch module.

    Raises:
        AssertionError: an exact network gives other values than the one that was written in ONNX.
    """
    direct = build.build(spec)
    names = [i.name for i in direct.model.graph.input]
    example = tuple(torch.from_numpy(direct.samples[0][name]) for name in names)
    program = torch.export.export(OnnxModule(direct.model).eval(), example)
    model = normalise(program_to_onnx(program), None, [])
    renamed = dict(zip(names, (i.name for i in model.graph.input), strict=True))
    samples = [{renamed[n]: v for n, v in sample.items()} for sample in direct.samples]
    if direct.exact:
        for before, after in zip(direct.samples, samples, strict=True):
            want = session(direct.model).run(None, before)
            have = session(model).run(None, after)
            for a, b in zip(want, have, strict=True):
                np.testing.assert_array_equal(a, b)
    return Built(model, samples, direct.exact)
