"""What a step can be anchored in beside ops of the graph: the exporter's own ops, made by selection and layouts."""

from __future__ import annotations

from dataclasses import dataclass

from r2b_edge.exporters.c.layout import Layout
from r2b_edge.ops import FloatConv, Op, Window
from r2b_edge.ops.base import Floats


class Pixelwise(Op):
    """The anchor of a step that is an epilogue only."""


@dataclass(frozen=True, eq=False)
class Repack(Op):
    """The anchor of a step that only changes a tensor's layout."""

    source: Layout
    target: Layout


@dataclass(frozen=True, eq=False)
class BytesConv(Op):
    """The anchor of a float convolution that reads bytes: value v of channel c stands for scale[c] * v + offset[c].

    The convolution's border is 0 after this map. scale and offset [C], or both None: v itself.
    """

    conv: FloatConv
    scale: Floats | None = None
    offset: Floats | None = None

    @property
    def window(self) -> Window:
        """Of the convolution."""
        return self.conv.window


def is_half(op: Op) -> bool:
    """True if the kernel gets the op's weights in half precision."""
    return bool(getattr(op.conv if isinstance(op, BytesConv) else op, "half", False))
