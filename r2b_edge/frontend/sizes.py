"""Sizes and types of a model's inputs and outputs. Runs in the child process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx

from r2b_edge.frontend.loaded import TensorInfo


def dims(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    """The sizes of a value; None where the model leaves one open."""
    shape = value.type.tensor_type.shape
    return tuple(size.dim_value if size.HasField("dim_value") else None for size in shape.dim)


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
    """The numpy dtype of a value."""
    return onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
