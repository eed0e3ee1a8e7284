"""The geometry attributes that convolutions and pools share."""

from __future__ import annotations

from r2b_edge.graph.from_onnx import Attributes
from r2b_edge.ops.windows import Window


def read_window(attrs: Attributes, kernel: tuple[int, ...], size: tuple[int, ...]) -> Window:
    """The window that a node's attributes describe.

    Args:
        attrs: strides, dilations, pads and auto_pad of a Conv or a pool.
        kernel: its height and width; its length alone on a signal, which is a map of height 1.
        size: height and width of the map, which auto_pad needs.

    Raises:
        ValueError: it has more than two dimensions, or its pads are negative.
    """
    rank = len(kernel)
    if rank not in (1, 2):
        raise ValueError(f"a kernel of rank {rank}; one and two dimensions are supported")
    strides = tuple(attrs.get("strides", (1,) * rank))
    dilations = tuple(attrs.get("dilations", (1,) * rank))
    pads = tuple(attrs.get("pads", (0, 0) * rank))
    if rank == 1:
        kernel, strides, dilations = (1, *kernel), (1, *strides), (1, *dilations)
        pads = (0, pads[0], 0, pads[1])
    auto = attrs.get("auto_pad", b"NOTSET").decode()
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            max(
                (-(-size[i] // strides[i]) - 1) * strides[i]
                + (kernel[i] - 1) * dilations[i]
                + 1
                - size[i],
                0,
            )
            for i in range(2)
        ]
        low = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in totals]
        pads = (low[0], low[1], totals[0] - low[0], totals[1] - low[1])
    elif auto == "VALID":
        pads = (0, 0, 0, 0)
    if min(pads) < 0:
        raise ValueError(f"negative pads {list(pads)}")
    return Window((kernel[0], kernel[1]), strides, pads, dilations)
