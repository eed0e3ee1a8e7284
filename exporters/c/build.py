"""A graph to a Program: fuse, choose kernels, give layouts, place in the arena, collect constants."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.exporters.c.assemble import step, workspaces
from r2b_edge.exporters.c.constants import Constants
from r2b_edge.exporters.c.kernels import REGISTRY, Kernel, Repack, choose
from r2b_edge.exporters.c.negotiate import Call, negotiate
from r2b_edge.exporters.c.plan import Buffer, Plan, Takeover, plan, share
from r2b_edge.exporters.c.program import Constant, Program, ProgramStep, ProgramTensor
from r2b_edge.exporters.c.select import Group, select
from r2b_edge.graph.graph import Graph, TensorType

RUNTIME_SOURCES = ("r2b.c", "r2b_epilogue.c")
CALL_SOURCES = {False: "r2b_call_unary.c", True: "r2b_call_pair.c"}
"""The functions of R2B_TILE_CALL, without and with an operand."""
ARENA_LIMIT = 2**31
"""Kernels index with int32_t."""
MOST_TENSORS = 2**16 - 1
MOST_OPERANDS = 2**8 - 1
"""What r2b_step can count: tensors of a model, and inputs or outputs of a step."""

RESERVED = frozenset({
    "r2b", "r2b_kernels", "port", "runner", "assert", "complex", "ctype", "errno", "fenv", "float", "inttypes",
    "iso646", "limits", "locale", "math", "setjmp", "signal", "stdalign", "stdarg", "stdatomic", "stdbool", "stddef",
    "stdint", "stdio", "stdlib", "stdnoreturn", "string", "tgmath", "threads", "time", "uchar", "wchar", "wctype",
    "pthread", "unistd",
})  # fmt: skip
"""Headers that model/<name>.h would hide."""


class Target(Protocol):
    """What the choice of kernels asks of a target."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def families(self) -> Sequence[str]:
        """Kernel families, the preferred one first."""


def check_name(name: str) -> str:
    """`name` if it can be a model's identifier in C.

    Raises:
        InputError: it cannot.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", name):
        raise InputError(
            f"{name!r} is no name for C",
            "take up to 48 of a to z, 0 to 9 and _, the first a letter (--name)",
        )
    if name in RESERVED:
        raise InputError(
            f"the name {name!r} would hide the header {name}.h", "take another one (--name)"
        )
    return name


def build_program(
    graph: Graph,
    target: Target,
    name: str,
    provenance: Mapping[str, str],
    registry: Iterable[Kernel] = REGISTRY,
    guard: int = 0,
) -> Program:
    """Decide everything about the C project of a graph.

    Args:
        graph: after the passes.
        target: gives the kernel families.
        name: the model's identifier in C.
        provenance: what the generated files state about their origin, in order.
        registry: the kernels to choose from.
        guard: bytes of the arena to leave free on both sides of each tensor and workspace, for tests.

    Raises:
        InputError: `name` is no C identifier.
        UnsupportedError: names the node that no kernel computes, or the arena's size.
    """
    check_name(name)
    kernels = tuple(registry)
    groups = select(graph)
    if not groups:
        raise UnsupportedError(f"{graph.name!r} has no layers: its outputs are its inputs")
    types = {n: tensor.type for n, tensor in graph.tensors.items()}

    def find(group: Group, y: TensorType) -> Kernel:
        return _kernel(group, types[group.source], y, target, kernels)

    chosen = [Call(group, find(group, types[group.chain[0]])) for group in groups]
    calls, layouts = negotiate(chosen, types, graph.inputs, find)
    alignment = max(call.kernel.alignment for call in calls)
    names = list(dict.fromkeys([*graph.inputs, *(n for call in calls for n in call.group.writes)]))
    sizes = {n: layouts[n].nbytes(types[n]) for n in names}
    offsets, works, memory = _memory(graph, calls, sizes, types, alignment, guard)
    if memory.bytes >= ARENA_LIMIT:
        raise UnsupportedError(
            f"{graph.name!r} needs an arena of {memory.bytes} bytes; the limit is 2 GiB"
        )

    values = {c.group.chain[0]: c.group.source for c in calls if isinstance(c.group.op, Repack)}
    constants = Constants(name)
    crowded = next(
        (
            c.group.nodes[0].name
            for c in calls
            if max(len(c.group.reads), len(c.group.writes)) > MOST_OPERANDS
        ),
        None,
    )
    if len(names) > MOST_TENSORS or crowded is not None:
        where = f"node {crowded!r}" if crowded else repr(graph.name)
        raise UnsupportedError(f"{where} has too many tensors for the C runtime's tables")
    steps = tuple(
        step(i, call, types, layouts, offsets, works[i], constants) for i, call in enumerate(calls)
    )
    tensors = tuple(
        ProgramTensor(n, values.get(n, n), types[n], layouts[n], offsets[n], sizes[n], i)
        for i, n in enumerate(names)
    )
    return Program(
        name=name,
        steps=steps,
        tensors=tensors,
        constants=constants.all,
        inputs=tuple(graph.inputs),
        outputs=tuple(graph.outputs),
        arena_bytes=memory.bytes,
        arena_bound_bytes=memory.bound,
        arena_alignment=alignment,
        weight_bytes=sum(c.array.nbytes for c in constants.all),
        sources=tuple(dict.fromkeys([*RUNTIME_SOURCES, *_sources(calls)])),
        provenance=dict(provenance),
        hash=_hash(steps, tensors, constants.all),
    )


def _kernel(
    group: Group, x: TensorType, y: TensorType, target: Target, registry: Sequence[Kernel]
) -> Kernel:
    tiles = [tile.kind for tile in group.tiles]
    kernel = choose(group.op, x, y, tiles, target.families, registry)
    if kernel is None:
        node = group.nodes[0]
        raise UnsupportedError(
            f"{type(node.op).__name__} {node.name!r} on {x}: the C runtime has no kernel for it",
            f"target {target.name!r} has the families {', '.join(target.families)}",
        )
    return kernel


def _sources(calls: Sequence[Call]) -> Iterator[str]:
    """The files of the kernels, and of the functions that epilogues call."""
    for call in calls:
        yield call.kernel.source
        yield from call.kernel.headers
        yield from call.kernel.others
        yield from (CALL_SOURCES[bool(t.by)] for t in call.group.tiles if t.kind == "CALL")


def _memory(
    graph: Graph,
    calls: Sequence[Call],
    sizes: Mapping[str, int],
    types: Mapping[str, TensorType],
    alignment: int,
    guard: int,
) -> tuple[dict[str, int], list[list[int]], Plan]:
    """Offsets of the tensors, of each step's workspaces, and the plan of the arena."""
    first = dict.fromkeys(graph.inputs, -1)
    last = dict.fromkeys(graph.inputs, -1)
    over_read = dict.fromkeys(sizes, 0)
    takeovers: list[Takeover] = []
    for i, call in enumerate(calls):
        last |= dict.fromkeys(call.group.reads, i)
        for name in call.group.writes:
            first[name] = last[name] = i
        for source in call.group.sources:
            over_read[source] = max(over_read[source], call.kernel.over_read)
        takeovers += _takeovers(i, call)
    last |= dict.fromkeys(graph.outputs, len(calls))

    # The prefixes keep a model's tensor from passing for a workspace.
    buffers = [
        Buffer(f"tensor {n}", size + over_read[n], first[n], last[n]) for n, size in sizes.items()
    ]
    merged, owner = share(buffers, takeovers)
    works = [
        [Buffer(f"work {i} {k}", size, i, i) for k, size in enumerate(workspaces(call, types))]
        for i, call in enumerate(calls)
    ]
    memory = plan([*merged, *(w for step in works for w in step)], alignment, guard)
    offsets = {n: memory.offsets[owner[f"tensor {n}"]] for n in sizes}
    return offsets, [[memory.offsets[w.name] for w in step] for step in works], memory


def _takeovers(index: int, call: Call) -> Iterator[Takeover]:
    """Stores that may go where an operand lay which the epilogue, or a pixelwise kernel, has read before.

    A kernel that is not pixelwise reads its source again for other pixels, so that nothing may go there.
    """
    group = call.group
    read_at = dict.fromkeys(group.sources, -1 if call.kernel.in_place else len(group.tiles))
    for k, tile in enumerate(group.tiles):
        if tile.operand:
            at = k if tile.reads_pixel else len(group.tiles)
            read_at[tile.operand] = max(at, read_at.get(tile.operand, -1))
    for k, tile in enumerate(group.tiles):
        if tile.kind == "STORE":
            yield from (
                Takeover(index, f"tensor {tile.result}", f"tensor {name}")
                for name, at in read_at.items()
                if at < k
            )


def _hash(
    steps: Sequence[ProgramStep], tensors: Sequence[ProgramTensor], constants: Sequence[Constant]
) -> bytes:
    """16 bytes over all that the generated code does, and nothing of where it came from."""
    digest = hashlib.sha256()
    for step_ in steps:
        tiles = [(t.kind, t.fields) for t in step_.epilogue]
        digest.update(json.dumps([step_.kernel, step_.fields, tiles, step_.pixels]).encode())
    for tensor in tensors:
        digest.update(json.dumps([tensor.offset, tensor.layout.name, tensor.type.shape]).encode())
    for constant in constants:
        digest.update(json.dumps([constant.symbol, constant.array.dtype.str]).encode())
        digest.update(constant.array.tobytes())
    return digest.digest()[:16]
