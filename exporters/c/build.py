"""A graph to a Program: fuse, choose kernels, give layouts, place in the arena, collect constants."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.exporters.c import split, stream
from r2b_edge.exporters.c.anchors import Repack
from r2b_edge.exporters.c.constants import Constants
from r2b_edge.exporters.c.in_place import trails
from r2b_edge.exporters.c.kernel import Kernel, choose
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.c.layout import BYTES, NHWC, Layout
from r2b_edge.exporters.c.negotiate import Call, negotiate
from r2b_edge.exporters.c.plan import Buffer, Plan, Takeover, plan, share
from r2b_edge.exporters.c.program import Constant, Program, ProgramStep, ProgramTensor
from r2b_edge.exporters.c.select import Group, select
from r2b_edge.graph.graph import Graph, TensorType
from r2b_edge.ops import Window

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


Streams: TypeAlias = Literal["smaller", "all", "none"]


class Target(Protocol):
    """What the choice of kernels asks of a target."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def families(self) -> Sequence[str]:
        """Kernel families, the preferred one first."""

    @property
    def cores(self) -> int:
        """Into how many tasks the work of a step is cut, at most."""


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
    streams: Streams = "smaller",
    worth: int = split.WORTH,
    exact_float: bool = False,
) -> Program:
    """Decide everything about the C project of a graph.

    Args:
        graph: after the passes.
        target: gives the kernel families and the number of cores.
        name: the model's identifier in C.
        provenance: what the generated files state about their origin, in order.
        registry: the kernels to choose from.
        guard: bytes of the arena to leave free on both sides of each tensor and workspace, for tests.
        streams: which calls that could be one step by rows are: where it makes the arena smaller, all or none.
        worth: the work from which on a step is cut into tasks, see split.WORTH.
        exact_float: without kernels that are not `exact`, see Kernel.

    Raises:
        InputError: `name` is no C identifier.
        UnsupportedError: names the node that no kernel computes, or the arena's size.
    """
    check_name(name)
    kernels = tuple(kernel for kernel in registry if kernel.exact or not exact_float)
    groups = select(graph)
    if not groups:
        raise UnsupportedError(f"{graph.name!r} has no layers: its outputs are its inputs")
    types = {n: tensor.type for n, tensor in graph.tensors.items()}

    def find(group: Group, y: TensorType) -> Kernel:
        return _kernel(group, types[group.source], y, target, kernels)

    lie = {name: BYTES if name in graph.uint8_inputs else NHWC for name in graph.inputs}

    def lay_out(chosen: Sequence[Call], types: dict[str, TensorType]) -> _Laid:
        cut = split.spread(chosen, types, target.cores, worth)
        return _lay_out(graph, *negotiate(cut, types, lie, find), types, guard)

    chosen: Sequence[Call] = [Call(group, find(group, types[group.chain[0]])) for group in groups]
    if streams == "all":
        chosen = stream.join(chosen, stream.pairs(graph, chosen, types))
    elif streams == "smaller":
        chosen = stream.choose(
            graph, chosen, types, lambda some: lay_out(some, dict(types)).memory.bytes
        )
    laid = lay_out(chosen, types)
    calls, layouts, memory = laid.calls, laid.layouts, laid.memory
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
            if max(len(c.reads), len(c.group.writes)) > MOST_OPERANDS
        ),
        None,
    )
    if len(laid.sizes) > MOST_TENSORS or crowded is not None:
        where = f"node {crowded!r}" if crowded else repr(graph.name)
        raise UnsupportedError(f"{where} has too many tensors for the C runtime's tables")
    steps = tuple(
        stream.step(i, call, types, layouts, laid.offsets, laid.works[i], constants)
        for i, call in enumerate(calls)
    )
    tensors = tuple(
        ProgramTensor(n, values.get(n, n), types[n], layouts[n], laid.offsets[n], size, i)
        for i, (n, size) in enumerate(laid.sizes.items())
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
        arena_alignment=laid.alignment,
        weight_bytes=sum(c.array.nbytes for c in constants.all),
        sources=tuple(dict.fromkeys([*RUNTIME_SOURCES, *_sources(calls, types)])),
        provenance=dict(provenance),
        hash=_hash(steps, tensors, constants.all),
    )


def _kernel(
    group: Group, x: TensorType, y: TensorType, target: Target, registry: Sequence[Kernel]
) -> Kernel:
    kernel = choose(group.op, x, y, group.tiles, target.families, registry)
    if kernel is None:
        node = group.nodes[0]
        raise UnsupportedError(
            f"{type(node.op).__name__} {node.name!r} on {x}: the C runtime has no kernel for it",
            f"target {target.name!r} has the families {', '.join(target.families)}",
        )
    return kernel


def _sources(calls: Sequence[Call], types: Mapping[str, TensorType]) -> Iterator[str]:
    """The files of the kernels, and of the functions that epilogues call."""
    for step in calls:
        if step.maker or split.row_tasks(step, types) > 1:
            yield "r2b_rows.c"
        for call in step.chain:
            yield call.kernel.source
            yield from call.kernel.headers
            yield from call.kernel.others
            yield from (CALL_SOURCES[bool(t.by)] for t in call.group.tiles if t.kind == "CALL")


@dataclass(frozen=True)
class _Laid:
    """Calls with a place for everything.

    Args:
        calls: in execution order, with their Repack steps.
        layouts: of the tensors.
        sizes: of the tensors, bytes, in the order of the model's table.
        offsets: of the tensors.
        works: offsets of each step's workspaces.
        alignment: of the arena.
        memory: the plan of the arena.
    """

    calls: Sequence[Call]
    layouts: Mapping[str, Layout]
    sizes: Mapping[str, int]
    offsets: Mapping[str, int]
    works: Sequence[Sequence[int]]
    alignment: int
    memory: Plan


def _lay_out(
    graph: Graph,
    calls: Sequence[Call],
    layouts: Mapping[str, Layout],
    types: Mapping[str, TensorType],
    guard: int,
) -> _Laid:
    alignment = max(part.kernel.alignment for call in calls for part in call.chain)
    names = dict.fromkeys([*graph.inputs, *(n for call in calls for n in call.group.writes)])
    sizes = {n: layouts[n].nbytes(types[n]) for n in names}
    offsets, works, memory = _memory(graph, calls, sizes, types, alignment, guard)
    return _Laid(calls, layouts, sizes, offsets, works, alignment, memory)


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
        last |= dict.fromkeys(call.reads, i)
        for name in call.group.writes:
            first[name] = last[name] = i
        first_call = call.chain[0]
        for source in first_call.group.sources:
            over_read[source] = max(over_read[source], first_call.kernel.over_read)
        takeovers += _takeovers(i, call, types)
    last |= dict.fromkeys(graph.outputs, len(calls))

    # The prefixes keep a model's tensor from passing for a workspace.
    buffers = [
        Buffer(f"tensor {n}", size + over_read[n], first[n], last[n]) for n, size in sizes.items()
    ]
    merged, owner = share(buffers, takeovers)
    works = [
        [
            Buffer(f"work {i} {k}", size, i, i)
            for k, size in enumerate(stream.workspaces(call, types))
        ]
        for i, call in enumerate(calls)
    ]
    memory = plan([*merged, *(w for step in works for w in step)], alignment, guard)
    offsets = {n: memory.offsets[owner[f"tensor {n}"]] for n in sizes}
    return offsets, [[memory.offsets[w.name] for w in step] for step in works], memory


def _takeovers(index: int, call: Call, types: Mapping[str, TensorType]) -> Iterator[Takeover]:
    """Stores that may go where an operand lay which the epilogue, or a pixelwise kernel, has read before.

    Another kernel reads its source again for other pixels, so that nothing may go there, unless it trails behind.
    """
    group = call.group
    free = call.kernel.in_place
    if call.kernel.trails:
        window = getattr(group.op, "window", None)
        assert isinstance(window, Window), f"{call.kernel.name} trails without a window"
        free = trails(window, types[group.source], types[group.chain[0]])
        free &= split.row_tasks(call, types) == 1  # a task trails behind itself only
    read_at = dict.fromkeys(group.sources, -1 if free else len(group.tiles))
    if call.maker:  # what it reads is read for every row, and its map is not stored
        read_at = dict.fromkeys(call.maker.reads, len(group.tiles))
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
    for step in steps:
        for part in (step, *((step.stream.maker,) if step.stream else ())):
            tiles = [(t.kind, t.fields) for t in part.epilogue]
            digest.update(json.dumps([part.function, part.fields, tiles, part.pixels]).encode())
        digest.update(json.dumps(step.stream.fields if step.stream else step.parts).encode())
    for tensor in tensors:
        digest.update(json.dumps([tensor.offset, tensor.layout.name, tensor.type.shape]).encode())
    for constant in constants:
        digest.update(json.dumps([constant.symbol, constant.array.dtype.str]).encode())
        digest.update(constant.array.tobytes())
    return digest.digest()[:16]
