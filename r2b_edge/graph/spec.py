"""What a well-formed graph is. `verify` runs after from_onnx and after every pass."""

from __future__ import annotations

from r2b_edge.graph.graph import Graph


class SpecError(AssertionError):
    """The graph is not well formed: a bug of ours, never a user's mistake."""


def verify(graph: Graph, after: str) -> None:
    """Check that names resolve, order is executable, types follow the ops' rules and origins are kept.

    Args:
        graph: the graph.
        after: the pass that ran last, for the message.

    Raises:
        SpecError: names the pass, the node, and the types on both sides.
    """

    def fail(text: str) -> None:
        raise SpecError(f"after {after}: {text}")

    ready = set(graph.inputs)
    for name in graph.inputs:
        if name not in graph.tensors:
            fail(f"input {name!r} has no tensor")
    names: set[str] = set()
    for node in graph.nodes:
        if node.name in names:
            fail(f"two nodes are called {node.name!r}")
        names.add(node.name)
        kind = type(node.op).__name__
        for name in node.inputs:
            if name not in ready:
                fail(f"{kind} {node.name!r} reads {name!r} before it is written")
        if node.output in ready:
            fail(f"{kind} {node.name!r} writes {node.output!r} a second time")
        if node.output not in graph.tensors:
            fail(f"{kind} {node.name!r}: {node.output!r} has no tensor")
        types = [graph.type(name) for name in node.inputs]
        try:
            rule = node.op.infer(*types)
        except ValueError as error:
            raise SpecError(f"after {after}: {kind} {node.name!r}: {error}") from error
        have = graph.type(node.output)
        if rule != have:
            fail(f"{kind} {node.name!r} on {', '.join(map(str, types))} gives {rule}, not {have}")
        ready.add(node.output)
    for name in graph.outputs:
        if name not in ready:
            fail(f"output {name!r} is never written")
    for name, tensor in graph.tensors.items():
        if not tensor.origin.onnx:
            fail(f"{name!r} has lost its origin")
