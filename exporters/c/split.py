"""How a step is cut into tasks for threads: how many, and what memory they need; from its shapes alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from r2b_edge.exporters.c.kernel import Split
from r2b_edge.exporters.c.layout import chw
from r2b_edge.exporters.c.negotiate import Call
from r2b_edge.graph.graph import TensorType
from r2b_edge.ops import AvgPool, BinaryConv, Dense, FloatConv, MaxPool, QuantConv, Window

Types = Mapping[str, TensorType]

WORTH = 100_000
"""Multiply-adds, or 16 times as many binary ones, from which on a step is cut: some 20 us of a Cortex-A72, twice what
it takes to wake three threads and wait for them."""
BINARY = 16


def spread(calls: Sequence[Call], types: Types, cores: int, worth: int) -> list[Call]:
    """The calls, those with enough work for `cores` threads.

    Args:
        calls: in execution order.
        types: of the tensors.
        cores: of the target.
        worth: see WORTH.
    """
    if cores == 1:
        return list(calls)
    return [
        dataclasses.replace(
            call, cores=cores, maker=call.maker and dataclasses.replace(call.maker, cores=cores)
        )
        if sum(_work(part, types) for part in call.chain) >= worth
        else call
        for call in calls
    ]


def row_tasks(call: Call, types: Types) -> int:
    """Parts of its rows that a step is cut into: one if a kernel cannot be called so, or cuts its work itself."""
    if call.cores == 1:
        return 1
    for part in call.chain:
        if not part.kernel.by_rows or part.kernel.split or not sees_the_map(part, types):
            return 1
    _, height, _ = chw(types[call.group.chain[0]])
    return min(call.cores, height)


def reader_tasks(call: Call, types: Types) -> int:
    """Rows of a stream's reader that are tasks: those that a maker, which cuts its work itself, makes at once."""
    if call.maker is None or not call.maker.kernel.split or call.kernel.split or call.cores == 1:
        return 1
    _, height, _ = chw(types[call.group.chain[0]])
    ready = call.maker.kernel.rows_at_once // window_of(call).strides[0]
    return max(1, min(call.cores, ready, height))


def own_tasks(call: Call, types: Types) -> Split | None:
    """How a call's kernel cuts its work itself, if it can."""
    group, kernel = call.group, call.kernel
    if kernel.split is None:
        return None
    return kernel.split(group.op, types[group.source], types[group.chain[0]], call.cores)


def grid(rows: int, others: int, cores: int) -> tuple[int, int]:
    """Tasks over rows and over something else whose largest has the least; of equals the fewest, and most over rows."""
    shares = (
        (math.ceil(rows / r) * math.ceil(others / o), r * o, o, r)
        for r in range(1, min(rows, cores) + 1)
        for o in range(1, min(others, cores // r) + 1)
    )
    _, _, o, r = min(shares)
    return r, o


def share(everything: int, tasks: int, task: int) -> int:
    """The first row or the like of a task's share, as r2b_share in r2b_rows.h has it."""
    return everything // tasks * task + min(task, everything % tasks)


def window_of(call: Call) -> Window:
    """The window of a call that works by rows."""
    window = getattr(call.group.op, "window", None)
    assert isinstance(window, Window), f"{call.kernel.name} works by rows without a window"
    return window


def rows_read(window: Window) -> int:
    """From the first to the last row of a window."""
    return (window.kernel[0] - 1) * window.dilations[0] + 1


def sees_the_map(call: Call, types: Types) -> bool:
    """True if every window has rows inside of the map."""
    window = window_of(call)
    _, in_height, _ = chw(types[call.group.source])
    _, out_height, _ = chw(types[call.group.chain[0]])
    last = (out_height - 1) * window.strides[0] - window.pads[0]
    return window.pads[0] < rows_read(window) and last < in_height


def _work(call: Call, types: Types) -> int:
    """About how many multiply-adds, or the like, a call has."""
    op = getattr(call.group.op, "conv", call.group.op)
    outputs = math.prod(chw(types[call.group.chain[0]]))
    match op:
        case BinaryConv():
            return int(outputs * op.weight[0].size) // BINARY
        case FloatConv() | QuantConv() | Dense():
            return int(outputs * op.weight[0].size)
        case MaxPool() | AvgPool():
            return outputs * math.prod(op.window.kernel)
        case _:
            return outputs
