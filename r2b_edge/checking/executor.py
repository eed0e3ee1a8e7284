"""What `check` asks of an executor: single steps on given inputs, and the whole network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from r2b_edge.graph import interpret
from r2b_edge.graph.graph import Array, Graph

Values = dict[str, Array]
"""Graph tensors by name, batch 1: float32, int32, or int8 in {-1, +1} for bits; NCHW."""


@dataclass(frozen=True)
class ExecutorStep:
    """One unit that can be run alone: the graph nodes that it covers, what it reads and what it writes."""

    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Executor(Protocol):
    """One way to run the network."""

    @property
    def steps(self) -> Sequence[ExecutorStep]:
        """All steps in execution order."""
        ...

    def run_step(self, index: int, inputs: Values) -> Values:
        """Run one step alone on its inputs; returns all of its outputs."""
        ...

    def run(self, inputs: Values) -> Values:
        """Run the whole network; returns the graph's outputs."""
        ...


class GraphExecutor:
    """The numpy oracle, one step a node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps = tuple(ExecutorStep((n.name,), n.inputs, (n.output,)) for n in graph.nodes)

    def run_step(self, index: int, inputs: Values) -> Values:
        """See Executor."""
        node = self.graph.nodes[index]
        return {node.output: node.op.reference(*(inputs[i] for i in node.inputs))}

    def run(self, inputs: Values) -> Values:
        """See Executor."""
        values = interpret.run(self.graph, inputs)
        return {name: values[name] for name in self.graph.outputs}


def chain(executor: Executor, inputs: Values) -> Values:
    """Run step by step, each on what the steps before it gave: all tensors at step boundaries."""
    values = dict(inputs)
    for index, step in enumerate(executor.steps):
        values.update(executor.run_step(index, {name: values[name] for name in step.inputs}))
    return values
