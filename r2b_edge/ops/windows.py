"""Windows over maps: the geometry that convolutions and pools share."""

from __future__ import annotations

import dataclasses

import numpy as np

from r2b_edge.graph.graph import Array, TensorType


@dataclasses.dataclass(frozen=True)
class Window:
    """Kernel geometry; axes are (height, width), pads are (top, left, bottom, right) as in ONNX."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: a wrong count of them, a kernel, stride or dilation below 1, a negative pad.
        """
        lengths = [len(v) for v in (self.kernel, self.strides, self.pads, self.dilations)]
        if lengths != [2, 2, 4, 2]:
            raise ValueError(f"{self} is not two-dimensional")
        if min(*self.kernel, *self.strides, *self.dilations) < 1 or min(self.pads) < 0:
            raise ValueError(f"{self} has a kernel, stride or dilation below 1, or a negative pad")

    def check_border(self) -> None:
        """For pools: each window must hold a value of the map.

        Raises:
            ValueError: a pad is as wide as the kernel.
        """
        if any(pad >= kernel for pad, kernel in zip(self.pads, self.kernel * 2, strict=True)):
            raise ValueError(f"pads {list(self.pads)} with a kernel of {list(self.kernel)}")

    def map_size(self, x: TensorType) -> tuple[int, int]:
        """`output_size` for a map [N, C, H, W].

        Raises:
            ValueError: x is no map, or the kernel does not fit into it.
        """
        if not x.is_map:
            raise ValueError(f"a window on {x}")
        return self.output_size(x.shape[2], x.shape[3])

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the output map: floor((in + pads - extent) / stride) + 1.

        Raises:
            ValueError: the kernel does not fit into the padded map.
        """
        sizes = []
        for axis, size in enumerate((height, width)):
            extent = (self.kernel[axis] - 1) * self.dilations[axis] + 1
            room = size + self.pads[axis] + self.pads[axis + 2] - extent
            if room < 0:
                raise ValueError(
                    f"a kernel of extent {extent} does not fit into {size} with pads {self.pads}"
                )
            sizes.append(room // self.strides[axis] + 1)
        return sizes[0], sizes[1]

    def patches(self, x: Array, fill: float) -> Array:
        """All windows of `x` [N, C, H, W], padded with `fill`: a view [N, C, OH, OW, KH, KW]."""
        top, left, bottom, right = self.pads
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
        extent = tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))
        view: Array = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=(2, 3))  # type: ignore[call-overload]
        sy, sx = self.strides
        dy, dx = self.dilations
        return np.asarray(view[:, :, ::sy, ::sx, ::dy, ::dx])


def check_weights(shape: tuple[int, ...], window: Window, groups: int, x: TensorType) -> None:
    """Do convolution weights [O, C/groups, KH, KW] fit to the window and to a map?

    Raises:
        ValueError: they do not.
    """
    fits = len(shape) == 4 and shape[2:] == window.kernel and groups > 0 and shape[0] > 0
    if not fits or x.channels != shape[1] * groups or shape[0] % groups:
        raise ValueError(f"weights {shape}, groups {groups} on {x}")


def correlate(patches: Array, weight: Array, groups: int) -> Array:
    """Sum of patches [N, C, OH, OW, KH, KW] times weight [O, C/groups, KH, KW]: [N, O, OH, OW]."""
    n, c, oh, ow = patches.shape[:4]
    o = weight.shape[0]
    outputs = []
    for g in range(groups):
        rows = patches[:, g * c // groups : (g + 1) * c // groups].transpose(0, 2, 3, 1, 4, 5)
        columns = weight[g * o // groups : (g + 1) * o // groups].reshape(o // groups, -1)
        outputs.append(rows.reshape(n * oh * ow, -1) @ columns.T)
    sums = np.concatenate(outputs, axis=1).reshape(n, oh, ow, o)
    return np.asarray(sums.transpose(0, 3, 1, 2))
