"""Buffers at the edges of what a memory protection unit can forbid (tests/c/mpu.c)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from r2b_edge.exporters.c import build
from r2b_edge.exporters.c.pack import align
from r2b_edge.exporters.c.plan import Buffer, Plan, plan

GRAIN = 32
"""Bytes: TEST_GRAIN of mpu.h."""
ELEMENT = 4
"""Bytes of a float or a word of bits: where a buffer begins that ends at an edge. Cortex-M asks for no more."""
CORTEX_M = ("dsp", "v7m", "v6m", "mve")
"""Families with assembly that AddressSanitizer does not see into."""


def _at_an_edge(buffers: Sequence[Buffer], alignment: int, guard: int = 0) -> Plan:
    """A plan whose offsets are multiples of GRAIN; a coin says whether a buffer begins or ends at such an edge."""
    assert alignment % GRAIN == 0
    found = plan(buffers, alignment, guard)
    rng = np.random.default_rng(len(buffers))
    at_end = {b.name: rng.random() < 0.5 for b in buffers}
    slack = {b.name: align(b.bytes, GRAIN) - align(b.bytes, ELEMENT) for b in buffers}
    offsets = {n: o + slack[n] * at_end[n] for n, o in found.offsets.items()}
    return dataclasses.replace(found, offsets=offsets)


@contextmanager
def at_edges() -> Iterator[None]:
    """Programs that are built meanwhile have their buffers so; their kernels' alignment is a multiple of GRAIN."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "plan", _at_an_edge)
        yield
