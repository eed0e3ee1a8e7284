"""The arena: where each tensor and workspace lies, by lifetime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from r2b_edge.exporters.c.pack import align

SWAPS = 64
"""Rounds of improvement after the first placements."""


@dataclass(frozen=True)
class Buffer:
    """A piece of memory that is needed from step `first` to step `last`, both included.

    Step -1 is the moment before the first step, when the inputs are there.
    """

    name: str
    bytes: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """True if both are needed at some moment."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Plan:
    """Offsets by buffer name; `bytes` is the arena, `bound` the most that is alive in one step."""

    offsets: Mapping[str, int]
    bytes: int
    bound: int


@dataclass(frozen=True)
class Takeover:
    """At step `step`, `result` may take the storage of `operand` if nothing needs the operand later."""

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
        if not free or last[t.operand] != t.step or size[t.operand] != size[t.result]:
            continue
        taken.add(t.operand)
        owner[t.result] = owner[t.operand]
        ending = merged.pop(t.result)
        head = merged[owner[t.operand]]
        merged[head.name] = Buffer(
            head.name, max(head.bytes, ending.bytes), head.first, ending.last
        )
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
    sized = [Buffer(b.name, guard + align(b.bytes, alignment), b.first, b.last) for b in buffers]
    moments = {b.first for b in sized}
    bound = max((sum(b.bytes for b in sized if b.first <= m <= b.last) for m in moments), default=0)
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
    """Each buffer, in order, at the lowest offset that is free while it is needed."""
    offsets: dict[str, int] = {}
    done: list[Buffer] = []
    for buffer in order:
        offset = 0
        for other in sorted((b for b in done if b.meets(buffer)), key=lambda b: offsets[b.name]):
            if offset + buffer.bytes <= offsets[other.name]:
                break
            offset = max(offset, offsets[other.name] + other.bytes)
        offsets[buffer.name] = offset
        done.append(buffer)
    return offsets
