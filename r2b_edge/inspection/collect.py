"""From what was read and what became of it to an Inspection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import onnx

from r2b_edge import ops
from r2b_edge.errors import UnsupportedError
from r2b_edge.graph.findings import LayerFinding
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.inspection.fate import Fate, stored_bytes
from r2b_edge.inspection.model import Becomes, Layer, Part, Totals, Unsupported, Window, Zeros
from r2b_edge.inspection.reading import Reading, Refused
from r2b_edge.report.model import Shape

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
FLOAT_BYTES = 4


def layers(
    reading: Reading, graph: Graph, fate: Fate, zeros: Mapping[str, Zeros]
) -> Iterator[Layer]:
    """A Layer for every Conv, ConvTranspose, Gemm and MatMul of the model, in execution order.

    Args:
        reading: of model.onnx.
        graph: what it became after the passes.
        fate: what that becomes.
        zeros: by the name of the finding.
    """
    findings = {finding.output: finding for finding in graph.findings}
    nodes = {node.name: node for node in graph.nodes}
    refused = {entry.output: entry for entry in reading.refused}
    for node in reading.model.graph.node:
        if node.op_type not in LAYERS:
            continue
        output = node.output[0]
        finding = findings.get(output)
        ours = nodes.get(finding.name) if finding is not None else None
        shapes = (reading.shapes.get(node.input[0]), reading.shapes.get(output))
        weight = reading.weights.get(node.input[1])
        count = prod(weight) if weight is not None else None
        becomes = fate.of(ours)
        yield Layer(
            name=node.name or output,
            op=node.op_type,
            **_verdict(finding, refused.get(output)),
            input_shape=shapes[0],
            output_shape=shapes[1],
            window=_window(node, ours, weight),
            weights=count,
            zeros=zeros.get(finding.name) if finding is not None else None,
            macs=_macs(node, weight, *shapes),
            weights_float32_bytes=FLOAT_BYTES * count if count is not None else None,
            weights_stored_bytes=_stored(graph, ours, becomes),
            becomes=becomes,
        )


def parts(graph: Graph, fate: Fate) -> Iterator[Part]:
    """The nodes of the graph by kind and fate, in the order in which each kind first appears."""
    counted: Counter[tuple[str, Becomes]] = Counter(
        (type(node.op).__name__, fate.of(node)) for node in graph.nodes
    )
    kinds = list(dict.fromkeys(kind for kind, _ in counted))
    for (kind, becomes), count in sorted(counted.items(), key=lambda item: kinds.index(item[0][0])):
        yield Part(kind=kind, count=count, becomes=becomes)


def unsupported(
    reading: Reading, faults: Sequence[tuple[Node, UnsupportedError]], fate: Fate
) -> Iterator[Unsupported]:
    """All that stands in the way of an export."""
    for entry in reading.refused:
        yield Unsupported(name=entry.name, op=entry.op, stage="import", reason=entry.reason)
    for node, error in faults:
        kind = node.op.kind if isinstance(node.op, ops.Elementwise) else type(node.op).__name__
        yield Unsupported(name=node.name, op=kind, stage="graph", reason=str(error))
    yield from fate.refusals


def totals(found: tuple[Layer, ...], fate: Fate, exportable: bool) -> Totals:
    """Sums over the layers, and the sizes of the whole network where it can be exported."""
    binary = [layer for layer in found if layer.verdict == "binary"]
    return Totals(
        layers=len(found),
        binary_layers=len(binary),
        macs=sum(layer.macs or 0 for layer in found),
        binary_macs=sum(layer.macs or 0 for layer in binary),
        weights=sum(layer.weights or 0 for layer in found),
        binary_weights=sum(layer.weights or 0 for layer in binary),
        float32_bytes=sum(layer.weights_float32_bytes or 0 for layer in found),
        c_bytes=fate.c_bytes if exportable else None,
        tflite_bytes=fate.tflite_bytes if exportable else None,
    )


def _verdict(finding: LayerFinding | None, refused: Refused | None) -> dict[str, Any]:
    if finding is None:
        reason = refused.reason if refused is not None else "no output depends on it"
        return {
            "verdict": "unsupported", "reason": reason, "suspect": False, "note": None,
            "input_values": None, "border": None, "weights_kind": None, "zero_weights": None,
        }  # fmt: skip
    return {
        "verdict": finding.verdict,
        "reason": finding.reason or None,
        "suspect": finding.suspect,
        "note": finding.note or None,
        "input_values": finding.input_values or None,
        "border": finding.border,
        "weights_kind": finding.weights,
        "zero_weights": finding.zero_weights,
    }


def _window(node: onnx.NodeProto, ours: Node | None, weight: Shape | None) -> Window | None:
    """A convolution's; what the graph has knows of Pad nodes too."""
    if node.op_type not in ("Conv", "ConvTranspose") or weight is None:
        return None
    if ours is not None and isinstance(ours.op, ops.FloatConv | ops.BinaryConv):
        w = ours.op.window
        return Window(
            kernel=w.kernel, strides=w.strides, pads=w.pads, dilations=w.dilations,
            groups=ours.op.groups,
        )  # fmt: skip
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    kernel = weight[2:]
    return Window(
        kernel=kernel,
        strides=attributes.get("strides", (1,) * len(kernel)),
        pads=attributes.get("pads", (0, 0) * len(kernel)),
        dilations=attributes.get("dilations", (1,) * len(kernel)),
        groups=attributes.get("group", 1),
    )


def _macs(
    node: onnx.NodeProto, weight: Shape | None, x: Shape | None, y: Shape | None
) -> int | None:
    """Multiply-accumulates of one inference, padding counted."""
    if weight is None or not x or not y or not all((*x, *y)):
        return None
    match node.op_type:
        case "Conv":
            return prod(y) * prod(weight[1:])
        case "ConvTranspose":
            return prod(x) * prod(weight[1:])
        case "MatMul":
            return prod(y) * weight[-2 if len(weight) > 1 else 0]
    return prod(y) * prod(weight) // y[-1]


def _stored(graph: Graph, ours: Node | None, becomes: Becomes) -> int | None:
    return None if ours is None or becomes.c is None else stored_bytes(graph, ours, becomes.c)
