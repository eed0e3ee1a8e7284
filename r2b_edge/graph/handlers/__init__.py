"""The ONNX handlers by theme: one function an op type, or one for a family of them.

Importing this package fills `from_onnx.HANDLERS`. To add an op: a function under `@handles("TheOp")` in the theme's
file. A handler raises ValueError with the reason where it cannot read a node; from_onnx names the node.
"""

from r2b_edge.graph.handlers import (  # noqa: F401
    arithmetic,
    elementwise,
    integers,
    layers,
    plain,
    pools,
    shapes,
)
