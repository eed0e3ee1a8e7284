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
A function of up to 16 levels that is no such step is told as stairs, with all of its thresholds found in the same way.
Values beyond RANGE are not looked at: `sign(x) - x + x` loses its meaning in float32 there, and the samples of `check`
confirm the rest.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import Array
from r2b_edge.passes.cone import Cone
from r2b_edge.passes.floats import Keys, Points, bisect, floats, keys
from r2b_edge.passes.stairs import MAX_THRESHOLDS, FoundStairs, Levels, levels_of

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


@dataclass(frozen=True, eq=False)
class FoundStep:
    """value = high where x >= threshold (direction +1) or x <= threshold (-1), else low."""

    threshold: NDArray[np.float32]
    direction: NDArray[np.int8]
    low: float
    high: float
    ties: bool


def find_step(cone: Cone, channels: int) -> FoundStep | FoundStairs | str:
    """The step or the stairs that the cone computes, or the reason why it is neither."""
    points, out, rounding = _sampled(cone, channels)
    if not np.isfinite(out).all():
        return "its values are not finite"
    levels = _levels(points, out, rounding)
    if levels is None:
        return "its value is constant"
    low, high = levels
    gap = high - low
    tolerance = LEVEL_TOLERANCE * gap + rounding
    trusted = tolerance <= gap / 4
    third = trusted & (np.abs(out - low) > tolerance) & (np.abs(out - high) > tolerance)
    if not _narrow(points, third):
        return _stairs(cone, points, out, rounding)
    edge = low + 0.4 * gap  # the middle itself is a tie, and goes up
    up = out >= edge
    changes = (up[1:] != up[:-1]).sum(axis=0)
    if changes.max() > 1:
        return _stairs(cone, points, out, rounding)
    if changes.max() == 0:
        return "its value is constant in every channel"
    threshold, direction, sudden = _thresholds(cone, points, up, edge, (low, high))
    if not (sudden | third.any(axis=0)).all():
        return "it is real"  # the two levels are what the grid shows of a steep slope
    if cone.approximates and not _firm(cone, threshold, direction, edge):
        return "its threshold is a matter of rounding"
    return FoundStep(threshold, direction, low, high, bool(third.any()))


def _firm(
    cone: Cone, threshold: NDArray[np.float32], direction: NDArray[np.int8], edge: float
) -> bool:
    """Does each threshold stay where it is if runtimes round Tanh and Sigmoid differently?

    It does not in sign(x - tanh(x)), which is 0 in float32 up to |x| = 0.004. It may move by a tie's width, or by
    1e-6, as that of sigmoid(x) > 0.5 does.
    """
    known = np.isfinite(threshold)
    t = np.where(known, threshold, 0).astype(np.float64)
    width = 2 * TIE_WIDTH * np.maximum(np.abs(t), 0.1)
    sides = np.stack([t - width, t + width]).astype(np.float32)
    want = np.stack([direction < 0, direction > 0])
    for nudge in (-1, 1):
        nudged = dataclasses.replace(cone, nudge=nudge)
        up = np.asarray(nudged.evaluate(sides)[cone.output]) >= edge
        if ((up != want) & known).any():
            return False
    return True


def find_stairs(cone: Cone, channels: int) -> FoundStairs | None:
    """The stairs that the cone computes, a value at a single point (sign(0) = 0) being one of its own; or None."""
    points, out, rounding = _sampled(cone, channels)
    if not np.isfinite(out).all() or _levels(points, out, rounding) is None:
        return None
    found = _stairs(cone, points, out, rounding)
    return None if isinstance(found, str) else found


def _sampled(cone: Cone, channels: int) -> tuple[Points, NDArray[np.float64], NDArray[np.float64]]:
    """Points that show each smooth piece, the cone's values there, and how much rounding may be in them: [P, C]."""
    points = _with_middles(_refined(cone, _refined(cone, _grid(channels))))
    values = cone.evaluate(points)
    out = np.asarray(values[cone.output], dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return points, out, ROUNDING * _magnitude(cone, values)


def _magnitude(cone: Cone, values: dict[str, Array]) -> NDArray[np.float64]:
    """The largest intermediate value at each point; the source does not count, since it is exact."""
    computed = [np.abs(v) for n in cone.nodes if (v := values[n.output]).dtype != bool]
    return np.asarray(np.max(computed, axis=0), dtype=np.float64)


def _levels(
    points: Points, out: NDArray[np.float64], rounding: NDArray[np.float64]
) -> tuple[float, float] | None:
    """The two levels, each taken where rounding is least, and there at the smallest argument; None if there are no two.

    In x + (sign(x) - x) all x below an ulp of 1 have the same bound, but the smallest are lost in the sum altogether. A
    level within rounding of a whole number is that number.
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
        least = near & (rounding == rounding[near].min())
        at = np.unravel_index(np.where(least, np.abs(points), np.inf).argmin(), out.shape)
        value, whole = float(out[at]), round(float(out[at]))
        slack = LEVEL_TOLERANCE * (high - low) + float(rounding[at])
        found.append(float(whole) if abs(value - whole) <= slack else value)
    return found[0], found[1]


def _thresholds(
    cone: Cone,
    points: Points,
    up: NDArray[np.bool_],
    edge: float,
    levels: tuple[float, float],
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.bool_]]:
    """Threshold and direction of each channel, and whether it goes from one level to the other at once there."""
    channels = points.shape[1]
    changed = (up[1:] != up[:-1]).any(axis=0)
    index = (up[1:] != up[:-1]).argmax(axis=0)
    columns = np.arange(channels)
    below, above = keys(points[index, columns]), keys(points[index + 1, columns])
    rising = up[index + 1, columns]
    below, above = bisect(
        below, above, lambda x: (np.asarray(cone.evaluate(x)[cone.output]) >= edge) != rising
    )
    # Rising: the first float that is up. Falling: the last that is up, which is `below`.
    threshold = np.where(rising, floats(above), floats(below))
    always = np.where(up[0], -np.inf, np.inf)  # with direction +1
    threshold = np.where(changed, threshold, always).astype(np.float32)
    sudden = ~changed
    values = cone.evaluate(floats(np.stack([below, above])))
    out = np.asarray(values[cone.output], dtype=np.float64)
    slack = LEVEL_TOLERANCE * (levels[1] - levels[0]) + ROUNDING * _magnitude(cone, values)
    want = np.where(np.stack([rising, ~rising]), levels[0], levels[1])
    sudden |= (np.abs(out - want) <= slack).all(axis=0)
    return threshold, np.where(changed & ~rising, -1, 1).astype(np.int8), sudden


def _narrow(points: Points, third: NDArray[np.bool_]) -> bool:
    """Does each channel's third value, if any, sit in one run of (nearly) equal arguments?

    The run is measured between the points around it, which have their levels: a ramp may show at a single point.
    """
    hit = third.any(axis=0)
    if not hit.any():
        return True
    columns = np.arange(points.shape[1])
    first = points[np.maximum(third.argmax(axis=0) - 1, 0), columns].astype(np.float64)
    beyond = len(points) - third[::-1].argmax(axis=0)
    last = points[np.minimum(beyond, len(points) - 1), columns].astype(np.float64)
    width = np.abs(last - first)[hit]
    allowed = TIE_WIDTH * np.maximum(np.abs(first), np.abs(last))[hit] + UNDERFLOW
    return bool((width <= allowed).all())


def _stairs(
    cone: Cone, points: Points, out: NDArray[np.float64], rounding: NDArray[np.float64]
) -> FoundStairs | str:
    """All thresholds of a function with few levels."""
    trusted = rounding <= ROUNDING * LEVEL_RANGE
    span = float(np.ptp(out[trusted]))
    tolerance = LEVEL_TOLERANCE * span
    levels = levels_of(out, rounding, trusted, tolerance)
    if levels is None:
        return "it is real"
    columns = np.arange(points.shape[1])
    # Where an estimator's rounding hides the levels, far out, the function stays what it was last.
    clear = rounding <= levels.gap / 4
    first, last = clear.argmax(axis=0), len(points) - 1 - clear[::-1].argmax(axis=0)
    rows = np.clip(np.arange(len(points))[:, None], first, last)
    index = levels.index[rows, columns]
    changes = index[1:] != index[:-1]
    rank = changes.cumsum(axis=0)
    if rank[-1].max() > MAX_THRESHOLDS:
        return "it is real"
    # At least one, though it be of no use where each channel is constant.
    thresholds = np.full((len(columns), max(int(rank[-1].max()), 1)), np.inf, np.float32)
    values = np.repeat(levels.value[columns, index[0]][:, None], thresholds.shape[1] + 1, axis=1)
    for m in range(int(rank[-1].max())):
        at = (rank > m).argmax(axis=0)
        has = rank[-1] > m
        low = index[at, columns]
        below, above = keys(points[at, columns]), keys(points[at + 1, columns])
        below, above = bisect(below, above, partial(_at, cone, levels, low))
        ends = ((below, low), (above, index[at + 1, columns]))
        if not all(_at_level(cone, end, levels, i, tolerance)[has].all() for end, i in ends):
            return "it is real"  # a ramp, of which the grid holds a few points only
        thresholds[:, m] = np.where(has, floats(above), np.inf)
        later = levels.value[columns, index[at + 1, columns]]
        values[:, m + 1 :] = np.where(has[:, None], later[:, None], values[:, m + 1 :])
    count = _wide_levels(thresholds, values)
    return FoundStairs(thresholds, values.astype(np.float32), count)


def _at(cone: Cone, levels: Levels, index: NDArray[np.int64], points: Points) -> NDArray[np.bool_]:
    """Where the function is nearest to one level of each channel."""
    out = np.asarray(cone.evaluate(points)[cone.output], dtype=np.float64)
    return np.asarray(levels.nearest(out) == index)


def _at_level(
    cone: Cone, place: Keys, levels: Levels, index: NDArray[np.int64], tolerance: float
) -> NDArray[np.bool_]:
    """Is the function at a level, and not on the way to it? One argument and one level a channel."""
    values = cone.evaluate(floats(place)[None])
    out = np.asarray(values[cone.output], dtype=np.float64)[0]
    slack = tolerance + ROUNDING * _magnitude(cone, values)[0]
    return np.asarray(np.abs(out - levels.value[np.arange(len(index)), index]) <= slack)


def _wide_levels(thresholds: NDArray[np.float32], values: NDArray[np.float64]) -> int:
    """The most values that a channel takes on more than a tie's width."""
    edges = np.pad(thresholds.astype(np.float64), ((0, 0), (1, 1)), constant_values=np.inf)
    edges[:, 0] = -np.inf
    with np.errstate(invalid="ignore"):
        width = edges[:, 1:] - edges[:, :-1]
        finite = np.where(np.isfinite(edges), np.abs(edges), 0)
        wide = width > TIE_WIDTH * np.maximum(finite[:, 1:], finite[:, :-1]) + UNDERFLOW
    return max(len(np.unique(row[kept])) for row, kept in zip(values, wide, strict=True))


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

    A channel with fewer hits repeats the first interval of the grid.
    """
    left, columns = hit.copy(), np.arange(points.shape[1])
    rows = []
    for _ in range(int(np.count_nonzero(hit, axis=0).max(initial=0))):
        at = left.argmax(axis=0)
        left[at, columns] = False
        ends = keys(points[at, columns]), keys(points[at + width, columns])
        rows.append((*ends, signs[at, columns]))
    return rows


def _kinks_of(cone: Cone, which: NDArray[np.int64], points: Points) -> Array:
    """Kink function which[r] at points[..., r, :], for each row r."""
    flat = points.reshape(-1, points.shape[-1])
    kinks = [kink.reshape(points.shape) for kink in cone.kinks(cone.evaluate(flat))]
    return np.stack([kinks[k][..., r, :] for r, k in enumerate(which)], axis=-2)


def _bisected(cone: Cone, rows: list[tuple[int, Keys, Keys, Array]]) -> list[Points]:
    which = np.array([row[0] for row in rows])
    below, above, signs = (np.stack([row[i] for row in rows]) for i in (1, 2, 3))
    ends = bisect(below, above, lambda x: np.sign(_kinks_of(cone, which, x)) == signs)
    return [floats(key) for key in ends]


def _extrema(cone: Cone, rows: list[tuple[int, Keys, Keys, Array]]) -> Points:
    """Ternary search for the smallest magnitude; a value of the other sign counts as smaller still."""
    which = np.array([row[0] for row in rows])
    below, above, signs = (np.stack([row[i] for row in rows]) for i in (1, 2, 3))
    for _ in range(56):  # (3/2)^56 > 2^32
        third = (above - below) // 3
        left, right = below + third, above - third
        at_left, at_right = (_kinks_of(cone, which, floats(key)) for key in (left, right))
        falls = signs * at_left > signs * at_right
        below, above = np.where(falls, left, below), np.where(falls, above, right)
    return floats((below + above) // 2)


def _with_middles(points: Points) -> Points:
    middles = (points[1:] + points[:-1]) / 2
    return np.sort(np.concatenate([points, middles.astype(np.float32)]), axis=0)
