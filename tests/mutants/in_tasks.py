"""Bugs in how a step is cut into tasks, where these show on one thread; tests/c/test_threads.py has the threads."""

from __future__ import annotations

from planting import Mutant

_R2B = "real_to_binary_mcu"
_ROWS = "src/r2b_rows.c"

TASKS = (
    Mutant(
        "each task reads from the first row", _R2B, _ROWS,
        "part.input = parts->input + (uint32_t)part.skipped * parts->input_row;",
        "part.input = parts->input;", "Conv_0",
        "an offset that is 0 in the first task",
    ),
    Mutant(
        "sums of all tasks in one place", _R2B, _ROWS,
        "part.more = 1;\n    part.task = (uint16_t)task;", "part.more = 1;", "Conv_0",
        "a mean of the last task's rows",
    ),
    Mutant(
        "last task's rows not in the mean", _R2B, "src/r2b_epilogue.c",
        "task < tasks; task++", "task < tasks - 1; task++", "Conv_0",
        "one sum too few",
    ),
    Mutant(
        "rows that no task has", _R2B, "include/r2b_rows.h",
        "(task < rest ? task : rest)", "(task < rest ? task : 0)", "AveragePool_28",
        "rows that do not divide by the number of tasks",
    ),
)  # fmt: skip
