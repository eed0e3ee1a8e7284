"""What each node becomes: told as the exporters do it, and node by node where they refuse the whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from inspection_nets import mixed

from r2b_edge import passes, targets
from r2b_edge.exporters.c import build_program
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph import Graph
from r2b_edge.inspection.fate import EPILOGUE, Portable, fate


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return passes.run(mixed().graph(tmp_path))


def test_it_is_what_the_exporters_write(graph: Graph) -> None:
    board = targets.load("rpi4")
    result = fate(graph, board, ())
    model, program = convert(graph), build_program(graph, board, "net", {})
    assert set(result.tflite) == set(result.c) == {node.name for node in graph.nodes}
    assert result.refusals == []
    assert (result.tflite_bytes, result.c_bytes) == (len(model.data), program.weight_bytes)
    assert [result.tflite[step.nodes[0]] for step in model.steps] == [
        s.kernels for s in model.steps
    ]
    assert [result.c[step.layer] for step in program.steps] == [s.kernels[0] for s in program.steps]
    inside = {name for step in program.steps for name in step.nodes if name != step.layer}
    assert {result.c[name] for name in inside} == {EPILOGUE}


def test_a_refused_network_is_told_node_by_node(graph: Graph) -> None:
    """A target without kernels: everything can become TFLite, and nothing C."""
    result = fate(graph, Portable(families=("none",)), ())
    assert result.c == {}
    assert result.c_bytes is None
    assert result.tflite_bytes == len(convert(graph).data)
    assert {entry.stage for entry in result.refusals} == {"c"}
    layers = {finding.name for finding in graph.findings}
    assert layers <= {entry.name for entry in result.refusals}
    assert all("no kernel" in entry.reason for entry in result.refusals)


def test_what_no_exporter_knows_is_left_out(graph: Graph) -> None:
    """The other nodes are tried one by one, with the steps whose bits they read."""
    (illegal,) = [f.name for f in graph.findings if f.binary]
    result = fate(graph, Portable(), {illegal})
    assert {node.name for node in graph.nodes} - set(result.c) == {illegal}
    assert {node.name for node in graph.nodes} - set(result.tflite) == {illegal}
    assert result.refusals == []
    assert result.tflite_bytes is None
