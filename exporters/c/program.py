"""What the parts of the exporter exchange, and what `check` and the report read: a frozen Program."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from r2b_edge.exporters.c.layout import Layout
from r2b_edge.graph.graph import Array, TensorType

Literal: TypeAlias = "int | float | str | dict[str, Literal]"
"""A value of a field in C: a number, the symbol of a constant, or a nested struct."""


@dataclass(frozen=True)
class ProgramTensor:
    """A tensor in the arena.

    Args:
        name: unique; the graph tensor's name, with "@" and the layout behind it if it was repacked.
        value: the graph tensor whose values it holds.
        type: the graph tensor's type. Integers are stored as float32, exactly.
        layout: how it lies.
        offset: bytes from the arena's start.
        bytes: its size.
        index: its place in the model's table.
    """

    name: str
    value: str
    type: TensorType
    layout: Layout
    offset: int
    bytes: int
    index: int

    def pack(self, values: Array) -> builtins.bytes:
        """The bytes that stand for `values`, [1, C, H, W] or [1, C] as in the graph's interpreter."""
        return self.layout.pack(values, self.type)

    def unpack(self, data: builtins.bytes) -> Array:
        """The values that `data` holds: float32, int32, or int8 +-1 for bits."""
        return self.layout.unpack(data, self.type)


@dataclass(frozen=True, eq=False)
class Constant:
    """A const array in C, flat.

    Args:
        symbol: its name in C.
        array: uint32, float32, float16 or int8, of any shape.
        comment: what it is, for the reader.
    """

    symbol: str
    array: Array
    comment: str


@dataclass(frozen=True)
class TileOp:
    """An operation of a step's epilogue: its r2b_tile_kind and the fields of r2b_tile_op that it uses."""

    kind: str
    fields: dict[str, Literal]
    comment: str


@dataclass(frozen=True)
class ProgramStep:
    """One kernel call with its epilogue.

    Args:
        index: its place in the model's table.
        kernel: the kernel's name.
        function: what is called, r2b_<function>: the kernel's name, with _half behind it for weights in half precision.
        struct: the C type of its parameters.
        layer: the graph node that it computes; the first one of a step without convolution or pool.
        nodes: every graph node that it covers, by name.
        inputs: names of the tensors that it reads.
        outputs: names of the tensors that it writes.
        title: the layer in words, with its shapes.
        fields: the parameters in C.
        epilogue: the tile operations, in order.
        pixels: of the map that it computes.
        channels: of the map that it computes.
        constants: symbols of the constants that it uses.
        works: arena offset and bytes of each of its workspaces: the kernel's, then those of its means, then those of
            a stream: its maker's, and its rows.
        stream: the kernel before it in the same step, if there is one.
        tasks: that share its rows, and whose means the step adds up.
        concurrent: tasks that may run at the same time, those that its kernel makes itself among them.
        parts: of r2b_parts, in C, where these are more than one and there is no stream.
    """

    index: int
    kernel: str
    function: str
    struct: str
    layer: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    title: str
    fields: dict[str, Literal]
    epilogue: tuple[TileOp, ...]
    pixels: int
    channels: int
    constants: tuple[str, ...]
    works: tuple[tuple[int, int], ...]
    stream: ProgramStream | None = None
    tasks: int = 1
    concurrent: int = 1
    parts: Mapping[str, Literal] | None = None

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernels that it calls: its own behind the one whose map that reads by rows."""
        return (self.stream.maker.kernel, self.kernel) if self.stream else (self.kernel,)

    @property
    def called(self) -> str:
        """These in words."""
        return " + ".join(self.kernels)


@dataclass(frozen=True)
class ProgramStream:
    """How a step's kernel reads the map of another one by rows, by r2b_by_rows.

    Args:
        maker: the call of the other one; its kernel, parameters and epilogue only.
        layer: the graph node that the reading kernel computes.
        fields: of r2b_rows, in C.
    """

    maker: ProgramStep
    layer: str
    fields: dict[str, Literal]


@dataclass(frozen=True, eq=False)
class Program:
    """A network as the C runtime runs it.

    Args:
        name: the C identifier.
        steps: in execution order.
        tensors: all tensors of the arena; the model's inputs come first.
        constants: each one once, however many steps use it.
        inputs: names of the model's input tensors.
        outputs: names of the model's output tensors.
        arena_bytes: what the caller provides.
        arena_bound_bytes: no plan of the same steps can do with less: the most that any step keeps alive.
        arena_alignment: of the arena's address.
        weight_bytes: all constants.
        sources: files of firmware_templates/kernels that it needs.
        provenance: what it was made from and by, in order.
        hash: 16 bytes that tell programs apart.
    """

    name: str
    steps: tuple[ProgramStep, ...]
    tensors: tuple[ProgramTensor, ...]
    constants: tuple[Constant, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arena_bytes: int
    arena_bound_bytes: int
    arena_alignment: int
    weight_bytes: int
    sources: tuple[str, ...]
    provenance: dict[str, str]
    hash: bytes

    @cached_property
    def tensor(self) -> dict[str, ProgramTensor]:
        """Tensors by name."""
        return {tensor.name: tensor for tensor in self.tensors}
