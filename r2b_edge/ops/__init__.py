"""The ops of the graph. An op is a frozen dataclass with a shape rule (`infer`) and a numpy `reference`.

To add one: its class here, one handler in graph/handlers, one emitter in each exporter. The contract:

* attributes and constants are fields; array fields are the constants that a backend stores;
* `infer` raises ValueError on types that do not fit (from_onnx turns it into a message that names the node);
* `reference` takes and gives numpy arrays for any batch size, and is the meaning of the op;
* an `elementwise` op names its breakpoints in `kinks`, or the probe cannot see through it.
"""

from r2b_edge.ops.base import Op
from r2b_edge.ops.binary import BinaryConv, BinaryMaxPool, Step
from r2b_edge.ops.elementwise import ChannelReduce, ConstantMap, Pairwise, Softmax, Unary
from r2b_edge.ops.floating import (
    Add,
    AvgPool,
    ChannelAffine,
    Clip,
    Dense,
    FloatConv,
    GlobalAvgPool,
    MaxPool,
    Mul,
    PReLU,
    Sigmoid,
)
from r2b_edge.ops.integers import QuantConv
from r2b_edge.ops.moving import Concat, Gather
from r2b_edge.ops.quantised import Select, Staircase
from r2b_edge.ops.raw import Elementwise, Reshape
from r2b_edge.ops.windows import Window

__all__ = [
    "Add", "AvgPool", "BinaryConv", "BinaryMaxPool", "ChannelAffine", "ChannelReduce", "Clip",
    "Concat", "ConstantMap", "Dense", "Elementwise", "FloatConv", "Gather", "GlobalAvgPool",
    "MaxPool", "Mul", "Op", "PReLU", "Pairwise", "QuantConv", "Reshape", "Select", "Sigmoid", "Softmax", "Staircase",
    "Step", "Unary", "Window",
]  # fmt: skip
