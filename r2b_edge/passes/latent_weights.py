"""`--binarize-weights`: real weights behind binary activations become sign(w) * mean |w|, in model.onnx itself.

For nets that were saved with their latent weights: XNOR-Net's estimate of alpha, per output channel (Rastegari et al.
2016, section 3.1). model.onnx is what every executor is compared with, so it is rewritten, not the graph: the check
compares like with like, and the accuracy on samples shows what the rewriting costs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from r2b_edge.errors import UnsupportedError
from r2b_edge.graph.from_onnx import from_onnx
from r2b_edge.passes.binarize import binarize


def binarize_weights(onnx_path: Path) -> list[str]:
    """Rewrite the weights of each layer whose input is binary and whose weights are real.

    Args:
        onnx_path: a model.onnx that the front end wrote; it is replaced.

    Returns:
        The names of the layers that were rewritten, in execution order, as findings have them.

    Raises:
        UnsupportedError: see from_onnx.
    """
    graph = from_onnx(onnx_path, "model")
    binarize(graph)
    names = {f.output: f.name for f in graph.findings if f.suspect and f.weights == "real"}
    if not names:
        return []
    model = onnx.load(onnx_path)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    taken = set(stored).union(*((*node.input, *node.output) for node in model.graph.node))
    done = []
    for node in model.graph.node:
        if node.output[0] not in names:
            continue
        name = names[node.output[0]]
        if node.input[1] not in stored:
            raise UnsupportedError(f"the weights of {name!r} are computed, not stored")
        weight = numpy_helper.to_array(stored[node.input[1]])
        # A tensor of its own, since another layer may share the real one.
        fresh = _fresh(f"{node.input[1]}_binary", taken)
        taken.add(fresh)
        binary = _binary(weight, _output_axis(node))
        model.graph.initializer.append(numpy_helper.from_array(binary, fresh))
        node.input[1] = fresh
        done.append(name)
    read = {name for node in model.graph.node for name in node.input}
    read |= {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, onnx_path)
    return done


def _output_axis(node: onnx.NodeProto) -> int:
    """Along which axis of the weights the output channels lie."""
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1


def _binary(weight: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """sign(w) * mean |w| over all axes but that of the output channels; sign(0) is +1."""
    others = tuple(a for a in range(weight.ndim) if a != axis)
    alpha = np.abs(weight.astype(np.float64)).mean(axis=others, keepdims=True)
    return np.where(weight < 0, -alpha, alpha).astype(np.float32)


def _fresh(stem: str, taken: set[str]) -> str:
    """`stem`, or `stem` with a number where a tensor is called that."""
    numbered = (f"{stem}_{i}" for i in range(1, len(taken) + 2))
    return stem if stem not in taken else next(name for name in numbered if name not in taken)
