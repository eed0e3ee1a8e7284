"""When a window's output may be written over its input."""

from __future__ import annotations

import numpy as np

from r2b_edge.exporters.c.layout import chw
from r2b_edge.graph.graph import TensorType
from r2b_edge.ops import Window


def trails(window: Window, x: TensorType, y: TensorType) -> bool:
    """True if a float32 output y at its input x's own address never overwrites what is still to be read.

    The kernel takes output pixels in raster order, and reads all of a pixel's window before it writes the pixel. Then
    after pixel o the values 0 .. (o + 1) * (channels of y) - 1 of x are overwritten, and that must be no more than
    what lies before the first value that a later pixel reads. A pool of stride 2 trails; a 3x3 window of stride 1
    does not: it reads the row above again.
    """
    in_channels, height, width = chw(x)
    out_channels, out_height, out_width = chw(y)
    rows = _first_taps(window, 0, height, out_height)
    columns = _first_taps(window, 1, width, out_width)
    first = (rows[:, None] * width + columns).reshape(-1) * in_channels
    later = np.minimum.accumulate(first[::-1])[::-1]
    written = np.arange(1, first.size) * out_channels
    return bool((written <= later[1:]).all())


def _first_taps(
    window: Window, axis: int, size: int, count: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each output position of an axis the first input position in the map that its window has.

    A window that is outside of the map reads nothing; it counts as reading the nearest end.
    """
    origin = np.arange(count) * window.strides[axis] - window.pads[axis]
    dilation = window.dilations[axis]
    skipped = np.maximum(0, -(origin // dilation)) * dilation  # taps before the map
    return np.asarray(np.clip(origin + skipped, 0, size - 1))
