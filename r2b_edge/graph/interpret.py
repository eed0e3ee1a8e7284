"""The numpy oracle: runs a graph op by op with each op's reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from r2b_edge.graph.graph import Array, Graph


def run(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run the whole graph.

    Args:
        graph: any verified graph.
        inputs: one array for each graph input, float32, [N, ...] with any N.

    Returns:
        Every tensor of the graph by name: float32, int32, or int8 in {-1, +1} for bits.
    """
    values: dict[str, Array] = {
        name: np.asarray(inputs[name], dtype=np.float32) for name in graph.inputs
    }
    with np.errstate(all="ignore"):  # 1 / 0 is infinite, as it is in onnxruntime
        for node in graph.nodes:
            values[node.output] = node.op.reference(*(values[name] for name in node.inputs))
    return values
