"""A TFLite flatbuffer, operator by operator; knows the file format and nothing of the graph.

What runtimes and viewers expect of a file, and gets written here: buffer 0 empty; buffers aligned to 16 bytes;
both fields of the built-in code; op versions; `min_runtime_version` in the metadata; a SignatureDef.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from r2b_edge.exporters.tflite.versions import min_runtime

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
ALIGNMENT = 16
ABSENT = -1
"""Index of an optional operator input that is not given."""

_TYPES = {
    "bool": schema.TensorType.BOOL,
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
}
_PLACEHOLDER = 127
"""In the old one-byte field: look at the new field. Schema: PLACEHOLDER_FOR_GREATER_OP_CODES."""


class Writer:
    """Collects tensors and operators of one subgraph, then gives the file's bytes."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[tuple[str, bool, int], int] = {}
        self._buffers: list[bytes] = [b""]
        self._buffer_of: dict[bytes, int] = {}
        self._constant_of: dict[tuple[str, tuple[int, ...], int], int] = {}
        self._names: set[str] = set()

    @property
    def operator_count(self) -> int:
        """Number of operators so far."""
        return len(self._operators)

    def kernels(self, operators: range) -> tuple[str, ...]:
        """Names of the operators in `operators`."""
        names = [name for name, _, _ in self._codes]
        return tuple(names[self._operators[i].opcodeIndex] for i in operators)

    def tensor(self, name: str, shape: Sequence[int], dtype: str) -> int:
        """Add a tensor that an operator will write; its index. The name is only a comment for viewers."""
        return self._add_tensor(name, tuple(shape), dtype, 0)

    def constant(self, name: str, value: NDArray[Any]) -> int:
        """Add a float32 or int32 constant; equal ones share a tensor, equal bytes share a buffer."""
        dtype = value.dtype.name
        data = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<")).tobytes()
        buffer = self._buffer(data)
        key = (dtype, value.shape, buffer)
        if key not in self._constant_of:
            self._constant_of[key] = self._add_tensor(name, value.shape, dtype, buffer)
        return self._constant_of[key]

    def builtin(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: tuple[str, Mapping[str, Any]] | None = None,
        version: int = 1,
    ) -> None:
        """Add a built-in operator.

        Args:
            kind: its name in the schema, such as "CONV_2D".
            inputs: tensor indices.
            outputs: tensor indices.
            options: name of the options table, such as "Conv2DOptions", and its fields.
            version: by TensorFlow's rules, see versions.py.
        """
        operator = self._add_operator((kind, False, version), inputs, outputs)
        if options is not None:
            table, fields = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, table + "T")(**fields)

    def custom(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Mapping[str, int]
    ) -> None:
        """Add a custom operator, its options as a flexbuffer map (none: no options)."""
        operator = self._add_operator((kind, True, 1), inputs, outputs)
        if options:
            packed = bytes(flexbuffers.Dumps(dict(options)))
            operator.customOptions = np.frombuffer(packed, dtype=np.uint8)

    def finish(
        self, inputs: Mapping[str, int], outputs: Mapping[str, int], description: str
    ) -> bytes:
        """The file.

        Args:
            inputs: tensor index by the name in the SignatureDef, in order.
            outputs: likewise.
            description: free text.
        """
        subgraph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=list(inputs.values()),
            outputs=list(outputs.values()),
            operators=self._operators,
            name="main",
        )
        signature = schema.SignatureDefT(
            inputs=[schema.TensorMapT(name, index) for name, index in inputs.items()],
            outputs=[schema.TensorMapT(name, index) for name, index in outputs.items()],
            signatureKey="serving_default",
            subgraphIndex=0,
        )
        used = {(kind, version) for kind, custom, version in self._codes if not custom}
        # TensorFlow reserves 16 bytes, NUL-padded.
        runtime = min_runtime(used).encode().ljust(16, b"\0")
        model = schema.ModelT(
            version=SCHEMA_VERSION,
            operatorCodes=[_operator_code(*code) for code in self._codes],
            subgraphs=[subgraph],
            description=description,
            metadata=[schema.MetadataT("min_runtime_version", len(self._buffers))],
            signatureDefs=[signature],
        )
        return serialize(model, [*self._buffers, runtime])

    def _add_tensor(self, name: str, shape: tuple[int, ...], dtype: str, buffer: int) -> int:
        self._tensors.append(
            schema.TensorT(
                shape=list(shape),
                type=_TYPES[dtype],
                buffer=buffer,
                name=unique(printable(name), self._names),
                hasRank=True,
            )
        )
        return len(self._tensors) - 1

    def _add_operator(
        self, code: tuple[str, bool, int], inputs: Sequence[int], outputs: Sequence[int]
    ) -> Any:
        index = self._codes.setdefault(code, len(self._codes))
        self._operators.append(
            schema.OperatorT(opcodeIndex=index, inputs=list(inputs), outputs=list(outputs))
        )
        return self._operators[-1]

    def _buffer(self, data: bytes) -> int:
        if data not in self._buffer_of:
            self._buffer_of[data] = len(self._buffers)
            self._buffers.append(data)
        return self._buffer_of[data]


def serialize(model: Any, buffers: Sequence[bytes]) -> bytes:
    """Bytes of a `ModelT` with these buffers, of which the first must be empty."""
    model.buffers = [_AlignedBuffer(data) for data in buffers]
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


class _AlignedBuffer:
    """Stands in for the schema's BufferT, whose Python code ignores the schema's `force_align: 16`."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the schema's name
        vector = 0
        size = len(self._data)
        if size:
            builder.StartVector(1, size, ALIGNMENT)
            builder.head -= size
            builder.Bytes[builder.head : builder.head + size] = self._data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if size:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def _operator_code(kind: str, custom: bool, version: int) -> Any:
    builtin = getattr(schema.BuiltinOperator, "CUSTOM" if custom else kind)
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=min(builtin, _PLACEHOLDER),
        builtinCode=builtin,
        customCode=kind if custom else None,
        version=version,
    )


def printable(name: str, limit: int = 100) -> str:
    """`name` in visible ASCII, at most `limit` characters: a model's names come from strangers."""
    return "".join(c if 32 < ord(c) < 127 else "_" for c in name[:limit]) or "_"


def unique(name: str, taken: set[str]) -> str:
    """`name`, or `name` with a number where it is taken; the answer is added to `taken`."""
    candidate, count = name, 1
    while candidate in taken:
        candidate, count = f"{name}_{count}", count + 1
    taken.add(candidate)
    return candidate
