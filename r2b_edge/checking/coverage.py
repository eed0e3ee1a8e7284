"""That an executor's steps leave nothing of a graph uncompared, except what is fused inside of a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from r2b_edge.checking.executor import ExecutorStep
from r2b_edge.graph.graph import Graph


def verify_coverage(executor: str, graph: Graph, steps: Sequence[ExecutorStep]) -> None:
    """Check that comparing the outputs of all steps, each on its given inputs, compares the whole graph.

    * Every node, so every BinaryConv, is in exactly one step.
    * A value that leaves its step, to another step or out of the network, or that nothing in the step reads, is among
      the step's outputs. What is left is inside of a fusion and shows in them.
    * A step writes values of its own nodes; one without nodes of the graph (a change of layout) writes its inputs anew.
    * What a step's nodes read and do not make is among the step's inputs: nothing else may reach them.

    Args:
        executor: its name, for the message.
        graph: what it runs.
        steps: its steps.

    Raises:
        AssertionError: says which node or value it is.
    """
    nodes = {node.name: node for node in graph.nodes}
    times = Counter(name for step in steps for name in step.nodes)
    for name in nodes:
        assert times[name] == 1, f"{executor}: {name} is in {times[name]} steps"
    readers = graph.consumers()
    for step in steps:
        assert step.outputs, f"{executor}: a step has no output to compare"
        inside = [nodes[name] for name in step.nodes if name in nodes]
        own = set(step.nodes)
        made = {node.output for node in inside}
        source = made if inside else set(step.inputs)
        for name in step.outputs:
            assert name in source, f"{executor}: {name!r} is no value of the step that writes it"
        for name in made - set(step.outputs):
            leaves = name in graph.outputs or any(node.name not in own for node in readers[name])
            fused = bool(readers[name]) and not leaves
            assert fused, f"{executor}: {name!r} is not compared"
        for name in {name for node in inside for name in node.inputs} - made:
            assert name in step.inputs, f"{executor}: a step reads {name!r}, which it is not given"
