"""`--quantize-float`: calibrate on a user's samples, and rewrite model.onnx."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

import numpy as np
import onnx

from r2b_edge import passes
from r2b_edge.checking.executor import Values
from r2b_edge.checking.samples import SampleArrays, read_samples, split_samples
from r2b_edge.errors import InputError
from r2b_edge.frontend.reference import session
from r2b_edge.graph.graph import Graph
from r2b_edge.passes.quantize_float import Range
from r2b_edge.report.collect import listed

FLOAT_MODEL = "model_float.onnx"
"""The network as trained, beside the model.onnx that computes in integers."""
QUANTIZED = "quantize_float"
"""The option of the report that says that there is one."""


def quantize(
    model: onnx.ModelProto,
    graph: Graph,
    samples: str | os.PathLike[str] | SampleArrays,
) -> list[str]:
    """Let float layers compute in 8-bit integers; see passes/quantize_float.py.

    Args:
        model: the network in float32; it is rewritten.
        graph: made from it, after the passes.
        samples: for the ranges of the layers' inputs; as `check` takes them.

    Returns:
        Notes for the report.

    Raises:
        InputError: the samples do not fit, or there is no layer to quantise.
    """
    shown = split_samples(read_samples(samples), graph)
    layers, others = passes.quantizable(graph, model)
    seen = _ranges(model, graph, shown, {layer.source for layer in layers})
    refused = passes.quantize_float(model, layers, seen)
    for layer, reason in refused.items():
        others.setdefault(reason, []).append(layer)
    done = [layer.name for layer in layers if layer.name not in refused]
    stay = [
        f"{listed(names)} {'stays' if len(names) == 1 else 'stay'} float: {why}"
        for why, names in others.items()
    ]
    if not done:
        raise InputError(
            f"--quantize-float finds no layer to quantise{': ' if stay else ''}{'; '.join(stay)}",
            "export without it",
        )
    return [
        f"{listed(done)} {'computes' if len(done) == 1 else 'compute'} in 8-bit integers, calibrated on "
        f"{len(shown):,} sample{'' if len(shown) == 1 else 's'}; {FLOAT_MODEL} is the network as trained. "
        "model.tflite holds the same integers as float32",
        *stay,
    ]


def _ranges(
    model: onnx.ModelProto, graph: Graph, samples: Sequence[Values], names: Collection[str]
) -> dict[str, Range]:
    """The least and the largest value of ONNX tensors over all samples."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    have = {o.name for o in model.graph.output} | set(graph.inputs)
    shown.graph.output.extend(onnx.ValueInfoProto(name=n) for n in sorted(set(names) - have))
    run = session(shown)
    computed = sorted(set(names) - set(graph.inputs))
    low, high = dict.fromkeys(names, np.inf), dict.fromkeys(names, -np.inf)
    for sample in samples:
        feed = {
            n: np.asarray(v, np.float32).reshape(graph.own_shapes[n]) for n, v in sample.items()
        }
        made = run.run(computed, feed) if computed else []
        values = feed | dict(zip(computed, made, strict=True))
        for name in names:
            low[name] = min(low[name], float(values[name].min()))
            high[name] = max(high[name], float(values[name].max()))
    return {n: Range(low[n], high[n], whole=n in graph.uint8_inputs) for n in names}
