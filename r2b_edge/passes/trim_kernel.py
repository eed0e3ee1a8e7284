"""Cut off the rows and columns of a kernel that see nothing but the zero border: a 7x7 kernel on a 1x1 map is 1x1.

Late layers of deep nets on small images have them. They cost time, and exactness where a backend adds the border in and
takes it away again: on a 1x1 map the border of a 7x7 kernel outweighs what is inside by 48 to 1.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from r2b_edge.graph.graph import Graph
from r2b_edge.ops import BinaryConv, FloatConv
from r2b_edge.ops.windows import Window


def trim_kernel(graph: Graph) -> None:
    """Shrink the kernels, and with them the pads, of all convolutions whose border is 0."""
    for index, node in enumerate(graph.nodes):
        op, kind = node.op, graph.type(node.inputs[0])
        if not isinstance(op, BinaryConv | FloatConv) or op.pad_value != 0 or not kind.is_map:
            continue
        window, rows, columns = trimmed(op.window, *kind.shape[2:])
        if window != op.window:
            weight: Any = np.ascontiguousarray(op.weight[:, :, rows, columns])  # int8 or float32
            smaller = dataclasses.replace(op, weight=weight, window=window)
            graph.nodes[index] = dataclasses.replace(node, op=smaller)


def trimmed(window: Window, height: int, width: int) -> tuple[Window, slice, slice]:
    """The window without what sees the border only, on a map of this size, and what is left of its kernel.

    The output has the same size.
    """
    outputs = window.output_size(height, width)
    first, last = [0, 0], [0, 0]
    for axis, size in enumerate((height, width)):
        dilation = window.dilations[axis]
        steps = np.arange(outputs[axis]) * window.strides[axis] - window.pads[axis]
        places = steps[None, :] + np.arange(window.kernel[axis])[:, None] * dilation
        useful = np.flatnonzero(((places >= 0) & (places < size)).any(axis=1))
        low, high = (int(useful[0]), int(useful[-1])) if useful.size else (0, 0)
        # A pad cannot become negative.
        first[axis] = min(low, window.pads[axis] // dilation)
        spare = window.pads[axis + 2] // dilation
        last[axis] = max(high, window.kernel[axis] - 1 - spare)
    pads = [
        p - d * cut
        for p, d, cut in zip(
            window.pads,
            window.dilations * 2,
            [*first, *(k - 1 - end for k, end in zip(window.kernel, last, strict=True))],
            strict=True,
        )
    ]
    kernel = (last[0] - first[0] + 1, last[1] - first[1] + 1)
    smaller = Window(kernel, window.strides, (pads[0], pads[1], pads[2], pads[3]), window.dilations)
    rows, columns = (slice(a, b + 1) for a, b in zip(first, last, strict=True))
    return smaller, rows, columns
