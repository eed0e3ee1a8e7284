"""Streaming: a kernel and the pool that alone reads its map, in one step, by rows: the map is never whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from r2b_edge.exporters.c import assemble
from r2b_edge.exporters.c.constants import Constants
from r2b_edge.exporters.c.layout import NHWC, Layout, chw
from r2b_edge.exporters.c.negotiate import Call
from r2b_edge.exporters.c.program import Literal, ProgramStep, ProgramStream
from r2b_edge.graph.graph import Graph, TensorType
from r2b_edge.ops import AvgPool, MaxPool, Window

Types = Mapping[str, TensorType]

_BY_PIXEL = ("EVERYWHERE", "BY_PIXEL")


def choose(
    graph: Graph, calls: Sequence[Call], types: Types, arena: Callable[[Sequence[Call]], int]
) -> Sequence[Call]:
    """The calls, with those pairs joined that make the arena smaller.

    What does not help stays apart: then each step is compared, and whole maps are the least work. Of all pairs that
    can be joined those are taken apart again, from the smallest map to the largest, that the arena does not need.

    Args:
        graph: what is computed.
        calls: in execution order, none joined.
        types: of its tensors.
        arena: bytes that calls need.
    """
    found = pairs(graph, calls, types)
    apart = arena(calls)
    if not found or (least := arena(join(calls, found))) >= apart:
        return calls
    for reader in sorted(found, key=lambda r: (NHWC.nbytes(types[calls[r].group.source]), r)):
        fewer = {r: m for r, m in found.items() if r != reader}
        if arena(join(calls, fewer)) <= least:
            found = fewer
    return join(calls, found)


def pairs(graph: Graph, calls: Sequence[Call], types: Types) -> dict[int, int]:
    """Readers and their makers, by position; no call is in two pairs, and larger maps come first."""
    readers: dict[str, list[int]] = {}
    for i, call in enumerate(calls):
        for name in call.reads:
            readers.setdefault(name, []).append(i)
    found: dict[int, int] = {}
    for i, call in sorted(
        enumerate(calls), key=lambda pair: -NHWC.nbytes(types[pair[1].group.chain[0]])
    ):
        (value, *others) = call.group.writes
        alone = not others and value not in graph.outputs and len(readers.get(value, ())) == 1
        reader = readers[value][0] if alone else i
        taken = {*found, *found.values()} & {i, reader}
        if alone and not taken and _can_join(call, calls[reader], value, types):
            found[reader] = i
    return found


def _can_join(maker: Call, reader: Call, value: str, types: Types) -> bool:
    """True if the two can be one step.

    The maker stores the value and nothing else, by operations that are the same for all pixels; the reader's kernel
    reads the value, and not its epilogue. The reader is a pool: it passes on the rounding of what it reads and no more,
    so that the step can be compared as closely as two would be.
    """
    kinds = [tile.kind for tile in maker.group.tiles]
    plain = kinds[-1] == "STORE" and not any(
        tile.kind.endswith("_MAP") or tile.by in _BY_PIXEL for tile in maker.group.tiles
    )
    return (
        plain
        and maker.kernel.by_rows
        and reader.kernel.by_rows
        and isinstance(reader.group.op, MaxPool | AvgPool)
        and reader.group.source == value
        and value not in reader.group.operands
        and all(_sees_the_map(call, types) for call in (maker, reader))
    )


def _window(call: Call) -> Window:
    window = getattr(call.group.op, "window", None)
    assert isinstance(window, Window), f"{call.kernel.name} works by rows without a window"
    return window


def _rows_read(window: Window) -> int:
    """From the first to the last row of a window."""
    return (window.kernel[0] - 1) * window.dilations[0] + 1


def _sees_the_map(call: Call, types: Types) -> bool:
    """True if every window has rows inside of the map."""
    window = _window(call)
    _, in_height, _ = chw(types[call.group.source])
    _, out_height, _ = chw(types[call.group.chain[0]])
    last = (out_height - 1) * window.strides[0] - window.pads[0]
    return window.pads[0] < _rows_read(window) and last < in_height


def join(calls: Sequence[Call], found: Mapping[int, int]) -> Sequence[Call]:
    """The calls with each maker in its reader's step; `found` is what `pairs` gives, or a part of it."""
    makers = set(found.values())
    return [
        dataclasses.replace(call, maker=calls[found[i]]) if i in found else call
        for i, call in enumerate(calls)
        if i not in makers
    ]


def workspaces(call: Call, types: Types) -> list[int]:
    """Bytes of the workspaces of a step: the kernel's and its means', then of a stream the maker's, and its rows."""
    own = assemble.workspaces(call, types)
    if call.maker is None:
        return own
    between = types[call.group.source]
    _, height, _ = chw(between)
    rows = min(_rows_read(_window(call)), height)
    return [*own, *assemble.workspaces(call.maker, types), rows * (NHWC.nbytes(between) // height)]


def step(
    index: int,
    call: Call,
    types: Types,
    layouts: Mapping[str, Layout],
    offsets: Mapping[str, int],
    works: Sequence[int],
    constants: Constants,
) -> ProgramStep:
    """assemble.step, for a stream as well as for a call alone; the arguments are the same."""
    if call.maker is None:
        return assemble.step(index, call, types, layouts, offsets, works, constants)
    between, sizes = call.group.source, workspaces(call, types)
    own = len(assemble.workspaces(call, types))
    there = {**offsets, between: works[-1]}
    maker = assemble.step(
        index, call.maker, types, layouts, there, works[own:-1], constants, "_maker"
    )
    reader = assemble.step(index, call, types, layouts, there, works[:own], constants)
    source = call.maker.group.source
    fields: dict[str, Literal] = {
        "maker": maker.fields["window"],
        "reader": reader.fields["window"],
        "input": offsets[source],
        "input_row": layouts[source].nbytes(types[source]) // chw(types[source])[1],
        "buffer": works[-1],
        "buffer_row": NHWC.nbytes(types[between]) // chw(types[between])[1],
    }
    return dataclasses.replace(
        reader,
        layer=maker.layer,
        nodes=(*maker.nodes, *reader.nodes),
        inputs=tuple(call.reads),
        title=f"{maker.title}, by rows: {reader.title}",
        fields=_part(reader.fields),
        constants=tuple(dict.fromkeys([*maker.constants, *reader.constants])),
        works=tuple(zip(works, sizes, strict=True)),
        stream=ProgramStream(
            dataclasses.replace(maker, fields=_part(maker.fields)), reader.layer, fields
        ),
    )


def _part(fields: Mapping[str, Literal]) -> dict[str, Literal]:
    """A kernel's parameters for a part of its rows: what r2b_part has goes into them."""
    window = fields["window"]
    assert isinstance(window, dict)
    rows = {name: f"part->{name}" for name in ("in_height", "out_height", "pad_top")}
    part = {**fields, "window": {**window, **rows}, "input": "part->input"}
    if "count_height" in fields:
        part["count_height"] = f"{fields['count_height']} - part->skipped"
    return part
