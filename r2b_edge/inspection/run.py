"""`inspect`: what is binary in a model, what is not, and why. Nothing is written."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from r2b_edge import passes, targets
from r2b_edge.checking.executor import Values
from r2b_edge.checking.samples import SampleArrays, random_samples, read_samples, split_samples
from r2b_edge.frontend import LoadOptions
from r2b_edge.frontend.reference import random_inputs
from r2b_edge.graph.spec import verify
from r2b_edge.inspection import collect, zeros
from r2b_edge.inspection.fate import Portable, fate
from r2b_edge.inspection.model import Inspection, Samples, Source
from r2b_edge.inspection.reading import Reading, read
from r2b_edge.passes.legal import faults, legal
from r2b_edge.pipeline import load_model, shown_name
from r2b_edge.report.model import TensorInfo, Tool
from r2b_edge.version import __version__

Progress = Callable[[str], None]


def inspect(
    model: Any,
    example_inputs: Any = None,
    *,
    samples: str | os.PathLike[str] | SampleArrays | None = None,
    target: str | None = None,
    options: LoadOptions | None = None,
    binarize_weights: bool = False,
    progress: Progress = lambda stage: None,
) -> Inspection:
    """Look at a network as `export` would, and tell everything that can be found; a refusal is one of the findings.

    Args:
        model: a file in any form of docs/forms.md, or an nn.Module.
        example_inputs: for an nn.Module: the arguments of its forward, batch 1.
        samples: X.npy or its array, float32 or uint8, in the model's layout, first axis = samples; for several inputs
            X.npz or its arrays by name; None: 8 seeded.
        target: whose kernels to name; None: those of the family `portable`.
        options: how to read the file.
        binarize_weights: as in ExportOptions.
        progress: told about each stage.

    Raises:
        InputError: the file, the options or the samples cannot be read.
        UnsupportedError: the front end cannot turn the file into ONNX, so that nothing can be told of it.
    """
    board = Portable() if target is None else targets.load(target)
    given = None if samples is None else read_samples(samples)
    with tempfile.TemporaryDirectory(prefix="r2b-inspect-") as folder:
        onnx_path = Path(folder, "model.onnx")
        progress("exporting to ONNX")
        loaded = load_model(
            model, example_inputs, onnx_path, options or LoadOptions(), binarize_weights
        )
        progress("finding the binary layers")
        stem = shown_name(model)
        reading = read(onnx_path, stem)
    graph = reading.graph
    verify(graph, "from_onnx")
    passes.run(graph, passes.FINDING)
    signs = zeros.signs(graph)
    inputs = _samples(reading, given, bool(signs))
    passes.run(graph, [p for p in passes.CANONICAL if p not in (*passes.FINDING, legal)])
    illegal = faults(graph)
    fates = fate(graph, board, {node.name for node, _ in illegal})
    progress("counting zeros before signs")
    counted = zeros.count(reading.model, reading.shapes, signs, inputs)
    layers = tuple(collect.layers(reading, graph, fates, counted))
    unsupported = tuple(collect.unsupported(reading, illegal, fates))
    return Inspection(
        tool=Tool(name="r2b-edge", version=__version__),
        model=Source(
            file=stem,
            sha256=loaded.sha256,
            form=loaded.form,
            inputs=tuple(TensorInfo(**dataclasses.asdict(t)) for t in loaded.inputs),
            outputs=tuple(TensorInfo(**dataclasses.asdict(t)) for t in loaded.outputs),
        ),
        target=target,
        samples=Samples(count=len(inputs), seeded=given is None),
        layers=layers,
        parts=tuple(collect.parts(graph, fates)),
        unsupported=unsupported,
        totals=collect.totals(layers, fates, not unsupported),
        notes=tuple(loaded.notes),
    )


def _samples(reading: Reading, given: SampleArrays | None, needed: bool) -> list[Values]:
    """The samples as the user gives them, or seeded ones where a layer needs them."""
    whole = dataclasses.replace(reading.graph, inputs=list(reading.inputs))  # not where it was cut
    if given is None and not needed:
        return []
    others = {  # what the graph cannot hold
        name: value
        for name, value in random_inputs(reading.model).items()
        if name not in reading.inputs
    }
    samples = random_samples(whole) if given is None else split_samples(given, whole)
    return [sample | others for sample in samples]
