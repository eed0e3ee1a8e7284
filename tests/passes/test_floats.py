"""The order of the floats, and the bisection of it."""

from __future__ import annotations

import numpy as np
import pytest

from r2b_edge.passes.floats import SMALL, bisect, floats, keys

ORDERED = np.float32([-np.inf, -3e38, -1.5, -1e-45, 0.0, 1e-45, 1.17e-38, 1.0, 3e38, np.inf])


def test_keys_are_in_the_order_of_the_floats() -> None:
    assert (np.diff(keys(ORDERED)) > 0).all()
    np.testing.assert_array_equal(floats(keys(ORDERED)), ORDERED)
    assert keys(np.float32([-0.0, 0.0])).tolist() == [0, 0]


def test_neighbours_differ_by_one(random: np.random.Generator) -> None:
    x = (random.normal(size=1000) * 10.0 ** random.uniform(-40, 30, 1000)).astype(np.float32)
    above = np.nextafter(x, np.float32(np.inf))
    assert (keys(above) - keys(x) == 1).all()


@pytest.mark.parametrize("count", [1, 100, SMALL + 1])
def test_bisect_finds_neighbours(count: int, random: np.random.Generator) -> None:
    """Thresholds of all magnitudes and both signs, found to the last bit, few at once or many."""
    t = (random.normal(size=count) * 10.0 ** random.uniform(-30, 5, count)).astype(np.float32)
    start, end = (np.full(count, v, np.int64) for v in keys(np.float32([-1e10, 1e10])))
    below, above = bisect(start, end, lambda x: x < t)
    np.testing.assert_array_equal(floats(above), t)
    np.testing.assert_array_equal(above - below, 1)


def test_bisect_of_neighbours_gives_them() -> None:
    below, above = bisect(np.int64([5]), np.int64([6]), lambda x: x <= floats(np.int64([5])))
    assert (below.tolist(), above.tolist()) == ([5], [6])
