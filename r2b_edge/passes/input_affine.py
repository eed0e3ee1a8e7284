"""`--input-scale` and `--input-offset`: preprocessing that stands outside of a network becomes a part of model.onnx.

    what the network read before = scale * input + offset, of each channel.

A network that is trained on (v / 255 - mean) / std takes bytes v with scale = 1 / (255 std) and offset = -mean / std.
model.onnx is rewritten, not the graph: it is what every executor is compared with, and samples are then what the
exported program takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from r2b_edge.errors import InputError


def scale_input(onnx_path: Path, scale: Sequence[float], offset: Sequence[float]) -> None:
    """Put a Mul and an Add behind the input.

    Args:
        onnx_path: a model.onnx that the front end wrote; it is replaced.
        scale: one number, or one for each channel; finite, not 0.
        offset: likewise; finite.

    Raises:
        InputError: numbers that are not that, as many as neither 1 nor the channels, or several inputs.
    """
    model = onnx.load(onnx_path)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise InputError(
            f"the model has {len(inputs)} inputs, and --input-scale is for one",
            "scale them in the model",
        )
    (value,) = inputs
    shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
    values = {
        "--input-scale": _of_channels("--input-scale", scale, shape),
        "--input-offset": _of_channels("--input-offset", offset, shape),
    }
    if not values["--input-scale"].all():
        raise InputError("--input-scale is 0", "give what the input is to be multiplied by")
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= constants | {v.name for v in (*graph.input, *graph.output)}
    nodes, tensor = [], value.name
    for kind, (option, array) in zip(("Mul", "Add"), values.items(), strict=True):
        constant, result = (_fresh(f"{option[2:]}{end}", taken) for end in ("", "-result"))
        graph.initializer.append(numpy_helper.from_array(array, constant))
        nodes.append(helper.make_node(kind, [tensor, constant], [result], name=result))
        tensor = result
    for node in graph.node:
        node.input[:] = [tensor if name == value.name else name for name in node.input]
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
    onnx.save(model, onnx_path)


def _of_channels(
    option: str, numbers: Sequence[float], shape: Sequence[int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The numbers in float32, shaped to broadcast along axis 1 of an input."""
    with np.errstate(over="ignore"):
        array = np.asarray(numbers, dtype=np.float64).astype(np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{option} is not finite in float32")
    if array.size not in (1, shape[1]):
        raise InputError(
            f"{option} has {array.size} numbers, and the input {shape[1]} channels",
            "give one, or one for each channel",
        )
    return array.reshape(1, -1, *(1,) * (len(shape) - 2))


def _fresh(stem: str, taken: set[str]) -> str:
    """`stem`, or with a number behind it where a tensor is called that; it is taken then."""
    numbered = (f"{stem}_{i}" for i in range(1, len(taken) + 2))
    name = stem if stem not in taken else next(n for n in numbered if n not in taken)
    taken.add(name)
    return name
