"""Which layout each tensor gets, and the Repack steps where its readers want another one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from r2b_edge.exporters.c.anchors import Repack
from r2b_edge.exporters.c.kernel import Kernel
from r2b_edge.exporters.c.layout import Layout
from r2b_edge.exporters.c.select import Group, Tile
from r2b_edge.graph.graph import Node, TensorType


@dataclass(frozen=True)
class Call:
    """A group with the kernel that computes it.

    Args:
        group: the nodes.
        kernel: computes them.
        maker: the call whose map it reads by rows in the same step, if there is one (see stream.py).
        cores: how many threads the step has work for, at most (see split.py).
    """

    group: Group
    kernel: Kernel
    maker: Call | None = None
    cores: int = 1

    @property
    def chain(self) -> tuple[Call, ...]:
        """The calls that make up the step, in order."""
        return (self.maker, self) if self.maker else (self,)

    @property
    def reads(self) -> list[str]:
        """Stored tensors that the step reads, each once: the first kernel's, then the epilogues'."""
        operands = [name for call in self.chain for name in call.group.operands]
        return list(dict.fromkeys([*self.chain[0].group.sources, *operands]))


def prefer(offered: Sequence[Layout], wanted: Iterable[Layout]) -> Layout:
    """Of the layouts that a writer offers (its favourite first) the one that most readers want."""
    readers = list(wanted)
    return max(offered, key=lambda layout: (readers.count(layout), -offered.index(layout)))


def negotiate(
    calls: Sequence[Call],
    types: dict[str, TensorType],
    inputs: Mapping[str, Layout],
    find: Callable[[Group, TensorType], Kernel],
) -> tuple[list[Call], dict[str, Layout]]:
    """Give every tensor a layout, and insert a Repack step before the first reader that wants another one.

    Args:
        calls: in execution order.
        types: of all tensors by name; repacked ones are added as "<tensor>@<layout>".
        inputs: the model's inputs, and how they lie.
        find: the kernel of a Repack group on a type, or an error.

    Returns:
        The calls with their Repack steps, and the layout of each tensor.
    """
    wanted: dict[str, list[Layout]] = {}
    for call in calls:
        for name, layout in _reads(call, types):
            wanted.setdefault(name, []).append(layout)
    layouts = dict(inputs)
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
        done.append(_rename(call, renamed))
    return done, layouts


def _reads(call: Call, types: dict[str, TensorType]) -> list[tuple[str, Layout]]:
    first = call.chain[0]
    sources = [(name, first.kernel.reads) for name in first.group.sources]
    operands = [
        (name, next(layout for layout in part.kernel.writes if not layout.bits))
        for part in call.chain
        for name in part.group.operands
    ]
    return [*sources, *operands]


def _repack(name: str, copy: str, source: Layout, target: Layout) -> Group:
    node = Node(f"repack {name}", Repack(source, target), (name,), copy)
    return Group(name, node, [copy], tiles=[Tile("STORE", result=copy)])


def _rename(call: Call, names: dict[str, str]) -> Call:
    group = call.group
    tiles = [dataclasses.replace(t, operand=names.get(t.operand, t.operand)) for t in group.tiles]
    source, *others = (names.get(name, name) for name in group.sources)
    group = dataclasses.replace(group, source=source, others=others, tiles=tiles)
    maker = call.maker and _rename(call.maker, names)
    return dataclasses.replace(call, group=group, maker=maker)
