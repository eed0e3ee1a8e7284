"""The semantic probe: is a cone a step from one value to another, and where exactly?

Straight-through estimators write sign in a hundred ways. Rather than their node patterns, the probe looks at the
function that they compute. In exact arithmetic a cone is smooth between its kinks; so

1. evaluate the cone on a grid over the float32 line, and all kink functions of its nodes;
2. where a kink function changes sign between two neighbours, bisect in the order of the floats down to two adjacent
   ones, and add both to the grid; where it comes near to zero and turns back, add the place of its extremum, so that
   a pair of zeros between two points of the grid shows (twice, since a first round can uncover others);
3. add a point between all neighbours, so that each smooth piece is sampled too;
4. accept if all values lie at one of two levels, and each channel changes its level at most once;
5. bisect that change: the threshold is exact to the last bit, BatchNorm's rounding included.

Straight-through forms such as x + (sign(x) - x) reach their levels up to rounding only. How far off they may be follows
from the magnitude of the intermediate values at each point. This is sound as long as a kink function has at most one
extremum between two neighbours of the grid, which holds two points an octave.
Values beyond RANGE are not looked at: `sign(x) - x + x` loses its meaning in float32 there, and the samples of `check`
confirm the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import Array
from r2b_edge.passes.cone import Cone, Points

RANGE = 2.0**20
"""Arguments of the cone up to here are probed; a threshold beyond it makes the channel constant."""
LEVEL_RANGE = 2.0**10
"""The levels are read where all intermediate values are below this."""
LEVEL_TOLERANCE = 1e-6
"""Of the distance of the two levels: a level is a level where nothing large was added and taken away again."""
ROUNDING = 2.0**-21
"""Of the largest intermediate value: what eight roundings in float32 may add to it."""
TIE_WIDTH = 1e-5
"""Largest relative width of an interval with a third value that counts as a tie."""
UNDERFLOW = 1e-30
"""Largest absolute width of one: products with a scale below 1 underflow around 0."""

MAX_LEVELS = 16
"""A function that takes more values than these on the grid is called real."""

Keys = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FoundStep:
    """value = high where x >= threshold (direction +1) or x <= threshold (-1), else low."""

    threshold: NDArray[np.float32]
    direction: NDArray[np.int8]
    low: float
    high: float
    ties: bool


def find_step(cone: Cone, channels: int) -> FoundStep | str:
    """The step that the cone computes, or the reason why it is none."""
    points = _with_middles(_refined(cone, _refined(cone, _grid(channels))))
    values = cone.evaluate(points)
    out = np.asarray(values[cone.output], dtype=np.float64)
    if not np.isfinite(out).all():
        return "its values are not finite"
    rounding = ROUNDING * _magnitude(cone, values)
    levels = _levels(out, rounding)
    if levels is None:
        return "its value is constant"
    low, high = levels
    gap = high - low
    tolerance = LEVEL_TOLERANCE * gap + rounding
    trusted = tolerance <= gap / 4
    third = trusted & (np.abs(out - low) > tolerance) & (np.abs(out - high) > tolerance)
    if not _narrow(points, third):
        return _describe(out[trusted], LEVEL_TOLERANCE * gap)
    edge = low + 0.4 * gap  # the middle itself is a tie, and goes up
    up = out >= edge
    changes = (up[1:] != up[:-1]).sum(axis=0)
    if changes.max() > 1:
        return "it is not monotonic: a channel has two thresholds"
    if changes.max() == 0:
        return "its value is constant in every channel"
    threshold, direction = _thresholds(cone, points, up, edge)
    return FoundStep(threshold, direction, low, high, bool(third.any()))


def _magnitude(cone: Cone, values: dict[str, Array]) -> NDArray[np.float64]:
    """The largest intermediate value at each point; the source does not count, since it is exact."""
    computed = [np.abs(v) for n in cone.nodes if (v := values[n.output]).dtype != bool]
    return np.asarray(np.max(computed, axis=0), dtype=np.float64)


def _levels(out: NDArray[np.float64], rounding: NDArray[np.float64]) -> tuple[float, float] | None:
    """The two levels, each taken where rounding is least; None if there are no two.

    A level within rounding of a whole number is that number.
    """
    small = rounding <= ROUNDING * LEVEL_RANGE
    if not small.any():
        return None
    low, high = float(out[small].min()), float(out[small].max())
    if high - low <= 1e-30:
        return None
    found = []
    for level in (low, high):
        near = np.abs(out - level) <= (high - low) / 4
        at = np.unravel_index(np.where(near, rounding, np.inf).argmin(), out.shape)
        value, whole = float(out[at]), round(float(out[at]))
        slack = LEVEL_TOLERANCE * (high - low) + float(rounding[at])
        found.append(float(whole) if abs(value - whole) <= slack else value)
    return found[0], found[1]


def _thresholds(
    cone: Cone, points: Points, up: NDArray[np.bool_], edge: float
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    channels = points.shape[1]
    changed = (up[1:] != up[:-1]).any(axis=0)
    index = (up[1:] != up[:-1]).argmax(axis=0)
    columns = np.arange(channels)
    below, above = _keys(points[index, columns]), _keys(points[index + 1, columns])
    rising = up[index + 1, columns]
    for _ in range(33):  # 2^32 floats
        middle = (below + above) // 2
        out = np.asarray(cone.evaluate(_floats(middle)[None])[cone.output])[0]
        passed = (out >= edge) == rising
        above, below = np.where(passed, middle, above), np.where(passed, below, middle)
    # Rising: the first float that is up. Falling: the last that is up, which is `below`.
    threshold = np.where(rising, _floats(above), _floats(below))
    always = np.where(up[0], -np.inf, np.inf)  # with direction +1
    threshold = np.where(changed, threshold, always).astype(np.float32)
    return threshold, np.where(changed & ~rising, -1, 1).astype(np.int8)


def _narrow(points: Points, third: NDArray[np.bool_]) -> bool:
    """Does each channel's third value, if any, sit in one run of (nearly) equal arguments?"""
    hit = third.any(axis=0)
    if not hit.any():
        return True
    first = points[third.argmax(axis=0), np.arange(points.shape[1])]
    last = points[len(points) - 1 - third[::-1].argmax(axis=0), np.arange(points.shape[1])]
    width = np.abs(last - first)[hit]
    allowed = TIE_WIDTH * np.maximum(np.abs(first), np.abs(last))[hit] + UNDERFLOW
    return bool((width <= allowed).all())


def _describe(values: Array, tolerance: float) -> str:
    count = len(np.unique(np.round(values / max(tolerance, 1e-30)).astype(np.int64)))
    return f"it takes {count} values" if count <= MAX_LEVELS else "it is real"


def _grid(channels: int) -> Points:
    exponents = np.arange(-40, 20.5, 0.5)
    positive = np.concatenate([2.0**exponents, [1e-30, 1e-20, RANGE]])
    line = np.unique(np.concatenate([-positive, [0.0], positive])).astype(np.float32)
    return np.repeat(line[:, None], channels, axis=1)


def _refined(cone: Cone, points: Points) -> Points:
    """The points, the floats around each sign change of a kink function, and its extrema next to zero."""
    kinks = cone.kinks(cone.evaluate(points))
    changes: list[tuple[int, Keys, Keys, Array]] = []
    turns: list[tuple[int, Keys, Keys, Array]] = []
    for k, kink in enumerate(kinks):
        signs, size = np.sign(kink), np.abs(kink)
        change = signs[1:] != signs[:-1]
        changes += [(k, *row) for row in _intervals(points, change, signs, width=1)]
        turn = (size[1:-1] < size[:-2]) & (size[1:-1] < size[2:])
        turn &= ~change[:-1] & ~change[1:] & (size[1:-1] > 0)
        turns += [(k, *row) for row in _intervals(points, turn, signs, width=2)]
    found = [points]
    if changes:
        found += _bisected(cone, changes)
    if turns:
        found.append(_extrema(cone, turns))
    return np.sort(np.concatenate(found), axis=0)


def _intervals(
    points: Points, hit: NDArray[np.bool_], signs: Array, width: int
) -> list[tuple[Keys, Keys, Array]]:
    """From `hit` [P - width, C]: both ends of the m-th such interval of each channel and the sign at its lower end.

    A channel with fewer hits repeats its first interval.
    """
    rank = hit.cumsum(axis=0)
    columns = np.arange(points.shape[1])
    rows = []
    for m in range(1, int(rank[-1].max(initial=0)) + 1):
        at = (rank >= m).argmax(axis=0)
        ends = _keys(points[at, columns]), _keys(points[at + width, columns])
        rows.append((*ends, signs[at, columns]))
    return rows


def _kinks_of(cone: Cone, which: NDArray[np.int64], keys: Keys) -> Array:
    """Kink function which[r] at keys[r], for each row r."""
    kinks = np.stack(cone.kinks(cone.evaluate(_floats(keys))))
    return np.asarray(kinks[which, np.arange(len(which))])


def _bisected(cone: Cone, rows: list[tuple[int, Keys, Keys, Array]]) -> list[Points]:
    which = np.array([row[0] for row in rows])
    below, above, signs = (np.stack([row[i] for row in rows]) for i in (1, 2, 3))
    for _ in range(33):
        middle = (below + above) // 2
        same = np.sign(_kinks_of(cone, which, middle)) == signs
        below, above = np.where(same, middle, below), np.where(same, above, middle)
    return [_floats(below), _floats(above)]


def _extrema(cone: Cone, rows: list[tuple[int, Keys, Keys, Array]]) -> Points:
    """Ternary search for the smallest magnitude; a value of the other sign counts as smaller still."""
    which = np.array([row[0] for row in rows])
    below, above, signs = (np.stack([row[i] for row in rows]) for i in (1, 2, 3))
    for _ in range(56):  # (3/2)^56 > 2^32
        third = (above - below) // 3
        left, right = below + third, above - third
        falls = signs * _kinks_of(cone, which, left) > signs * _kinks_of(cone, which, right)
        below, above = np.where(falls, left, below), np.where(falls, above, right)
    return _floats((below + above) // 2)


def _with_middles(points: Points) -> Points:
    middles = (points[1:] + points[:-1]) / 2
    return np.sort(np.concatenate([points, middles.astype(np.float32)]), axis=0)


def _keys(values: Array) -> Keys:
    """float32 -> integers in the same order; both zeros give 0, neighbours differ by 1."""
    bits = np.asarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _floats(keys: Keys) -> Points:
    bits = np.where(keys < 0, (-keys) | 0x80000000, keys).astype(np.uint32)
    return bits.view(np.float32)
