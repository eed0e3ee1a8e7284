"""What `convert` gives: the file, and how its operators and tensors map to the graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TfliteTensor:
    """Where a tensor of the graph lives in the file.

    Args:
        index: tensor index in subgraph 0.
        shape: the shape in the graph: [1, C, H, W] (stored NHWC) or [1, C] (stored as it is).
        dtype: the dtype in the graph. float32 is stored as float32; int32 (exact dot products) as float32 too;
            bits are packed along the channels into int32, see bits.py.
    """

    index: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class TfliteStep:
    """A run of operators that computes one node of the graph, or a node with those fused into it.

    Args:
        index: position in `TfliteModel.steps`.
        nodes: names of the graph nodes that it computes.
        inputs: the tensors of the graph that it reads.
        outputs: the tensors of the graph that it writes; tensors inside a fusion do not exist in the file.
        operators: the operators, [start, stop) in subgraph 0.
        kernels: their names, such as ("PAD", "LceBconv2d").
    """

    index: int
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: range
    kernels: tuple[str, ...]


@dataclass(frozen=True)
class TfliteModel:
    """A TFLite file with its map to the graph.

    Args:
        data: the file. Same graph, same bytes.
        steps: in execution order; together they cover every node and every operator once.
        tensors: by name in the graph; only tensors that exist in the file.
        inputs: names in the graph, in the file's order.
        outputs: likewise.
    """

    data: bytes
    steps: tuple[TfliteStep, ...]
    tensors: dict[str, TfliteTensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
