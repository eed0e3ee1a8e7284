"""Makes a failing network small: fewer blocks, simpler fields, smaller numbers, as long as it fails.

Any sequence of blocks is a network, so that candidates need no care, and a whole batch of them costs one build.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .spec import Block, Net

BATCH = 16
Fails = Callable[[Sequence[Net]], Sequence[bool]]


def shrink(net: Net, fails: Fails, rounds: int = 60) -> Net:
    """The smallest network found, in at most so many batches, that still fails."""
    tried = {net}
    while rounds > 0:
        fresh = [c for c in dict.fromkeys(candidates(net)) if c not in tried]
        smaller = None
        for start in range(0, len(fresh), BATCH):
            batch = fresh[start : start + BATCH]
            tried.update(batch)
            rounds -= 1
            smaller = next((c for c, bad in zip(batch, fails(batch), strict=True) if bad), None)
            if smaller is not None or rounds <= 0:
                break
        if smaller is None:
            return net
        net = smaller
    return net


def candidates(net: Net) -> Iterator[Net]:
    """Simpler networks, the boldest first."""
    n = len(net.blocks)
    width = n
    while width:  # drop runs of blocks, long ones first
        for start in range(0, n - width + 1, width):
            rest = net.blocks[:start] + net.blocks[start + width :]
            if rest:
                yield dataclasses.replace(net, blocks=rest)
        width //= 2
    for field in ("seed", "shape"):
        for value in _simpler(getattr(net, field), 0 if field == "seed" else (1,) * len(net.shape)):
            yield dataclasses.replace(net, **{field: value})
    for field in ("half", "uint8", "quantised"):
        if getattr(net, field):
            yield dataclasses.replace(net, **{field: False})
    for i, block in enumerate(net.blocks):
        for simple in _simpler_blocks(block):
            yield dataclasses.replace(net, blocks=(*net.blocks[:i], simple, *net.blocks[i + 1 :]))


def _simpler_blocks(block: Block) -> Iterator[Block]:
    for field in dataclasses.fields(block):
        for value in _simpler(getattr(block, field.name), field.default):
            yield dataclasses.replace(block, **{field.name: value})


def _simpler(value: Any, default: Any) -> Iterator[Any]:
    """Towards the default: it at once, halfway, one less; a tuple also in one place alone."""
    if value == default:
        return
    yield default
    if isinstance(value, tuple):
        for i, (v, d) in enumerate(zip(value, default, strict=True)):
            for simple in _simpler(v, d):
                yield (*value[:i], simple, *value[i + 1 :])
    elif isinstance(value, int) and not isinstance(value, bool) and value > default:
        yield from dict.fromkeys([(value + default) // 2, value - 1])
