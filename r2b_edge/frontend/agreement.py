"""Hold what was exported against the network in PyTorch. It imports torch.

An exporter that leaves something out says nothing; that of TorchScript does so with `x.data = sign(x.data)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from torch.utils import _pytree as pytree

from r2b_edge.frontend.contain import ExporterFailedError
from r2b_edge.frontend.networks import Network
from r2b_edge.frontend.reference import difference, random_inputs, run

TRIALS = 8
# Factor and offset of normal inputs, in turn: a branch on their size or sign goes both ways.
RANGES = ((1, 0), (1, 2), (1, -2), (50, 0), (0.1, 0))
# Relative to the largest output. PyTorch and onnxruntime round differently, which may flip a sign on the way and then
# change every output; but not for each of the inputs, and not into something that has nothing to do with it.
CLOSE = 1e-3
FAR = 0.5


def require_agreement(
    network: Network, model: onnx.ModelProto, notes: list[str], always: bool
) -> None:
    """Compare on random inputs, TRIALS at most.

    Args:
        network: in PyTorch, for one sample or for a batch.
        model: for one sample.
        notes: told where they do not quite agree.
        always: whether they must agree on every input, and not on one: a trace of a module's Python code
            follows the one path that its example took, without a word about others.

    Raises:
        ExporterFailedError: the model computes something else.
    """
    if (count := len(model.graph.input)) != len(network.sizes):
        raise ExporterFailedError(
            f"the exported network has {count} inputs, and that in PyTorch {len(network.sizes)}"
        )
    differences = []
    for seed in range(TRIALS):
        inputs = _inputs(model, seed)
        apart = _apart(_torch_outputs(network, inputs), run(model, inputs))
        differences.append(apart)
        if (apart > FAR) if always else (apart <= CLOSE):
            break
    told = max(differences) if always else min(differences)
    if told > FAR:
        raise _other_answers(told)
    if told > CLOSE:
        notes.append(
            f"PyTorch and the exported network differ by {told:.1e} of the largest output on random inputs"
        )


def _inputs(model: onnx.ModelProto, seed: int) -> dict[str, Any]:
    factor, offset = RANGES[seed % len(RANGES)]
    return {
        name: (array * factor + offset).astype(array.dtype) if array.dtype.kind == "f" else array
        for name, array in random_inputs(model, seed).items()
    }


def _torch_outputs(network: Network, inputs: dict[str, Any]) -> list[Any]:
    """The outputs of one sample; a network for a batch gets it as often as it wants."""
    tensors = [
        torch.from_numpy(np.resize(array, size).astype(array.dtype))
        if array.shape != size
        else torch.from_numpy(array.copy())  # the network may write to it
        for array, size in zip(inputs.values(), network.sizes, strict=True)
    ]
    return _arrays(network.call(tensors))


def require_same(module: Any, traced: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    """Compare a module with what torch.export made of it, which runs the same kernels of PyTorch's.

    Raises:
        ExporterFailedError: they give different answers.
    """
    answers = [
        _arrays(callee(*(tensor.clone() for tensor in inputs))) for callee in (traced, module)
    ]
    if (apart := _apart(*answers)) > CLOSE:
        raise _other_answers(apart)


def _other_answers(apart: float) -> ExporterFailedError:
    return ExporterFailedError(
        f"the exported network gives other answers than PyTorch, by {apart:.2g} of the largest",
        "look for what a tracer does not see, such as numpy or Python numbers in forward()",
    )


def _arrays(outputs: Any) -> list[Any]:
    leaves = [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, torch.Tensor)]
    tensors = [leaf.detach().cpu() for leaf in leaves]
    # numpy has no bfloat16.
    return [(x.float() if x.dtype == torch.bfloat16 else x).numpy() for x in tensors]


def _apart(ours: list[Any], theirs: list[Any]) -> float:
    """The largest difference of an output, relative to it; infinite where they do not fit together."""
    if len(ours) != len(theirs):
        return float("inf")
    worst = 0.0
    for one, other in zip(ours, theirs, strict=True):
        if one.shape != other.shape:
            one = one[: other.shape[0]] if one.ndim == other.ndim and one.ndim else one
        if one.shape != other.shape:
            return float("inf")
        worst = max(worst, difference(one, other))
    return worst
