"""Values exactly at a binarisation's threshold, counted with onnxruntime on samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from r2b_edge import ops
from r2b_edge.checking.executor import Values
from r2b_edge.frontend.reference import session
from r2b_edge.graph.graph import Array, Graph, Node
from r2b_edge.inspection.model import Level, Zeros
from r2b_edge.ops.base import per_channel
from r2b_edge.ops.binary import TINY


@dataclass(frozen=True, eq=False)
class Sign:
    """A binarisation of the model, as `binarize` has found it.

    Args:
        source: ONNX tensor before it.
        shape: the source's in the graph.
        threshold: float32 [C].
        result: ONNX tensor behind it.
        low: its lower level.
        high: its higher level.
    """

    source: str
    shape: tuple[int, ...]
    threshold: NDArray[np.float32]
    result: str
    low: float
    high: float


def signs(graph: Graph) -> dict[str, Sign]:
    """By the name of each binary layer: the binarisation that it reads. `graph` comes right from `binarize`."""
    producers = graph.producers()
    found: dict[str, Sign] = {}
    for finding in graph.findings:
        layer = next((n for n in graph.nodes if n.name == finding.name), None)
        step = _step(layer, producers) if layer is not None and finding.binary else None
        if step is None or not isinstance(step.op, ops.Step):
            continue
        source, result = graph.tensors[step.inputs[0]], graph.tensors[step.output]
        half, middle = float(np.max(result.origin.scale)), float(np.max(result.origin.offset))
        found[finding.name] = Sign(
            source.origin.onnx, source.type.shape, step.op.threshold, result.origin.onnx,
            middle - half, middle + half,
        )  # fmt: skip
    return found


def _step(layer: Node, producers: dict[str, Node]) -> Node | None:
    """Walk back over what only moves bits to the op that makes them."""
    node = producers.get(layer.inputs[0])
    while node is not None and len(node.inputs) == 1 and not isinstance(node.op, ops.Step):
        node = producers.get(node.inputs[0])
    return node


def count(
    model: onnx.ModelProto,
    shapes: Mapping[str, tuple[int, ...]],
    found: dict[str, Sign],
    samples: Iterable[Values],
) -> dict[str, Zeros]:
    """Run the model on samples: by layer, how many values lie at the threshold and what the model makes of them.

    Args:
        model: model.onnx.
        shapes: of its inputs, as the model has them.
        found: see `signs`.
        samples: inputs by name, in any shape of the right size.
    """
    tensors = dict.fromkeys(t for sign in found.values() for t in (sign.source, sign.result))
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    have = {value.name for value in (*model.graph.input, *model.graph.output)}
    observed.graph.output.extend(onnx.ValueInfoProto(name=t) for t in tensors if t not in have)
    runner = session(observed)
    names = [output.name for output in runner.get_outputs() if output.name in tensors]
    tallies = {name: _Tally() for name in found}
    for sample in samples:
        feed = {name: value.reshape(shapes[name]) for name, value in sample.items()}
        values = dict(zip(names, runner.run(names, feed), strict=True)) | feed
        for name, sign in found.items():
            tallies[name].add(sign, values[sign.source], values[sign.result])
    return {name: tally.zeros() for name, tally in tallies.items()}


class _Tally:
    def __init__(self) -> None:
        self._values = self._at = self._differ = 0
        self._levels: set[Level] = set()

    def add(self, sign: Sign, source: Array, result: Array) -> None:
        x, z = source.reshape(sign.shape), result.reshape(sign.shape)
        # Below TINY a threshold stands for 0 itself: sign(0) = -1 is a step at the next float above it.
        point = np.where(np.abs(sign.threshold) <= TINY, np.float32(0), sign.threshold)
        at = np.isfinite(x) & (x == per_channel(point, x))
        third = np.abs(z - (sign.low + sign.high) / 2) < (sign.high - sign.low) / 4
        up = z > (sign.low + sign.high) / 2
        self._values += x.size
        self._at += int(at.sum())
        self._differ += int(third.sum())
        hits: tuple[tuple[Level, Array], ...] = (
            ("0", third),
            ("+1", up & ~third),
            ("-1", ~up & ~third),
        )
        self._levels |= {level for level, where in hits if (at & where).any()}

    def zeros(self) -> Zeros:
        level: Level | None = "mixed" if len(self._levels) > 1 else next(iter(self._levels), None)
        return Zeros(
            values=self._values, at_threshold=self._at, model_gives=level, differ=self._differ
        )
