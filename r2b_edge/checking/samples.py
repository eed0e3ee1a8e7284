"""The inputs of a check: from the user's files, or seeded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from r2b_edge.checking.executor import Values
from r2b_edge.errors import InputError
from r2b_edge.graph.graph import Array, Graph


def read_npy(path: Path | str | Array) -> Array:
    """One array from a .npy file, in which pickles are refused; an array is taken as it is.

    Raises:
        InputError: it is none, or cannot be read.
    """
    if isinstance(path, np.ndarray):
        return path
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, MemoryError) as error:  # its header may declare any size
        raise InputError(
            f"{path} is not a .npy file of numbers", "save it with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an archive", "save one array with numpy.save")
    return array


def split_samples(array: Array, graph: Graph) -> list[Values]:
    """Split X.npy into the graph's inputs, one sample each.

    Args:
        array: float32 or uint8, first axis = samples, then the model's own layout without its batch axis.
        graph: the network that takes them.

    Raises:
        InputError: wrong shape or dtype, no sample, NaN.
    """
    if len(graph.inputs) != 1:
        raise InputError(
            f"the model has {len(graph.inputs)} inputs; samples for one input are supported"
        )
    (name,) = graph.inputs
    want = graph.type(name).shape[1:]
    if array.dtype not in (np.float32, np.uint8):
        raise InputError(f"samples are {array.dtype}", "save them as float32 or uint8")
    if array.ndim != len(want) + 1 or tuple(array.shape[1:]) != want or not len(array):
        raise InputError(
            f"samples have shape {list(array.shape)}",
            f"the model takes [N, {', '.join(map(str, want))}], the first axis for samples",
        )
    if not np.isfinite(array).all():
        raise InputError(
            "samples hold NaN or infinity", "clean them: a bit of NaN is not specified"
        )
    return [{name: sample[None].astype(np.float32)} for sample in array]


def read_labels(path: Path | str | Array, samples: int, graph: Graph) -> Array:
    """Y.npy: one integer a sample, the index of its class.

    Raises:
        InputError: another shape or dtype, or a class that the network's output does not have.
    """
    array = read_npy(path)
    if array.shape != (samples,) or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"the labels are {array.dtype} of shape {list(array.shape)}",
            f"one integer label for each of the {samples} samples is needed",
        )
    classes = graph.type(graph.outputs[0]).channels
    if len(graph.outputs) == 1 and not 0 <= array.min() <= array.max() < classes:
        raise InputError(
            f"the labels go from {array.min()} to {array.max()}",
            f"the model's classes are 0 to {classes - 1}",
        )
    return array


def random_samples(graph: Graph, count: int = 8, seed: int = 0) -> list[Values]:
    """Seeded inputs for a check without samples: smooth images in 0..255, which excite all layers better than noise."""
    random = np.random.default_rng(seed)
    return [
        {name: _smooth(random, graph.type(name).shape) for name in graph.inputs}
        for _ in range(count)
    ]


def _smooth(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    noise = random.normal(size=shape)
    for axis in range(2, len(shape)):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis) + np.roll(noise, 3, axis)
    scaled = 127.5 + 60 * noise / (noise.std() + 1e-9)
    return np.asarray(np.clip(scaled, 0, 255), dtype=np.float32)
