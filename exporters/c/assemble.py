"""One kernel call to one ProgramStep: offsets, constants, the epilogue's fields, and words for the reader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from r2b_edge.exporters.c import pack, split
from r2b_edge.exporters.c.constants import Constants
from r2b_edge.exporters.c.kernel import Field
from r2b_edge.exporters.c.layout import BITS128, Layout, chw
from r2b_edge.exporters.c.negotiate import Call
from r2b_edge.exporters.c.program import Literal, ProgramStep, TileOp
from r2b_edge.exporters.c.select import Group, Tile
from r2b_edge.graph.graph import Array, TensorType
from r2b_edge.ops import ChannelAffine, Clip, Concat, ConstantMap, PReLU, Staircase, Step, Window

Types = Mapping[str, TensorType]


def workspace(call: Call, types: Types) -> int:
    """Bytes of workspace of a call's kernel; one task of the step has as much."""
    group = call.group
    x, y = types[group.source], types[group.chain[0]]
    own = call.kernel.workspace(group.op, x, y)
    if call.kernel.fuse is not None:
        own += call.kernel.fuse(group.op, x, y, group.tiles).workspace
    if tasks := split.own_tasks(call, types):
        own += tasks.workspace
    return own


def workspaces(call: Call, types: Types, tasks: int = 1) -> list[int]:
    """Bytes of the workspaces that a call needs beside its tensors: the kernel's, then the sums of each mean.

    Args:
        call: a kernel's call.
        types: of the tensors.
        tasks: of the step, each with a workspace of the kernel.
    """
    group = call.group
    means = sum(tile.kind == "MEAN" for tile in group.tiles)
    own = split.own_tasks(call, types)
    sums = 2 * max(tasks, own.rows if own else 1) - 1
    size = workspace(call, types)
    return [
        size if tasks == 1 else tasks * pack.align(size),
        *[4 * types[group.chain[0]].channels * sums] * means,
    ]


def step(
    index: int,
    call: Call,
    types: Types,
    layouts: Mapping[str, Layout],
    offsets: Mapping[str, int],
    works: Sequence[int],
    constants: Constants,
    label: str = "",
) -> ProgramStep:
    """Everything that the templates need of a call.

    Args:
        index: of the step.
        call: the group and its kernel.
        types: of the tensors by name.
        layouts: of the tensors.
        offsets: of the tensors in the arena.
        works: offsets of its workspaces.
        constants: takes the constants up.
        label: comes into their names where a step has two calls.
    """
    group, kernel = call.group, call.kernel
    x, y = types[group.source], types[group.chain[0]]
    used: list[str] = []

    def constant(name: str, array: Array, comment: str) -> str:
        used.append(constants.add(f"step{index}{label}_{name}", array, comment))
        return used[-1]

    def field(name: str, value: Field) -> Literal:
        if isinstance(value, np.ndarray):
            return constant(name, value, f"{group.nodes[0].name}: {name} {list(value.shape)}")
        return dict(value) if isinstance(value, dict) else value

    parameters = dict(kernel.pack(group.op, x, y))
    absorbed: dict[str, Array] | None = None
    if kernel.fuse is not None:
        fusion = kernel.fuse(group.op, x, y, group.tiles)
        parameters |= fusion.fields
        absorbed = fusion.arrays
    own = split.own_tasks(call, types)
    if own is not None:
        parameters |= own.fields
    fields = {name: field(name, value) for name, value in parameters.items()}
    if kernel.several:
        sources = group.sources
        fields["inputs"] = field("inputs", np.array([offsets[n] for n in sources], np.uint32))
    else:
        fields["input"] = offsets[group.source]
    if isinstance(group.op, Concat):
        channels_of = np.array([types[n].channels for n in group.sources], np.uint32)
        fields |= {"parts": len(group.sources), "channels": field("channels", channels_of)}
    fields["work"] = works[0]

    sums = iter(works[1:])
    tiles = []
    left = group.tiles if absorbed is None else group.tiles[-1:]
    for k, tile in enumerate(left):
        values: dict[str, Literal] = {}
        for name, array in (_arrays(tile, y) if absorbed is None else absorbed).items():
            comment = f"{tile.node.name if tile.node else ''}: {_PURPOSE[tile.kind, name]}"
            values[name] = constant(f"tile{k}_{name}", array, comment)
        if tile.node and isinstance(tile.node.op, Clip):
            values |= {"low": float(tile.node.op.low), "high": float(tile.node.op.high)}
        if tile.node and isinstance(tile.node.op, Staircase):
            values["count"] = tile.node.op.thresholds.shape[1]
        if tile.call:
            values["call"] = f"r2b_call_{tile.call}"
        if tile.by:
            values["operand"] = f"R2B_{tile.by}"
        if tile.operand or tile.result:
            values["at"] = offsets[tile.operand or tile.result]
        if tile.kind == "MEAN":
            values["work"] = next(sums)
        kind = tile.kind
        if kind == "BITS" and layouts[tile.result] is BITS128:
            kind = "BITS128"
            values["count"] = chw(y)[2]
        tiles.append(TileOp(kind, values, tile.node.name if tile.node else tile.result))

    channels, height, width = chw(y)
    return ProgramStep(
        index=index,
        kernel=kernel.name,
        function=kernel.function(group.op),
        struct=kernel.struct,
        layer=group.nodes[0].name,
        nodes=tuple(node.name for node in group.nodes),
        inputs=tuple(group.reads),
        outputs=tuple(group.writes),
        title=_title(group, x, y),
        fields=fields,
        epilogue=tuple(tiles),
        pixels=height * width,
        channels=channels,
        constants=tuple(dict.fromkeys(used)),
        works=tuple(zip(works, workspaces(call, types), strict=True)),
        concurrent=1 if own is None else math.prod(own.fields.values()),
    )


_PURPOSE = {
    ("AFFINE", "a"): "scale",
    ("AFFINE", "b"): "offset",
    ("PRELU", "a"): "slope",
    ("BITS", "a"): "thresholds",
    ("BITS", "flip"): "inverted comparisons",
    ("CALL", "a"): "operand",
    ("CALL", "b"): "values",
}


def _arrays(tile: Tile, y: TensorType) -> dict[str, Array]:
    op = tile.node.op if tile.node else None
    channels = y.channels
    match op:
        case ConstantMap():
            return {"a": pack.constant_map(op.value, chw(y))}
        case Staircase():
            return {"a": pack.floats(op.thresholds.T), "b": pack.floats(op.values.T)}
        case ChannelAffine():
            return {"a": pack.floats(op.scale, channels), "b": pack.floats(op.offset, channels)}
        case PReLU():
            return {"a": pack.floats(op.slope, channels)}
        case Step():
            limits, flip = pack.thresholds(op)
            return {"a": limits, "flip": flip} if flip.any() else {"a": limits}
        case _:
            return {}


def _title(group: Group, x: TensorType, y: TensorType) -> str:
    name = type(group.op).__name__
    sizes = f"{_size(x)} -> {_size(y)}"
    window = getattr(group.op, "window", None)
    if isinstance(window, Window):
        kernel = "x".join(map(str, window.kernel))
        stride = "x".join(map(str, window.strides))
        return f"{name} {kernel} stride {stride}, {sizes}"
    return f"{name}, {sizes}"


def _size(kind: TensorType) -> str:
    channels, height, width = chw(kind)
    return f"{height}x{width}x{channels}" if kind.is_map else f"{channels}"
