"""onnxruntime as the reference runs it: no graph optimisation, which flips signs by rounding, and one thread."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.sizes import dtype, static_dims
from r2b_edge.frontend.text import first_line


def session(model: onnx.ModelProto) -> Any:
    """An onnxruntime session of the model.

    Raises:
        InputError: the model is wrong in a way that onnx's own checks do not find.
        UnsupportedError: onnxruntime has no kernel for one of its operators and types.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's classes share no base of their own
        kind = UnsupportedError if "NOT_IMPLEMENTED" in str(error) else InputError
        raise kind(f"onnxruntime cannot load the model: {_cause(error)}") from error


def random_inputs(model: onnx.ModelProto, seed: int = 0) -> dict[str, Any]:
    """Seeded random inputs of a model with static input sizes: normal floats, integers 0 and 1."""
    rng = np.random.default_rng(seed)
    return {
        value.name: rng.standard_normal(static_dims(value)).astype(dtype(value))
        if np.issubdtype(dtype(value), np.floating)
        else rng.integers(0, 2, static_dims(value)).astype(dtype(value))
        for value in model.graph.input
    }


def run(model: onnx.ModelProto, inputs: dict[str, Any]) -> list[Any]:
    """The model's outputs.

    Raises:
        InputError: the model does not fit together, or not to these inputs.
        UnsupportedError: see `session`.
    """
    made = session(model)
    try:
        outputs: list[Any] = made.run(None, inputs)
    except Exception as error:  # onnxruntime's classes share no base of their own
        raise InputError(f"onnxruntime cannot run the model: {_cause(error)}") from error
    return outputs


def difference(one: Any, other: Any) -> float:
    """The largest difference of two arrays of one shape, relative to the largest value of the second.

    NaN and infinity are equal to themselves, and infinitely far from all else.
    """
    one, other = one.astype(np.float64), other.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    apart = np.abs(np.subtract(one, other, where=~same, out=np.zeros(one.shape)))
    worst = float(np.max(apart, initial=0))
    scale = float(np.max(np.abs(other), initial=1e-6, where=np.isfinite(other)))
    return worst / scale if np.isfinite(worst) else float("inf")


def _cause(error: Exception) -> str:
    """The message of onnxruntime without its error code and the places in its own source."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    return first_line(re.sub(r"/onnxruntime_src/\S+ ", "", text))
