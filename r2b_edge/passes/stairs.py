"""Piecewise constant functions of more than one step: quantised activations, and signs of what is not monotonic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2b_edge.ops.base import Floats

MAX_LEVELS = 16
"""A channel that takes more values than these is called real."""
MAX_THRESHOLDS = 32

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FoundStairs:
    """value = values[c, number of thresholds[c] that are <= x].

    Args:
        thresholds: float32 [C, K], ascending; +inf where a channel has fewer.
        values: float32 [C, K + 1].
        count: the most values that a channel takes, without those at single points.
    """

    thresholds: Floats
    values: Floats
    count: int


@dataclass(frozen=True, eq=False)
class Levels:
    """The values that each channel takes, from samples of it.

    Args:
        index: int64 [P, C]: which level a point is at.
        value: float64 [C, L]: the levels, ascending; NaN where a channel has fewer.
    """

    index: Indices
    value: Doubles

    def nearest(self, out: Doubles) -> Indices:
        """Which level each value [..., C] is nearest to."""
        middles = (self.value[:, 1:] + self.value[:, :-1]) / 2
        above = np.zeros(out.shape, np.int64)
        for middle in middles.T:
            above += out >= middle  # False beside NaN
        return above

    @property
    def gap(self) -> Doubles:
        """The least distance of two levels of each channel, [C]; infinite where there is one level."""
        gaps = np.diff(self.value, axis=1)
        return np.asarray(np.min(np.where(np.isnan(gaps), np.inf, gaps), axis=1, initial=np.inf))


def levels_of(out: Doubles, rounding: Doubles, trusted: Bools, tolerance: float) -> Levels | None:
    """Group values [P, C] of a function into levels; None where it takes more than MAX_LEVELS.

    Args:
        out: the function at P points.
        rounding: how far off each may be.
        trusted: points whose rounding is small beside the distance of two levels.
        tolerance: of values that count as equal, beside the rounding.
    """
    ordered = np.sort(np.where(trusted, out, np.nan), axis=0)  # NaN goes last
    slack = 2 * (tolerance + float(rounding[trusted].max(initial=0.0)))
    rises = np.diff(ordered, axis=0) > slack  # False beside NaN
    count = 1 + rises.sum(axis=0)
    if count.max(initial=1) > MAX_LEVELS:
        return None
    channels = out.shape[1]
    value = np.full((channels, int(count.max())), np.nan)
    rank = np.concatenate([np.zeros((1, channels), np.int64), rises.cumsum(axis=0)])
    for level in range(value.shape[1]):
        at = (rank == level) & ~np.isnan(ordered)
        value[:, level] = np.where(
            at.any(axis=0), ordered[at.argmax(axis=0), np.arange(channels)], np.nan
        )
    found = Levels(np.zeros(out.shape, np.int64), value)
    index = found.nearest(out)
    exact = _representatives(out, rounding, trusted, index, value)
    off = np.abs(out - np.take_along_axis(exact, index.T, axis=1).T)
    if (trusted & (off > tolerance + rounding)).any():
        return None
    return Levels(index, exact)


def _representatives(
    out: Doubles, rounding: Doubles, trusted: Bools, index: Indices, value: Doubles
) -> Doubles:
    """Each level where rounding is least; within rounding of a whole number it is that number."""
    exact = np.full_like(value, np.nan)
    columns = np.arange(out.shape[1])
    for level in range(value.shape[1]):
        cost = np.where(trusted & (index == level), rounding, np.inf)
        at = cost.argmin(axis=0)
        best, slack = out[at, columns], cost[at, columns]
        whole = np.round(best)
        chosen = np.where(np.abs(best - whole) <= slack + 1e-7 * np.abs(whole), whole, best)
        exact[:, level] = np.where(np.isfinite(slack), chosen, np.nan)
    return exact
