"""Cones: the elementwise subgraph between one tensor and the input of a convolution, as a scalar function.

A cone has one source, so each channel of it is a function of one real variable, built from ops that are monotone or
smooth between their kinks. That is what the probe needs to know it completely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.graph import Array, Graph, Node
from r2b_edge.ops import ChannelAffine, Elementwise, Sigmoid

MAX_NODES = 128
Points = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Cone:
    """Elementwise nodes in execution order, from `source` to `output`.

    Args:
        nodes: see above.
        source: the tensor that the cone is a function of.
        output: the tensor that it computes.
        nudge: +1 or -1 to evaluate functions that runtimes approximate with 2 ulp more or less; 0: as numpy has them.
    """

    nodes: tuple[Node, ...]
    source: str
    output: str
    nudge: int = 0

    @property
    def approximates(self) -> bool:
        """True if it holds a function that runtimes round differently."""
        return any(map(_approximate, self.nodes))

    def evaluate(self, points: Points) -> dict[str, Array]:
        """All tensors of the cone at points [P, C]: one function a channel, P arguments each."""
        values: dict[str, Array] = {self.source: points}
        with np.errstate(all="ignore"):
            for node in self.nodes:
                value = node.op.reference(*(values[i] for i in node.inputs))
                if self.nudge and _approximate(node):
                    toward = np.float32(self.nudge * np.inf)
                    value = np.nextafter(np.nextafter(value, toward), toward)
                values[node.output] = value
        return values

    def kinks(self, values: dict[str, Array]) -> list[Array]:
        """The kink functions of all nodes, [P, C] each, from what `evaluate` gave."""
        with np.errstate(all="ignore"):
            return [
                np.asarray(kink)
                for node in self.nodes
                for kink in node.op.kinks(*(values[i] for i in node.inputs))
            ]


def _approximate(node: Node) -> bool:
    return isinstance(node.op, Sigmoid) or (
        isinstance(node.op, Elementwise) and node.op.kind in ("Tanh", "Pow")
    )


def cones(graph: Graph, output: str) -> Iterator[Cone]:
    """The cones that end in `output`, from the shallowest to the deepest.

    A source that others read too is not walked past, since what they read must be computed anyway; a ChannelAffine is,
    since thresholds absorb it for nothing.
    """
    producers = graph.producers()
    consumers = graph.consumers()
    position = {node.output: i for i, node in enumerate(graph.nodes)}
    shape = graph.type(output).shape
    inside: dict[str, Node] = {}
    frontier = {output}
    while len(inside) < MAX_NODES:
        open_ = [
            t
            for t in frontier
            if t in producers
            and producers[t].op.elementwise
            and all(graph.type(i).shape == shape for i in producers[t].inputs)
        ]
        if not open_ or len(open_) < len(frontier) - 1:
            return
        nearest = max(open_, key=position.__getitem__)
        node = producers[nearest]
        shared = any(reader.output not in inside for reader in consumers[nearest])
        if inside and frontier == {nearest} and shared and not isinstance(node.op, ChannelAffine):
            return
        inside[nearest] = node
        frontier = (frontier - {nearest}) | set(node.inputs)
        if len(frontier) == 1:
            (source,) = frontier
            if graph.type(source).dtype == "float32":
                nodes = sorted(inside.values(), key=lambda n: position[n.output])
                yield Cone(tuple(nodes), source, output)
