"""Sizes and types of a model's inputs and outputs. Runs in the child process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx

from r2b_edge.errors import InputError
from r2b_edge.frontend.loaded import TensorInfo, shape_text
from r2b_edge.frontend.text import printable


def dims(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    """The sizes of a value; None where the model leaves one open, which some exporters write as 0 or -1."""
    shape = value.type.tensor_type.shape
    return tuple(
        size.dim_value if size.HasField("dim_value") and size.dim_value > 0 else None
        for size in shape.dim
    )


def static_dims(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """The sizes of a value of a normalised model, which leaves none open."""
    sizes = tuple(size for size in dims(value) if size is not None)
    assert len(sizes) == len(value.type.tensor_type.shape.dim), value.name
    return sizes


def set_dims(value: onnx.ValueInfoProto, sizes: tuple[int, ...]) -> None:
    """Give a value these static sizes."""
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for size in sizes:
        shape.dim.add().dim_value = size


def tensor_infos(values: Iterable[onnx.ValueInfoProto]) -> tuple[TensorInfo, ...]:
    """Names, shapes and dtypes of a normalised model's inputs or outputs."""
    return tuple(TensorInfo(value.name, static_dims(value), str(dtype(value))) for value in values)


def dtype(value: onnx.ValueInfoProto) -> np.dtype[Any]:
    """The numpy dtype of a value.

    Raises:
        InputError: it is no tensor, or of a type that onnx does not define.
    """
    try:
        return onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    except KeyError as error:
        raise InputError(
            f"the model's {printable(value.name, 60)!r} is not a tensor of a type that onnx knows"
        ) from error


def require_fit(name: str, has: tuple[int | None, ...], wanted: tuple[int, ...]) -> None:
    """Refuse a shape of --input-shape that contradicts the model's, up to open sizes and the batch, which becomes 1.

    Raises:
        InputError: it does.
    """
    fits = len(has) == len(wanted) and all(
        size in (None, want) or (axis == 0 and want == 1)
        for axis, (size, want) in enumerate(zip(has, wanted, strict=True))
    )
    if not fits:
        raise InputError(
            f"the model's input {printable(name, 60)!r} is {shape_text(has)}, and {shape_text(wanted)} does not fit it"
        )


def require_count(shapes: int, inputs: int) -> None:
    """Refuse another number of --input-shape than the model has inputs.

    Raises:
        InputError: it is.
    """
    if shapes != inputs:
        raise InputError(f"--input-shape names {shapes} inputs, the model has {inputs}")
