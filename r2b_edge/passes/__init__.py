"""Stage 3: rewrites of the graph. One file a pass, one line in a list.

The contract: a pass is a function `(Graph) -> None` that edits the graph in place, once, and leaves it well formed:

* what the outputs compute stays the same (bits exactly, floats within rounding), a test shows it with the interpreter;
  `half_weights`, which is asked for, is the exception;
* every tensor keeps an origin: a tensor that changes its meaning changes its origin with it;
* a pattern that the pass does not understand is left alone; what no pass understood is refused by `legal`.

`run` verifies the graph after each pass; a violation names the pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from r2b_edge.graph.graph import Graph
from r2b_edge.graph.spec import verify
from r2b_edge.passes.binarize import binarize
from r2b_edge.passes.flip_steps import flip_steps
from r2b_edge.passes.float_border import float_border
from r2b_edge.passes.fold_affine import fold_affine
from r2b_edge.passes.gate_scale import gate_scale
from r2b_edge.passes.gelu import gelu
from r2b_edge.passes.half_weights import half_weights
from r2b_edge.passes.hoist_mean import hoist_mean
from r2b_edge.passes.input_affine import scale_input
from r2b_edge.passes.latent_weights import binarize_weights
from r2b_edge.passes.legal import legal
from r2b_edge.passes.lower import lower
from r2b_edge.passes.quantize_float import quantizable, quantize_float
from r2b_edge.passes.select import select
from r2b_edge.passes.staircase import staircases
from r2b_edge.passes.trim_kernel import trim_kernel

__all__ = [
    "CANONICAL", "FINDING", "HALVES", "Pass", "binarize_weights", "quantizable", "quantize_float", "run",
    "scale_input",
]  # fmt: skip

Pass = Callable[[Graph], None]

FINDING: Sequence[Pass] = (binarize,)
"""What fills `graph.findings`: the beginning of CANONICAL."""

CANONICAL: Sequence[Pass] = (
    binarize,
    staircases,
    select,
    gelu,
    lower,
    float_border,
    hoist_mean,
    fold_affine,
    gate_scale,
    trim_kernel,
    flip_steps,
    legal,
)
"""What every exporter gets."""

HALVES: Sequence[Pass] = tuple(
    step for one in CANONICAL for step in ((half_weights, one) if one is trim_kernel else (one,))
)
"""The same for `--float-storage fp16`: after all that scales weights, before what cuts them."""


def run(graph: Graph, passes: Sequence[Pass] = CANONICAL) -> Graph:
    """Apply the passes in order; the graph is edited in place and returned.

    Raises:
        UnsupportedError: an op is left that no exporter can express.
    """
    for step in passes:
        step(graph)
        graph.prune()
        verify(graph, step.__name__)
    return graph
