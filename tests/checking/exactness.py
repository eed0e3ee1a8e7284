"""What the tests of the check share: a net, its graph, the reference and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from small_onnx import Net, floats

from r2b_edge import passes
from r2b_edge.checking.executor import Executor, GraphExecutor, Values, chain
from r2b_edge.checking.probes import PROBES
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verdict, Verifier
from r2b_edge.graph import Graph


def canonical(net: Net, folder: Path, *outputs: str) -> tuple[Graph, Reference]:
    """The graph after all passes, and the reference for it."""
    graph = passes.run(net.graph(folder, *outputs))
    return graph, Reference(folder / "model.onnx", graph)


def verdict_of(
    graph: Graph,
    reference: Reference,
    executor: Executor | None = None,
    samples: int = 3,
    labels: Sequence[int] | None = None,
    probes: int = PROBES,
) -> Verdict:
    """What the check says of an executor, by default of the numpy oracle, on random samples."""
    random = np.random.default_rng(8)
    verifier = Verifier("test", executor or GraphExecutor(graph), graph, reference, probes)
    for i in range(samples):
        inputs = {name: floats(random, *graph.type(name).shape) for name in graph.inputs}
        verifier.add(reference.run(inputs), None if labels is None else labels[i])
    return verifier.verdict


def inexact_steps(verdict: Verdict) -> list[int]:
    """Indices of the steps that are not exact."""
    return [i for i, step in enumerate(verdict.tallies) if not all(t.exact for t in step)]


class BySteps(GraphExecutor):
    """The oracle, whose whole runs go through its steps: what a test changes in a step shows in both."""

    def run(self, inputs: Values) -> Values:
        values = chain(self, inputs)
        return {name: values[name] for name in self.graph.outputs}
