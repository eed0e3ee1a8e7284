"""The inputs of a check: from the user's files, or seeded."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from r2b_edge.checking.executor import Values
from r2b_edge.errors import InputError
from r2b_edge.graph.graph import Array, Graph
from r2b_edge.wording import printable

SampleArrays = Array | Mapping[str, Array]
"""What a network is shown: one array for its only input, or one an input by name; the first axis for samples."""


def read_samples(source: str | os.PathLike[str] | SampleArrays) -> SampleArrays:
    """The array of a .npy file, or those of an .npz archive by name; arrays are taken as they are.

    Raises:
        InputError: it is neither, holds pickles, or cannot be read.
    """
    if isinstance(source, np.ndarray | Mapping):
        return source
    loaded = _load(source)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded as archive:
        try:
            arrays = {name: archive[name] for name in archive.files}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError  # a member of any other kind comes as bytes
            return arrays
        except (ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"{source} is a damaged .npz archive, or not one of numbers",
                "save it with numpy.savez",
            ) from error


def read_npy(path: str | os.PathLike[str] | Array) -> Array:
    """One array from a .npy file, in which pickles are refused; an array is taken as it is.

    Raises:
        InputError: it is none, or cannot be read.
    """
    if isinstance(path, np.ndarray):
        return path
    array = _load(path)
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an archive", "save one array with numpy.save")
    return array


def _load(path: str | os.PathLike[str]) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        # Its header may declare any size.
        raise InputError(
            f"{path} is not a .npy file of numbers", "save it with numpy.save"
        ) from error


def split_samples(samples: SampleArrays, graph: Graph) -> list[Values]:
    """Split the samples into the graph's inputs, one sample each.

    Args:
        samples: float32 or uint8, first axis = samples, then the model's own layout without its batch axis; by the
            input's name where there are several.
        graph: the network that takes them.

    Returns:
        Arrays in the graph's shapes, batch 1: a signal [C, L] becomes [1, C, 1, L].

    Raises:
        InputError: wrong names, shape or dtype, no sample, NaN.
    """
    names = ", ".join(printable(name, 60) for name in graph.inputs)
    if isinstance(samples, np.ndarray):
        if len(graph.inputs) != 1:
            raise InputError(
                f"the model has {len(graph.inputs)} inputs, and the samples are one array",
                f"save one array for each as .npz, by name: {names}",
            )
        samples = {graph.inputs[0]: samples}
    if set(samples) != set(graph.inputs):
        given = ", ".join(printable(name, 60) for name in samples)
        raise InputError(
            f"the samples are for ({given}), and the model's inputs are ({names})",
            "name the arrays of the .npz as the inputs",
        )
    counts = {len(array) if array.ndim else 0 for array in samples.values()}
    if len(counts) != 1:
        raise InputError(f"the inputs have {' and '.join(map(str, sorted(counts)))} samples")
    several = len(samples) > 1
    columns = {
        name: _checked(
            samples[name],
            graph,
            name,
            f"samples of {printable(name, 60)}" if several else "samples",
        )
        for name in graph.inputs
    }
    return [
        {name: array[index] for name, array in columns.items()} for index in range(counts.pop())
    ]


def _checked(array: Array, graph: Graph, name: str, what: str) -> Array:
    """The samples of an input as float32 [samples, *the graph's shape]."""
    want = graph.own_shapes[name][1:]
    if array.dtype not in (np.float32, np.uint8):
        raise InputError(f"{what} are {array.dtype}", "save them as float32 or uint8")
    if array.ndim != len(want) + 1 or tuple(array.shape[1:]) != want or not len(array):
        raise InputError(
            f"{what} have shape {list(array.shape)}",
            f"the model takes [N, {', '.join(map(str, want))}], the first axis for samples",
        )
    if not np.isfinite(array).all():
        raise InputError(
            f"{what} hold NaN or infinity", "clean them: a bit of NaN is not specified"
        )
    if (
        name in graph.uint8_inputs
        and not ((array == np.rint(array)) & (array >= 0) & (array <= 255)).all()
    ):
        raise InputError(
            f"{what} are not all whole numbers from 0 to 255, and the export takes uint8",
            "give the bytes themselves, as a camera gives them",
        )
    return array.reshape(len(array), *graph.type(name).shape).astype(np.float32)


def read_labels(path: str | os.PathLike[str] | Array, samples: int, graph: Graph) -> Array:
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
    """Seeded inputs for a check without samples: smooth images, which excite all layers better than noise.

    Networks want 0..255, 0..1 or values around 0, and nobody says which: they get them in turn, so that clips and
    sigmoids see values where they do not saturate. Inputs in uint8 get whole numbers from 0 to 255, of less contrast in
    every other sample.
    """
    random = np.random.default_rng(seed)
    if graph.uint8_inputs:
        contrasts = (1.0, 0.25)
        return [
            {
                name: np.rint(127.5 + contrast * (_smooth(random, graph.type(name).shape) - 127.5))
                for name in graph.inputs
            }
            for contrast in (contrasts[i % len(contrasts)] for i in range(count))
        ]
    ranges = ((1.0, 0.0), (1 / 255, 0.0), (1 / 60, -127.5 / 60))
    return [
        {
            name: _smooth(random, graph.type(name).shape) * np.float32(scale) + np.float32(offset)
            for name in graph.inputs
        }
        for scale, offset in (ranges[i % len(ranges)] for i in range(count))
    ]


def _smooth(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    noise = random.normal(size=shape)
    for axis in range(2, len(shape)):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis) + np.roll(noise, 3, axis)
    scaled = 127.5 + 60 * noise / (noise.std() + 1e-9)
    return np.asarray(np.clip(scaled, 0, 255), dtype=np.float32)
