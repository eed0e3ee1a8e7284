"""Which layout each tensor gets, and the Repack steps where its readers want another one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from r2b_edge.exporters.c.kernels import Kernel, Repack
from r2b_edge.exporters.c.layout import NHWC, Layout
from r2b_edge.exporters.c.select import Group, Tile
from r2b_edge.graph.graph import Node, TensorType


@dataclass(frozen=True)
class Call:
    """A group with the kernel that computes it."""

    group: Group
    kernel: Kernel


def prefer(offered: Sequence[Layout], wanted: Iterable[Layout]) -> Layout:
    """Of the layouts that a writer offers (its favourite first) the one that most readers want."""
    readers = list(wanted)
    return max(offered, key=lambda layout: (readers.count(layout), -offered.index(layout)))


def negotiate(
    calls: Sequence[Call],
    types: dict[str, TensorType],
    inputs: Iterable[str],
    find: Callable[[Group, TensorType], Kernel],
) -> tuple[list[Call], dict[str, Layout]]:
    """Give every tensor a layout, and insert a Repack step before the first reader that wants another one.

    Args:
        calls: in execution order.
        types: of all tensors by name; repacked ones are added as "<tensor>@<layout>".
        inputs: the model's inputs, which lie as NHWC.
        find: the kernel of a Repack group on a type, or an error.

    Returns:
        The calls with their Repack steps, and the layout of each tensor.
    """
    wanted: dict[str, list[Layout]] = {}
    for call in calls:
        for name, layout in _reads(call, types):
            wanted.setdefault(name, []).append(layout)
    layouts = dict.fromkeys(inputs, NHWC)
    for call in calls:
        for name in call.group.writes:
            offered = [o for o in call.kernel.writes if o.bits == (types[name].dtype == "bits")]
            layouts[name] = prefer(offered, wanted.get(name, ()))

    done: list[Call] = []
    for call in calls:
        renamed: dict[str, str] = {}
        for name, layout in _reads(call, types):
            if layouts[name] == layout:
                continue
            renamed[name] = copy = f"{name}@{layout.name}"
            if copy not in layouts:
                types[copy] = types[name]
                group = _repack(name, copy, layouts[name], layout)
                done.append(Call(group, find(group, types[name])))
                layouts[copy] = layout
        done.append(Call(_rename(call.group, renamed), call.kernel))
    return done, layouts


def _reads(call: Call, types: dict[str, TensorType]) -> list[tuple[str, Layout]]:
    sources = [(name, call.kernel.reads) for name in call.group.sources]
    maps = [layout for layout in call.kernel.writes if not layout.bits]
    return [*sources, *((name, maps[0]) for name in call.group.operands)]


def _repack(name: str, copy: str, source: Layout, target: Layout) -> Group:
    node = Node(f"repack {name}", Repack(source, target), (name,), copy)
    return Group(name, node, [copy], tiles=[Tile("STORE", result=copy)])


def _rename(group: Group, names: dict[str, str]) -> Group:
    tiles = [dataclasses.replace(t, operand=names.get(t.operand, t.operand)) for t in group.tiles]
    source, *others = (names.get(name, name) for name in group.sources)
    return dataclasses.replace(group, source=source, others=others, tiles=tiles)
