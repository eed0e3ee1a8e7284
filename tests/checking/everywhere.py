"""One graph on every executor: the numpy oracle, LCE's interpreter, and the C program on the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from small_onnx import floats

from r2b_edge import targets
from r2b_edge.checking.c_program import CExecutor
from r2b_edge.checking.executor import Executor, GraphExecutor, Values
from r2b_edge.checking.lce import LceExecutor
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verifier
from r2b_edge.exporters import c as c_exporter
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph import Graph
from r2b_edge.pipeline import program_of
from r2b_edge.runners import connect
from r2b_edge.toolchain.build import build


def executors(graph: Graph, folder: Path) -> Iterator[tuple[str, Executor]]:
    """All of them, the C program on the host."""
    yield "graph", GraphExecutor(graph)
    if LceExecutor.available() is None:
        yield "tflite", LceExecutor(convert(graph))
    board = targets.load("host")
    program = program_of(graph, board, "forms", "0" * 64)
    c_exporter.write(program, board, folder / "c")
    runner = build(folder / "c", board, folder / "build").runner
    with connect("host", board).open(runner) as session:
        yield "c", CExecutor(program, session)


def compare(
    graph: Graph,
    reference: Reference,
    folder: Path,
    samples: Sequence[Values] | None = None,
    margin_ties: int = 1000,
) -> None:
    """All steps of all executors are exact on the samples, by default two random ones.

    Args:
        graph: after the passes.
        reference: for it.
        folder: for the C program.
        samples: inputs by name.
        margin_ties: how many bits may differ because they lie within rounding of their threshold.
    """
    random = np.random.default_rng(8)
    if samples is None:
        shapes = {name: graph.type(name).shape for name in graph.inputs}
        samples = [{n: floats(random, *shape) for n, shape in shapes.items()} for _ in range(2)]
    shown = [reference.run(sample) for sample in samples]
    for name, executor in executors(graph, folder):
        verifier = Verifier(name, executor, graph, reference)
        for values in shown:
            verifier.add(values)
        verdict = verifier.verdict
        wrong = [t for step in verdict.tallies for t in step if t.wrong or t.zeros]
        assert not wrong, f"{name}: {wrong[0]}"
        assert not verdict.faults
        assert verdict.margin_ties <= margin_ties, name
