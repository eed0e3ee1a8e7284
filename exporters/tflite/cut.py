"""Cut pieces out of a TFLite file: a run of operators, with the tensors at its edges as inputs and outputs.

TFLite interpreters do not show intermediate tensors; a piece does, and makes each step checkable by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema

from r2b_edge.exporters.tflite.writer import serialize


class Cutter:
    """Reads a file once and cuts any number of pieces out of it.

    Args:
        data: a TFLite file with one subgraph.
    """

    def __init__(self, data: bytes) -> None:
        self._model = schema.ModelT.InitFromPackedBuf(data)
        (self._subgraph,) = self._model.subgraphs

    def cut(self, operators: range, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """A file of the operators [start, stop), with all that they need and no more.

        Args:
            operators: which operators to keep.
            inputs: indices of the tensors that become the piece's inputs.
            outputs: likewise.
        """
        kept = [copy.copy(o) for o in self._subgraph.operators[operators.start : operators.stop]]
        touched = {int(i) for o in kept for i in (*o.inputs, *o.outputs) if i >= 0}
        old = sorted(touched.union(inputs, outputs))
        place = {index: new for new, index in enumerate(old)} | {-1: -1}
        for operator in kept:
            operator.inputs = [place[int(i)] for i in operator.inputs]
            operator.outputs = [place[int(i)] for i in operator.outputs]

        tensors, buffers = [], [b""]
        for index in old:
            tensor = copy.copy(self._subgraph.tensors[index])
            stored = self._model.buffers[tensor.buffer].data
            tensor.buffer = 0
            if stored is not None and len(stored):
                tensor.buffer = len(buffers)
                buffers.append(stored.tobytes())
            tensors.append(tensor)
        subgraph = schema.SubGraphT(
            tensors=tensors,
            inputs=[place[i] for i in inputs],
            outputs=[place[i] for i in outputs],
            operators=kept,
        )
        model = schema.ModelT(
            version=self._model.version,
            operatorCodes=self._model.operatorCodes,
            subgraphs=[subgraph],
        )
        return serialize(model, buffers)
