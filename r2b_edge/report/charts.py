"""Geometry of the page's pictures: pure functions from figures to rectangles.

Every picture is `WIDTH` units wide, whatever its size on the page; the template draws what stands here
and decides nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

WIDTH = 1000.0
GAP = 2.0
LEAST = 2.0  # what is there can be seen, however small its share
MOST_ROWS = 40  # more bars than this are a wall, not a picture


@dataclasses.dataclass(frozen=True)
class Span:
    """A rectangle from `x`, `width` units wide, of the style class `css`."""

    x: float
    width: float
    css: str


T = TypeVar("T")


def lengths(values: Sequence[int], top: int) -> list[float]:
    """Lengths on a scale that ends at `top`; zero stays zero, anything else is at least `LEAST`."""
    return [min(WIDTH, max(LEAST, WIDTH * v / top)) if v > 0 and top > 0 else 0.0 for v in values]


def bar(value: int, top: int, css: str) -> list[Span]:
    """One bar from the left, none for zero."""
    (length,) = lengths([value], top)
    return [Span(0.0, round(length, 2), css)] if length else []


def chain(pieces: Sequence[tuple[int, str]], top: int) -> list[Span]:
    """Bars end to end on one scale, without gaps; the whole is cut at the right edge."""
    spans, x = [], 0.0
    for (_, css), length in zip(pieces, lengths([v for v, _ in pieces], top), strict=True):
        drawn = round(min(length, WIDTH - x), 2)
        if drawn > 0:
            spans.append(Span(round(x, 2), drawn, css))
            x += drawn
    return spans


def stack(pieces: Sequence[tuple[int, str]]) -> list[Span]:
    """A bar as wide as the picture, cut into pieces by their share, with gaps between; zeros are left out."""
    present = [(value, css) for value, css in pieces if value > 0]
    total = sum(value for value, _ in present)
    if not present:
        return []
    room = WIDTH - GAP * (len(present) - 1)
    shares = [max(LEAST, room * value / total) for value, _ in present]
    # What the smallest pieces were given beyond their share is taken from all alike.
    factor = room / sum(shares)
    spans, x = [], 0.0
    for (_, css), share in zip(present, shares, strict=True):
        spans.append(Span(round(x, 2), round(share * factor, 2), css))
        x += share * factor + GAP
    return spans


def foremost(rows: Sequence[T], weights: Sequence[int], most: int) -> tuple[list[T], list[T]]:
    """Split rows into the `most` heaviest, in their own order, and the rest; all of them if they are few."""
    if len(rows) <= most:
        return list(rows), []
    order = sorted(range(len(rows)), key=lambda i: (-weights[i], i))
    kept = set(order[:most])
    shown = [row for i, row in enumerate(rows) if i in kept]
    return shown, [row for i, row in enumerate(rows) if i not in kept]
