"""The built-in operators that we write: version rules and the oldest runtime that has each.

Source: TensorFlow's compiler/mlir/lite/tools/versioning, op_version.cc and runtime_version.cc, for float32 and
int32 tensors.
"""

from __future__ import annotations

MIN_RUNTIME: dict[tuple[str, int], str] = {
    ("ABS", 1): "1.13.0",
    ("ADD", 1): "1.5.0",
    ("AVERAGE_POOL_2D", 1): "1.5.0",
    ("CEIL", 1): "1.14.0",
    ("CONCATENATION", 1): "1.5.0",
    ("CONV_2D", 1): "1.5.0",
    ("CONV_2D", 6): "2.9.0",  # grouped
    ("DEPTHWISE_CONV_2D", 1): "1.5.0",
    ("DEPTHWISE_CONV_2D", 2): "1.12.0",  # dilated
    ("DIV", 1): "1.6.0",
    ("ELU", 1): "1.14.0",
    ("EXP", 1): "1.7.0",
    ("FLOOR", 1): "1.9.0",
    ("FULLY_CONNECTED", 1): "1.5.0",
    ("GATHER", 1): "1.6.0",
    ("GELU", 1): "2.9.0",
    ("GREATER", 1): "1.14.0",
    ("GREATER_EQUAL", 1): "1.14.0",
    ("HARD_SWISH", 1): "1.15.0",
    ("LOG", 1): "1.14.0",
    ("LOGISTIC", 1): "1.14.0",
    ("LOG_SOFTMAX", 1): "1.14.0",
    ("MAXIMUM", 1): "1.14.0",
    ("MAX_POOL_2D", 1): "1.5.0",
    ("MEAN", 1): "1.6.0",
    ("MINIMUM", 1): "1.14.0",
    ("MUL", 1): "1.5.0",
    ("PAD", 1): "1.5.0",
    ("PADV2", 1): "1.9.0",
    ("PRELU", 1): "1.8.0",
    ("REDUCE_MAX", 1): "1.11.0",
    ("RELU", 1): "1.5.0",
    ("RELU6", 1): "1.5.0",
    ("RESHAPE", 1): "1.5.0",
    ("ROUND", 1): "1.14.0",
    ("SELECT_V2", 1): "2.2.0",
    ("SLICE", 1): "1.14.0",
    ("SOFTMAX", 1): "1.5.0",
    ("SPLIT", 1): "1.5.0",  # float32
    ("SPLIT", 3): "1.14.0",  # int32
    ("SQRT", 1): "1.10.0",
    ("STRIDED_SLICE", 1): "1.6.0",
    ("SUB", 1): "1.6.0",
    ("TANH", 1): "1.14.0",
    ("TRANSPOSE", 1): "1.6.0",
}


def min_runtime(operators: set[tuple[str, int]]) -> str:
    """Oldest TFLite runtime that has all of these (operator, version) pairs."""
    needed = [MIN_RUNTIME[pair] for pair in operators] or ["1.5.0"]
    return max(needed, key=lambda version: [int(part) for part in version.split(".")])
