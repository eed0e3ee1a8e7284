"""float32 numbers as integers in the same order, and the bisection of the line of floats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import Array

Keys = NDArray[np.int64]
Points = NDArray[np.float32]

SMALL = 2**12
"""Numbers that are bisected at once: below it a call costs more than its arithmetic, and each looks at WAYS places."""
WAYS = 15


def keys(values: Array) -> Keys:
    """float32 -> integers in the same order; both zeros give 0, neighbours differ by 1."""
    bits = np.asarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def floats(numbers: Keys) -> Points:
    """Undo `keys`."""
    bits = np.where(numbers < 0, (-numbers) | 0x80000000, numbers).astype(np.uint32)
    return bits.view(np.float32)


def bisect(
    below: Keys, above: Keys, same: Callable[[Points], NDArray[np.bool_]]
) -> tuple[Keys, Keys]:
    """Between pairs of floats, two neighbours where a property ends.

    Args:
        below: where it holds, any shape.
        above: where it does not.
        same: told W places for each pair [W, ...], where it holds.
    """
    ways = WAYS if below.size <= SMALL else 1
    steps = np.arange(1, ways + 1).reshape((-1,) + (1,) * below.ndim)
    for _ in range(-(-33 // int(np.log2(ways + 1)))):  # there are 2^32 floats
        places = below + (above - below) * steps // (ways + 1)
        holds = np.logical_and.accumulate(same(floats(places)), axis=0)
        ladder = np.concatenate([below[None], places, above[None]])
        last = holds.sum(axis=0)[None]
        below = np.take_along_axis(ladder, last, axis=0)[0]
        above = np.take_along_axis(ladder, last + 1, axis=0)[0]
    return below, above
