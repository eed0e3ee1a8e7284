"""When a window may write over its own input: the rule against a simulation, and what a network makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from r2b_edge.exporters.c import build_program
from r2b_edge.exporters.c.in_place import trails
from r2b_edge.graph.graph import TensorType
from r2b_edge.ops import AvgPool, Clip, MaxPool, Window

from .drawing import size, window
from .harness import Builder, Target


def overwrites(w: Window, x: TensorType, y: TensorType) -> bool:
    """Pixel by pixel: does one read a place that an earlier one has written?"""
    _, channels, height, width = x.shape
    _, outputs, out_height, out_width = y.shape
    written = 0
    for oy in range(out_height):
        for ox in range(out_width):
            for ky in range(w.kernel[0]):
                for kx in range(w.kernel[1]):
                    iy = oy * w.strides[0] - w.pads[0] + ky * w.dilations[0]
                    ix = ox * w.strides[1] - w.pads[1] + kx * w.dilations[1]
                    inside = 0 <= iy < height and 0 <= ix < width
                    if inside and (iy * width + ix) * channels < written:
                        return True
            written += outputs
    return False


def test_the_rule_is_what_happens() -> None:
    b = Builder(7)
    found = {True: 0, False: 0}
    for _ in range(300):
        height, width = size(b)
        w = window(b, height, width)
        inputs, outputs = (int(n) for n in b.rng.integers(1, 4, size=2))
        x = TensorType((1, inputs, height, width))
        y = TensorType((1, outputs, *w.output_size(height, width)))
        allowed = trails(w, x, y)
        assert not (allowed and overwrites(w, x, y)), (w, x, y)
        # A window outside of the map, which reads nothing, may make the rule stricter than it had to be.
        taps = w.patches(np.ones(x.shape, np.float32), 0.0).sum(axis=(4, 5))
        assert allowed or overwrites(w, x, y) or taps.min() == 0, (w, x, y)
        found[allowed] += 1
    assert min(found.values()) > 50


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "in_place"),
    [(2, 2, 0, True), (3, 2, 1, True), (1, 1, 0, True), (3, 1, 1, False), (2, 1, 0, True)],
)
@pytest.mark.parametrize("op", [MaxPool, AvgPool])
def test_a_pool_takes_its_inputs_place(
    kernel: int, stride: int, pad: int, in_place: bool, op: type[MaxPool | AvgPool]
) -> None:
    b = Builder()
    x = b.add(Clip(0.0, 1.0), b.input(1, 8, 12, 12))
    y = b.add(op(Window((kernel, kernel), (stride, stride), (pad,) * 4)), x)
    program = build_program(b.done(y), Target(), "net", {})
    assert (program.tensor[x].offset == program.tensor[y].offset) == in_place
    assert program.arena_bytes == program.arena_bound_bytes


def test_what_a_smaller_result_leaves_is_used() -> None:
    """After the pool has halved the map in place, the next map lies behind it."""
    b = Builder()
    x = b.add(Clip(0.0, 1.0), b.input(1, 16, 16, 16))
    half = b.add(MaxPool(Window((2, 2), (2, 2))), x)
    wide = b.add(MaxPool(Window((3, 3), pads=(1, 1, 1, 1))), half)
    program = build_program(b.done(wide), Target(), "net", {})
    tensors = program.tensor
    assert tensors[half].offset == tensors[x].offset
    assert tensors[wide].offset + tensors[wide].bytes <= tensors[x].offset + tensors[x].bytes
