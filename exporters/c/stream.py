"""Steps by rows: in tasks, or a kernel and the pool that alone reads its map, which is never whole then."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from r2b_edge.exporters.c import assemble, pack
from r2b_edge.exporters.c.constants import Constants
from r2b_edge.exporters.c.layout import NHWC, Layout, chw
from r2b_edge.exporters.c.negotiate import Call
from r2b_edge.exporters.c.program import Literal, ProgramStep, ProgramStream
from r2b_edge.exporters.c.select import Tile
from r2b_edge.exporters.c.split import (
    reader_tasks,
    row_tasks,
    rows_read,
    sees_the_map,
    share,
    window_of,
)
from r2b_edge.graph.graph import Graph, TensorType
from r2b_edge.ops import AvgPool, Clip, MaxPool, PReLU

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
        and all(sees_the_map(call, types) for call in (maker, reader))
    )


def join(calls: Sequence[Call], found: Mapping[int, int]) -> Sequence[Call]:
    """The calls with each maker in its reader's step; `found` is what `pairs` gives, or a part of it."""
    makers = set(found.values())
    return [
        _joined(calls[found[i]], call) if i in found else call
        for i, call in enumerate(calls)
        if i not in makers
    ]


def _joined(maker: Call, reader: Call) -> Call:
    """The reader with its maker, whose last operations run behind the pool where that changes nothing.

    A maximum is one of the values that it is taken of. What never falls where its argument rises, rounded or not,
    gives the maximum of its results there: it has fewer values to work on behind the pool.
    """
    tiles, store = maker.group.tiles[:-1], maker.group.tiles[-1]
    kept = len(tiles)
    if isinstance(reader.group.op, MaxPool):
        while kept and _rises(tiles[kept - 1]):
            kept -= 1
    before = dataclasses.replace(maker.group, tiles=[*tiles[:kept], store])
    behind = dataclasses.replace(reader.group, tiles=[*tiles[kept:], *reader.group.tiles])
    return dataclasses.replace(reader, group=behind, maker=dataclasses.replace(maker, group=before))


def _rises(tile: Tile) -> bool:
    """True if an operation never gives less for more: of what is known to, the usual ones."""
    op = tile.node.op if tile.node else None
    return isinstance(op, Clip) or (isinstance(op, PReLU) and bool((op.slope >= 0).all()))


def workspaces(call: Call, types: Types) -> list[int]:
    """Bytes of the workspaces of a step: the kernel's and its means', then of a stream the maker's, and its rows.

    Those of the kernels, and the rows, are as many times there as the step has tasks.
    """
    tasks = row_tasks(call, types)
    own = assemble.workspaces(call, types, max(tasks, reader_tasks(call, types)))
    if call.maker is None:
        return own
    maker = assemble.workspaces(call.maker, types, tasks)
    row = NHWC.nbytes(types[call.group.source]) // chw(types[call.group.source])[1]
    return [*own, *maker, tasks * _rows(call, types) * row]


def _rows(call: Call, types: Types) -> int:
    """The most rows that a task of a stream has at once: those that r2b_by_rows keeps, and those that it makes."""
    assert call.maker is not None
    window, tasks = window_of(call), row_tasks(call, types)
    _, height, _ = chw(types[call.group.source])
    _, out_height, _ = chw(types[call.group.chain[0]])
    most = end = 0
    firsts = {share(out_height, tasks, task) for task in range(tasks)}
    for y in range(out_height):
        origin = y * window.strides[0] - window.pads[0]
        top, bottom = max(origin, 0), min(origin + rows_read(window), height)
        end = max(0 if y in firsts else end, top)
        if end < bottom:
            end = min(end + pack.align(bottom - end, call.maker.kernel.rows_at_once), height)
            most = max(most, end - top)
    return most


def step(
    index: int,
    call: Call,
    types: Types,
    layouts: Mapping[str, Layout],
    offsets: Mapping[str, int],
    works: Sequence[int],
    constants: Constants,
) -> ProgramStep:
    """assemble.step, for a step in tasks and for a stream as well; the arguments are the same."""
    tasks, sizes = row_tasks(call, types), workspaces(call, types)
    if call.maker is None and tasks == 1:
        return assemble.step(index, call, types, layouts, offsets, works, constants)
    source = call.chain[0].group.source
    row = layouts[source].nbytes(types[source]) // chw(types[source])[1]
    placed = tuple(zip(works, sizes, strict=True))
    if call.maker is None:
        alone = assemble.step(index, call, types, layouts, offsets, works, constants)
        parts: dict[str, Literal] = {
            "window": alone.fields["window"],
            "input": offsets[source],
            "input_row": row,
            "tasks": tasks,
        }
        fields = _part(alone.fields, call, types, tasks)
        return dataclasses.replace(
            alone, fields=fields, works=placed, tasks=tasks, concurrent=tasks, parts=parts
        )
    between = call.group.source
    own = len(assemble.workspaces(call, types))
    there = {**offsets, between: works[-1]}
    maker = assemble.step(
        index, call.maker, types, layouts, there, works[own:-1], constants, "_maker"
    )
    reader = assemble.step(index, call, types, layouts, there, works[:own], constants)
    rows: dict[str, Literal] = {
        "maker": maker.fields["window"],
        "reader": reader.fields["window"],
        "input": offsets[source],
        "input_row": row,
        "buffer": works[-1],
        "buffer_row": NHWC.nbytes(types[between]) // chw(types[between])[1],
        "rows": _rows(call, types),
        "at_once": call.maker.kernel.rows_at_once,
        "tasks": tasks,
        "readers": reader_tasks(call, types),
    }
    readers = max(tasks, reader_tasks(call, types))
    made = _part(maker.fields, call.maker, types, tasks)
    return dataclasses.replace(
        reader,
        layer=maker.layer,
        nodes=(*maker.nodes, *reader.nodes),
        inputs=tuple(call.reads),
        title=f"{maker.title}, by rows: {reader.title}",
        fields=_part(reader.fields, call, types, readers),
        constants=tuple(dict.fromkeys([*maker.constants, *reader.constants])),
        works=placed,
        tasks=readers,
        concurrent=max(readers, maker.concurrent),
        stream=ProgramStream(dataclasses.replace(maker, fields=made), reader.layer, rows),
    )


def _part(
    fields: Mapping[str, Literal], call: Call, types: Types, tasks: int
) -> dict[str, Literal]:
    """A kernel's parameters for a part of its rows: what r2b_part has goes into them."""
    window = fields["window"]
    assert isinstance(window, dict)
    rows = {name: f"part->{name}" for name in ("in_height", "out_height", "pad_top")}
    part = {**fields, "window": {**window, **rows}, "input": "part->input"}
    if "count_height" in fields:
        part["count_height"] = f"{fields['count_height']} - part->skipped"
    if tasks > 1:
        size = pack.align(assemble.workspace(call, types))
        part["work"] = f"{fields['work']} + {size} * (uint32_t)part->task"
    return part
