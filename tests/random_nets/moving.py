"""The builders of what only moves values: concatenations, slices, shuffles and borders."""

from __future__ import annotations

import math

import numpy as np

from . import spec
from .blocks import all_axes
from .build import Maker, builds

MOST_CHANNELS = 140
"""That concatenations may pile up."""


@builds(spec.Concat)
def _concat(m: Maker, b: spec.Concat) -> None:
    x = m.x
    other = m.earlier(b.back, lambda t: t.size == x.size)
    if other is not None and x.channels + other.channels <= MOST_CHANNELS:
        names = [other.name, x.name] if b.before else [x.name, other.name]
        m.put(m.net.op("Concat", *names, axis=1), (x.channels + other.channels, *x.size))


@builds(spec.Slice)
def _slice(m: Maker, b: spec.Slice) -> None:
    x = m.x
    start = min(b.start, x.channels - 1)
    if b.split and start:
        parts = [f"part{i}_{len(m.net.nodes)}" for i in range(2)]
        sizes = np.array([start, x.channels - start])
        m.net.op("Split", x.name, sizes, outputs=parts, axis=1)
        m.put(parts[1], (x.channels - start, *x.size))
        return
    stop = min(start + b.count * b.step, x.channels)
    y = m.net.op("Slice", x.name, *(np.array([v]) for v in (start, stop, 1, b.step)))
    m.put(y, (len(range(start, stop, b.step)), *x.size))


@builds(spec.Shuffle)
def _shuffle(m: Maker, b: spec.Shuffle) -> None:
    x = m.x
    groups = math.gcd(b.groups, x.channels)
    split = m.net.op("Reshape", x.name, np.array([1, groups, x.channels // groups, *x.size]))
    turned = m.net.op("Transpose", split, perm=[0, 2, 1, *range(3, 3 + len(x.size))])
    m.put(m.net.op("Reshape", turned, np.array([1, *x.shape])))


@builds(spec.Border)
def _border(m: Maker, b: spec.Border) -> None:
    """A reflection is narrower than what cropping leaves of the map; what would leave nothing is left out."""
    x, n = m.x, len(m.x.size)
    if not x.is_map:
        return
    before, after = list(b.pads[2 - n : 2]), list(b.pads[4 - n :])
    kept = [s + min(p, 0) + min(q, 0) for s, p, q in zip(x.size, before, after, strict=True)]
    if min(kept) < 1:
        return
    if b.mode == "reflect":
        before = [min(p, k - 1) for p, k in zip(before, kept, strict=True)]
        after = [min(q, k - 1) for q, k in zip(after, kept, strict=True)]
    size = tuple(s + p + q for s, p, q in zip(x.size, before, after, strict=True))
    value = [b.value] if b.mode == "constant" else []
    y = m.net.op("Pad", x.name, all_axes([*before, *after]), *value, mode=b.mode)
    m.put(y, (x.channels, *size))
