"""What each node of the graph becomes on each exporter: operators of model.tflite, kernels of the C runtime."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from r2b_edge.errors import UnsupportedError
from r2b_edge.exporters.c.build import Target, build_program
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.inspection.model import Becomes, Unsupported

EPILOGUE = "epilogue"


@dataclass(frozen=True)
class Portable:
    """A stand-in for a target: the kernels that every CPU has."""

    name: str = "portable"
    families: tuple[str, ...] = ("portable",)
    cores: int = 1


@dataclass
class Fate:
    """What became of a graph.

    Args:
        tflite: operators by the name of the node; () for a node that is fused into another one.
        c: the kernel by the name of the node; EPILOGUE for a node that is fused into another one.
        refusals: what cannot be written.
        tflite_bytes: of the whole file; None where it cannot be written.
        c_bytes: of all constants in C; None where it cannot be written.
    """

    tflite: dict[str, tuple[str, ...]] = field(default_factory=dict)
    c: dict[str, str] = field(default_factory=dict)
    refusals: list[Unsupported] = field(default_factory=list)
    tflite_bytes: int | None = None
    c_bytes: int | None = None

    def of(self, node: Node | None) -> Becomes:
        """What became of one node."""
        name = node.name if node is not None else ""
        return Becomes(tflite=self.tflite.get(name), c=self.c.get(name))


def fate(graph: Graph, target: Target, illegal: Collection[str]) -> Fate:
    """Let both exporters write the graph; where one refuses it, node by node.

    Args:
        graph: after the passes.
        target: for the C exporter's choice of kernels.
        illegal: nodes that no exporter knows (see `legal.faults`).
    """
    result = Fate()

    def tflite(part: Graph) -> int:
        model = convert(part)
        for step in model.steps:
            result.tflite |= dict.fromkeys(step.nodes, ()) | {step.nodes[0]: step.kernels}
        return len(model.data)

    def c(part: Graph) -> int:
        program = build_program(part, target, "inspected", {})
        for step in program.steps:
            result.c |= dict.fromkeys(step.nodes, EPILOGUE) | {step.layer: step.kernels[0]}
            if step.stream:
                result.c[step.stream.layer] = step.kernel
        return program.weight_bytes

    result.tflite_bytes = _write(graph, "tflite", tflite, illegal, result.refusals)
    result.c_bytes = _write(graph, "c", c, illegal, result.refusals)
    return result


def stored_bytes(graph: Graph, node: Node, kernel: str) -> int | None:
    """The weights of a node as a kernel stores them, without its bias; None for an epilogue."""
    entry = next((k for k in REGISTRY if k.name == kernel), None)
    if entry is None:
        return None
    fields = entry.pack(node.op, graph.type(node.inputs[0]), graph.type(node.output))
    arrays = (v for name, v in fields.items() if isinstance(v, np.ndarray) and name != "bias")
    return sum(array.nbytes for array in arrays)


def _write(
    graph: Graph,
    exporter: Literal["tflite", "c"],
    write: Callable[[Graph], int],
    illegal: Collection[str],
    refusals: list[Unsupported],
) -> int | None:
    """The bytes of the whole; None if it is refused, and then every node has been tried alone."""
    whole = ""
    if not illegal:
        try:
            return write(graph)
        except UnsupportedError as error:
            whole = str(error)
    before = len(refusals)
    for node in graph.nodes:
        if node.name in illegal:
            continue
        try:
            write(_piece(graph, node))
        except UnsupportedError as error:
            kind = type(node.op).__name__
            refusals.append(Unsupported(name=node.name, op=kind, stage=exporter, reason=str(error)))
    if whole and len(refusals) == before:  # each part is fine alone
        refusals.append(Unsupported(name=graph.name, op="model", stage=exporter, reason=whole))
    return None


def _piece(graph: Graph, node: Node) -> Graph:
    """A graph of one node, with the steps that make the bits which it reads."""
    producers = graph.producers()
    nodes = [node]
    for name in node.inputs:
        while graph.type(name).dtype == "bits" and name in producers:
            nodes.insert(0, producers[name])
            (name,) = producers[name].inputs
    made = {n.output for n in nodes}
    inputs = [name for n in nodes for name in n.inputs if name not in made]
    tensors = {name: graph.tensors[name] for name in (*inputs, *made)}
    return Graph(graph.name, list(dict.fromkeys(inputs)), [node.output], nodes, tensors)
