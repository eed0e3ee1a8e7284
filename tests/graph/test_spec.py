"""verify: one violation for each of its rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from r2b_edge import ops
from r2b_edge.graph import Graph, Node, Origin, Tensor, TensorType
from r2b_edge.graph.spec import SpecError, verify

MAP = TensorType((1, 2, 3, 3))


def graph() -> Graph:
    """x -> relu -> y, and y -> sigmoid -> z."""
    g = Graph("net", ["x"], ["z"], [], {"x": Tensor("x", MAP, Origin("x"))})
    g.add("relu", ops.Clip(0.0, np.inf), ["x"], "y", Origin("y"))
    g.add("sigmoid", ops.Sigmoid(), ["y"], "z", Origin("z"))
    return g


def test_a_well_formed_graph_passes() -> None:
    verify(graph(), "import")


def untyped_input(g: Graph) -> None:
    g.inputs.append("w")


def duplicate_name(g: Graph) -> None:
    g.add("relu", ops.Sigmoid(), ["x"], "w", Origin("w"))


def wrong_order(g: Graph) -> None:
    g.nodes.reverse()


def written_twice(g: Graph) -> None:
    g.nodes.append(Node("again", ops.Sigmoid(), ("x",), "y"))


def input_written(g: Graph) -> None:
    g.nodes.append(Node("again", ops.Sigmoid(), ("y",), "x"))


def no_tensor(g: Graph) -> None:
    del g.tensors["z"]


def wrong_type(g: Graph) -> None:
    g.tensors["y"] = Tensor("y", TensorType((1, 2, 3, 4)), Origin("y"))


def wrong_dtype(g: Graph) -> None:
    g.tensors["z"] = Tensor("z", TensorType(MAP.shape, "bits"), Origin("z"))


def does_not_fit(g: Graph) -> None:
    op = ops.PReLU(np.ones(3, np.float32))
    g.nodes[0] = Node("relu", op, ("x",), "y")


def unwritten_output(g: Graph) -> None:
    g.outputs.append("w")


def lost_origin(g: Graph) -> None:
    g.tensors["y"] = Tensor("y", MAP, Origin(""))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (untyped_input, "input 'w' has no tensor"),
        (duplicate_name, "two nodes are called 'relu'"),
        (wrong_order, "Sigmoid 'sigmoid' reads 'y' before it is written"),
        (written_twice, "Sigmoid 'again' writes 'y' a second time"),
        (input_written, "Sigmoid 'again' writes 'x' a second time"),
        (no_tensor, "Sigmoid 'sigmoid': 'z' has no tensor"),
        (wrong_type, r"gives float32\[1, 2, 3, 3\], not float32\[1, 2, 3, 4\]"),
        (wrong_dtype, r"gives float32\[1, 2, 3, 3\], not bits\[1, 2, 3, 3\]"),
        (does_not_fit, "PReLU 'relu': constants of shape"),
        (unwritten_output, "output 'w' is never written"),
        (lost_origin, "'y' has lost its origin"),
    ],
)
def test_a_violation_names_the_pass_and_the_place(
    spoil: Callable[[Graph], None], says: str
) -> None:
    g = graph()
    spoil(g)
    with pytest.raises(SpecError, match=f"after a_pass: .*{says}"):
        verify(g, "a_pass")


def test_prune_keeps_what_the_outputs_need() -> None:
    g = graph()
    g.add("dead", ops.Sigmoid(), ["x"], "w", Origin("w"))
    g.prune()
    assert [n.name for n in g.nodes] == ["relu", "sigmoid"]
    assert set(g.tensors) == {"x", "y", "z"}


def test_fresh_names_are_free() -> None:
    g = graph()
    assert g.fresh("w") == "w"
    assert g.fresh("y") == "y~1"
