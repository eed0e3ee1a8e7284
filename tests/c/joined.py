"""Random pairs of layers that run as one step, by rows."""

from __future__ import annotations

from r2b_edge.exporters.c.kernel import Kernel
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.ops import (
    AvgPool,
    ChannelAffine,
    MaxPool,
)

from .cases import KERNEL_LAYERS, LAYERS, binary_conv, float_conv, pool_window
from .epilogues import epilogue, same_everywhere
from .harness import Builder

BY_ROWS = [kernel for kernel in REGISTRY if kernel.by_rows]
ROWS_A_KERNEL = 8


def rows(kernel: Kernel, seed: int) -> Graph:
    """Independent pairs of a layer and a pool that alone reads its map; nearly all can be one step.

    The kernel computes the layer, or it is the pool.
    """
    b = Builder(seed + 1000)
    pools, makers = [MaxPool, AvgPool], [float_conv, binary_conv]
    outputs: list[str] = []
    pairs = 0
    is_pool = kernel.op in pools
    some_refused = is_pool or not kernel.exact
    while pairs < (2 * ROWS_A_KERNEL if some_refused else 3 * ROWS_A_KERNEL // 2):
        pool = kernel.op if is_pool else pools[pairs % 2]
        own = KERNEL_LAYERS.get(kernel.name, LAYERS[kernel.op])
        made = (makers[pairs % 2] if is_pool else own)(b)
        node = b.graph.producers()[made]
        kind = b.graph.type(made)
        if not kind.is_map or not sees_the_map(b.graph, node):
            outputs.append(made)
            continue
        pairs += 1
        if kind.dtype == "int32":
            made = b.add(ChannelAffine(b.floats(kind.channels), b.floats(kind.channels)), made)
        window = pool_window(b, *kind.shape[2:])
        outputs += epilogue(b, b.add(pool(window), same_everywhere(b, made)))
    return b.done(*dict.fromkeys(outputs))


def sees_the_map(graph: Graph, node: Node) -> bool:
    """True if each row of a window has rows of the map, or rows between them."""
    window = node.op.window
    _, _, height, _ = graph.type(node.inputs[0]).shape
    _, _, out_height, _ = graph.type(node.output).shape
    reach = (window.kernel[0] - 1) * window.dilations[0] + 1
    last = (out_height - 1) * window.strides[0] - window.pads[0]
    return window.pads[0] < reach and last < height
