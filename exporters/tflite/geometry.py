"""The graph's explicit pads in TFLite's terms, where a window has only SAME or VALID.

TFLite, for an input of n, a kernel of extent e = (k - 1) d + 1 and stride s:
    VALID  o = ceil((n - e + 1) / s), no padding;
    SAME   o = ceil(n / s), padding p = max((o - 1) s + e - n, 0), of which p // 2 before: **the odd one is
           after**, where torch's symmetric pads put it before. So stride 2, pad 1 on an even size is not SAME.
Two geometries are equal when the number of outputs and the padding before are: then all windows are.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from r2b_edge.ops import Window

SAME, VALID = 0, 1
"""Values of the schema's `Padding`."""


@dataclasses.dataclass(frozen=True)
class Padding:
    """How to get a window's geometry.

    Args:
        mode: SAME or VALID.
        pads: (top, left, bottom, right) to add by a PAD operator first; zeros where there is none.
    """

    mode: int
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def explicit(self) -> bool:
        """True where a PAD operator is needed."""
        return any(self.pads)


def plan(window: Window, height: int, width: int, allow_same: bool = True) -> Padding:
    """The cheapest exact form: VALID, else SAME if allowed, else an explicit PAD of what is read and VALID."""
    axes = [_Axis.of(window, axis, size) for axis, size in enumerate((height, width))]
    if all(axis.valid for axis in axes):
        return Padding(VALID)
    if allow_same and all(axis.same for axis in axes):
        return Padding(SAME)
    rows, columns = axes
    return Padding(VALID, (rows.before, columns.before, rows.after, columns.after))


def extend(window: Window, height: int, width: int) -> tuple[Padding, tuple[int, int]] | None:
    """Rows and columns to append so that SAME pads as wanted, and the size of the output then.

    For torch's stride 2, pad 1 on an even size: on one row more, SAME pads 1 before. The appended rows must not be
    read by the outputs that are wanted; those beyond are wrong and get cut off. None where no extension does it.
    """
    appended, outputs = [], []
    for axis, size in enumerate((height, width)):
        stride, before = window.strides[axis], window.pads[axis]
        extent, wanted = _extent_and_outputs(window, axis, size)
        unread = (wanted - 1) * stride - before + extent <= size
        for more in range(stride + 1 if unread else 1):
            count = -(-(size + more) // stride)
            same_before = max((count - 1) * stride + extent - size - more, 0) // 2
            if same_before == before and count >= wanted:
                appended.append(more)
                outputs.append(count)
                break
        else:
            return None
    return Padding(SAME, (0, 0, appended[0], appended[1])), (outputs[0], outputs[1])


@dataclasses.dataclass(frozen=True)
class _Axis:
    before: int
    after: (
        int  # padding that some window reads; less than the window's own where the stride skips it
    )
    valid: bool
    same: bool

    @staticmethod
    def of(window: Window, axis: int, size: int) -> _Axis:
        stride, before = window.strides[axis], window.pads[axis]
        extent, outputs = _extent_and_outputs(window, axis, size)
        after = max((outputs - 1) * stride + extent - before - size, 0)
        same_outputs = -(-size // stride)
        same_before = max((same_outputs - 1) * stride + extent - size, 0) // 2
        return _Axis(
            before,
            after,
            valid=before == 0 and after == 0 and (size - extent) // stride + 1 == outputs,
            same=same_before == before and same_outputs == outputs,
        )


def inside(window: Window, axis: int, size: int) -> NDArray[np.bool_]:
    """Which taps of each window lie on the map: [outputs, kernel] along one axis."""
    _, outputs = _extent_and_outputs(window, axis, size)
    starts = np.arange(outputs) * window.strides[axis] - window.pads[axis]
    taps = starts[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
    return (taps >= 0) & (taps < size)


def fits(window: Window, height: int, width: int) -> bool:
    """True if the kernel's extent is no larger than the map."""
    sizes = enumerate((height, width))
    return all(_extent_and_outputs(window, axis, size)[0] <= size for axis, size in sizes)


def _extent_and_outputs(window: Window, axis: int, size: int) -> tuple[int, int]:
    extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
    room = size + window.pads[axis] + window.pads[axis + 2] - extent
    return extent, room // window.strides[axis] + 1
