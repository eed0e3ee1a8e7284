"""What a step may touch, and what is alive when: from a Program's tables anew, not from the planner that laid it out.

`request(program, first, last, pattern)` is what follows the arena in a request of mode 2 of harness.c. There the steps
run one by one; before each, all that is dead is filled with the pattern, so that the results are those of a plain run
only if nothing dead is read; while it runs, nothing but the step's own inputs, outputs and workspaces may be accessed
(AddressSanitizer) or changed (any build).

    arena = filled(program, program.inputs, values)
    (plain,) = models.run([(program, 0, 0, last, arena)])
    (watched,) = models.run([(program, 2, 0, last, arena + request(program, 0, last, NAN))])
    assert results(program, plain) == results(program, watched)

A program that was built with `guard` has free bytes on both sides of each tensor and workspace: then an access one
element beside a buffer is seen too, as it cannot fall into another one.

AddressSanitizer's marks, and not a page without access behind the arena: a page is at one end of one buffer, the marks
are on both sides of every one, to the byte, and forbid reads of what is alive but not the step's. Where there is no
AddressSanitizer (clang's fast build, QEMU), a read beside a buffer shows if its NaN reaches a result.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from r2b_edge.exporters.c import Program
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.graph.graph import Array

KEPT, READ, WRITTEN = 1, 2, 4
"""Flags of a region: alive before the step; the step may read it; it may read and write it."""

NAN = 0xFFFFFFFF
"""The pattern of all ones: float32 NaN, bits -1, and bits set beyond the last channel. Other patterns seed noise."""
PATTERNS = (NAN, 0, 12345)

GUARD = 64
"""Bytes beside each buffer in programs that are built to be watched: more than any vector register."""

Region = tuple[int, int, int]
"""Offset in the arena, bytes, flags."""


def alive_before(program: Program, index: int) -> list[str]:
    """Inputs and tensors written before step `index` that are needed by it, by later steps or at the end."""
    written = {*program.inputs, *(name for s in program.steps[:index] for name in s.outputs)}
    needed = {*program.outputs, *(name for s in program.steps[index:] for name in s.inputs)}
    return [tensor.name for tensor in program.tensors if tensor.name in written & needed]


def regions(program: Program, index: int) -> list[Region]:
    """What is alive before step `index`, and what it may read and write."""
    step = program.steps[index]
    over_read = {kernel.name: kernel.over_read for kernel in REGISTRY}.get(step.kernels[0], 0)

    def of(names: Iterable[str], flags: int, more: int = 0) -> list[Region]:
        tensors = [program.tensor[name] for name in names]
        return [(t.offset, t.bytes + more, flags) for t in tensors]

    return [
        *of(alive_before(program, index), KEPT),
        *of(step.inputs, READ, over_read),
        *of(step.outputs, WRITTEN),
        *((offset, size, WRITTEN) for offset, size in step.works),
    ]


def request(program: Program, first: int, last: int, pattern: int = NAN) -> bytes:
    """What follows the arena in a watched request for the steps first..last."""
    return encode([regions(program, index) for index in range(first, last + 1)], pattern)


def encode(steps: Iterable[Iterable[Region]], pattern: int = NAN) -> bytes:
    """The same for regions of one's own, a list for each step."""
    parts = [struct.pack("I", pattern)]
    for step in steps:
        listed = list(step)
        parts.append(struct.pack("I", len(listed)))
        parts += [struct.pack("3I", *region) for region in listed]
    return b"".join(parts)


def filled(program: Program, names: Iterable[str], values: Mapping[str, Array]) -> bytes:
    """An arena with these tensors; every other float in it is NaN."""
    arena = bytearray(b"\xff" * program.arena_bytes)
    for name in names:
        t = program.tensor[name]
        arena[t.offset : t.offset + t.bytes] = t.pack(values[t.value])
    return bytes(arena)


def results(program: Program, arena: bytes) -> list[bytes]:
    """The bytes of the program's outputs."""
    tensors = [program.tensor[name] for name in program.outputs]
    return [arena[t.offset : t.offset + t.bytes] for t in tensors]
