"""The arena: where each tensor and workspace lies, by lifetime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from r2b_edge.exporters.c.pack import align

SWAPS = 64
"""Rounds of improvement after the first placements."""


@dataclass(frozen=True)
class Buffer:
    """A piece of memory that is needed from step `first` to step `last`, both included.

    Step -1 is the moment before the first step, when the inputs are there. `shrinks` has pairs (moment, bytes),
    ascending in time and falling in size: from that moment on, only so many bytes at its beginning are needed.
    """

    name: str
    bytes: int
    first: int
    last: int
    shrinks: tuple[tuple[int, int], ...] = ()

    def meets(self, other: Buffer) -> bool:
        """True if both are needed at some moment."""
        return self.first <= other.last and other.first <= self.last

    def at(self, moment: int) -> int:
        """Bytes that are needed at a moment of its life, and no more are later."""
        return min([self.bytes, *(size for since, size in self.shrinks if since <= moment)])


@dataclass(frozen=True)
class Plan:
    """Offsets by buffer name; `bytes` is the arena, `bound` the most that is alive in one step."""

    offsets: Mapping[str, int]
    bytes: int
    bound: int


@dataclass(frozen=True)
class Takeover:
    """At step `step`, `result` may take the storage of `operand` if nothing needs the operand later.

    It begins where the operand does; where it is smaller, the rest is free after the step.
    """

    step: int
    result: str
    operand: str


def share(
    buffers: Sequence[Buffer], takeovers: Sequence[Takeover]
) -> tuple[list[Buffer], dict[str, str]]:
    """Let results take over their operands' storage where these end.

    Args:
        buffers: tensors.
        takeovers: candidates, in execution order; an earlier one wins.

    Returns:
        The buffers after merging, each under the name of its first tensor, and that name for every tensor.
    """
    merged = {b.name: b for b in buffers}
    last = {b.name: b.last for b in buffers}
    size = {b.name: b.bytes for b in buffers}
    owner = {b.name: b.name for b in buffers}
    taken: set[str] = set()
    for t in takeovers:
        free = t.operand not in taken and owner[t.result] == t.result
        if not free or last[t.operand] != t.step or size[t.operand] < size[t.result]:
            continue
        taken.add(t.operand)
        owner[t.result] = owner[t.operand]
        ending = merged.pop(t.result)
        head = merged[owner[t.operand]]
        less = ((t.step + 1, ending.bytes),) if ending.bytes < size[t.operand] else ()
        merged[head.name] = replace(head, last=ending.last, shrinks=head.shrinks + less)
    return list(merged.values()), owner


def plan(buffers: Sequence[Buffer], alignment: int, guard: int = 0) -> Plan:
    """Place buffers so that no two that are alive together overlap, in as little memory as found.

    Several greedy orders are tried, each buffer at the lowest place that is free during its life; then the buffers
    that reach the top are moved forward in the best order, round by round. Deterministic.

    Args:
        buffers: names are unique.
        alignment: of every offset.
        guard: bytes to leave free on both sides of every buffer, rounded up to the alignment.
    """
    # Each buffer has its guard before it, and the arena one at its end.
    guard = align(guard, alignment)

    def room(size: int) -> int:
        return guard + align(size, alignment)

    sized = [
        replace(b, bytes=room(b.bytes), shrinks=tuple((m, room(size)) for m, size in b.shrinks))
        for b in buffers
    ]
    # Only where a buffer begins can more be alive than before.
    moments = {b.first for b in sized}
    bound = max((sum(b.at(m) for b in sized if b.first <= m <= b.last) for m in moments), default=0)
    keys: list[Callable[[Buffer], tuple[int, ...]]] = [
        lambda b: (-b.bytes, b.first),
        lambda b: (-b.bytes * (b.last - b.first + 1), b.first),
        lambda b: (b.first, -b.bytes),
        lambda b: (b.first - b.last, -b.bytes),
        lambda b: (-b.last, -b.bytes),
    ]
    by_name = sorted(
        sized, key=lambda b: b.name
    )  # sorted() keeps it among equals: the order of `buffers` is no matter
    orders = [sorted(by_name, key=key) for key in keys]
    placed = [(_place(order), order) for order in orders]
    best, order = min(placed, key=lambda p: _top(p[0], sized))
    offsets = best
    for _ in range(SWAPS):
        if _top(best, sized) == bound:
            break
        high = [b for b in order if offsets[b.name] + b.bytes == _top(offsets, sized)]
        order = high + [b for b in order if b not in high]
        offsets = _place(order)
        best = min(best, offsets, key=lambda o: _top(o, sized))
    starts = {name: offset + guard for name, offset in best.items()}
    return Plan(starts, _top(best, sized) + guard, bound + guard)


def _top(offsets: Mapping[str, int], buffers: Sequence[Buffer]) -> int:
    return max((offsets[b.name] + b.bytes for b in buffers), default=0)


def _place(order: Sequence[Buffer]) -> dict[str, int]:
    """Each buffer, in order, at the lowest offset that is free while it is needed.

    Two buffers lie apart if they do at the first moment that needs both, as neither grows. With sizes a and b then, and
    b at offset o, the offsets of a strictly between o - a and o + b are taken.
    """
    offsets: dict[str, int] = {}
    done: list[Buffer] = []
    for buffer in order:
        taken = []
        for other in done:
            if buffer.meets(other):
                moment = max(buffer.first, other.first)
                at = offsets[other.name]
                taken.append((at - buffer.at(moment), at + other.at(moment)))
        offset = 0
        for below, above in sorted(taken):
            if offset <= below:
                break
            offset = max(offset, above)
        offsets[buffer.name] = offset
        done.append(buffer)
    return offsets
