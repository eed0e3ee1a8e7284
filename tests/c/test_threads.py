"""Any number of threads gives the same bits; the pool runs each task once; no two tasks write to one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from r2b_edge.exporters.c import Program, build_program
from r2b_edge.exporters.c.split import grid
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import BinaryConv, FloatConv, GlobalAvgPool, MaxPool, Window

from .conftest import Programs, target_of
from .harness import (
    HERE,
    POOL,
    TOOLCHAINS,
    Builder,
    Models,
    Target,
    Toolchain,
    compile_all,
    run_program,
)
from .nets import random_inputs, real_to_binary
from .watch import filled, results

THREADS = (1, 2, 3, 4, 7)
SANITIZED = ("-O1", "-g", "-fsanitize=thread")
"""ThreadSanitizer."""
LINUX = [toolchain for toolchain in TOOLCHAINS if toolchain.has_threads]
AROUND = Window((3, 3), pads=(1, 1, 1, 1))


def check_threads(graph: Graph, program: Program, models: Models) -> None:
    """The outputs of all steps in a pool are those without one."""
    arena = filled(program, program.inputs, random_inputs(graph, seed=6))
    last = len(program.steps) - 1
    modes = (0, *(256 * threads for threads in THREADS))
    alone, *others = models.run([(program, mode, 0, last, arena) for mode in modes])
    for threads, other in zip(THREADS, others, strict=True):
        assert results(program, other) == results(program, alone), f"{program.name}, {threads}"


@pytest.mark.parametrize(
    "models",
    [t for t in TOOLCHAINS if t.has_threads and t.name != "clang"],  # whose C is the same as GCC's
    indirect=True,
    scope="session",
    ids=lambda t: t.name,
)
def test_the_number_of_threads_does_not_matter(models: Models, programs: Programs) -> None:
    able = [(g, p) for g, p in programs.values() if p.name in models.names]
    cut = [(g, p) for g, p in able if any(step.concurrent > 1 for step in p.steps)]
    assert len(cut) >= 10
    for graph, program in cut:
        check_threads(graph, program, models)


def test_tasks_keep_apart(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    """ThreadSanitizer sees no two threads at one place: a net, and a convolution read by rows, with means."""
    toolchain = Toolchain("gcc-threads", "gcc", SANITIZED)
    require_tool(*toolchain.tools)
    b = Builder(5)
    made = b.add(FloatConv(b.floats(20, 3, 3, 3), b.floats(20), AROUND), b.input(1, 3, 20, 9))
    pooled = b.add(MaxPool(Window((3, 3), (2, 2), (1, 1, 1, 1))), made)
    graphs = {
        "pair": b.done(pooled, b.add(GlobalAvgPool(), pooled)),
        "net": real_to_binary(size=16),
    }
    target = target_of("portable")
    made_of = {
        name: build_program(graph, target, name, {}, streams="all", worth=0)
        for name, graph in graphs.items()
    }
    assert all(step.tasks == 4 for step in made_of["pair"].steps)
    models = Models([*made_of.values()], toolchain, tmp_path)
    for name, graph in graphs.items():
        check_threads(graph, made_of[name], models)


@pytest.mark.parametrize(
    "toolchain",
    [Toolchain("gcc-threads", "gcc", SANITIZED), *(t for t in LINUX if t.name == "aarch64")],
    ids=lambda t: t.name,
)
def test_pool(toolchain: Toolchain, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    """Each task runs once a round, on as many threads as there are or as have a task; no nesting."""
    require_tool(*toolchain.tools)
    program = compile_all(
        toolchain,
        [HERE / "pool.c", POOL / "pool_linux.c"],
        [POOL, POOL.parent / "kernels"],
        tmp_path,
    )
    lines = [(t, n) for t in (1, 2, 3, 4, 7) for n in (0, 1, 2, 4, 5, 200)]
    asked = "".join(f"{threads} {count} 50\n" for threads, count in lines)
    told = run_program(toolchain, program, f"{asked}0 1 1\n".encode()).decode().splitlines()
    assert told == [*(f"{count} {min(threads, count)}" for threads, count in lines), "none"]
    for threads in (1, 2):
        with pytest.raises(AssertionError, match="asks for tasks while some are running"):
            run_program(toolchain, program, f"{threads} 1001 1\n".encode())


# ---- what is cut, and how ----


@pytest.mark.parametrize(
    ("rows", "runs", "cores", "cut"),
    [
        (56, 1, 4, (4, 1)),  # a quarter of the rows each
        (14, 2, 4, (2, 2)),  # 7 rows and half of the channels, instead of 4 rows of 14
        (7, 4, 4, (1, 4)),
        (1, 8, 4, (1, 4)),
        (3, 1, 4, (3, 1)),
        (5, 5, 1, (1, 1)),
    ],
)
def test_the_largest_share_is_small(rows: int, runs: int, cores: int, cut: tuple[int, int]) -> None:
    assert grid(rows, runs, cores) == cut


def conv(size: int, cores: int, outputs: int = 16) -> Program:
    b = Builder()
    made = b.add(
        FloatConv(b.floats(outputs, 8, 3, 3), b.floats(outputs), AROUND), b.input(1, 8, size, size)
    )
    return build_program(b.done(made, b.add(GlobalAvgPool(), made)), Target(cores=cores), "net", {})


def test_small_layers_are_not_cut() -> None:
    """8 * 9 * 16 products a pixel."""
    assert [step.tasks for step in conv(9, cores=4).steps] == [1]
    assert [step.tasks for step in conv(10, cores=4).steps] == [4]
    assert [step.tasks for step in conv(10, cores=1).steps] == [1]
    assert [step.tasks for step in conv(10, cores=64).steps] == [10]


def test_each_task_has_a_workspace_and_sums() -> None:
    whole, cut = conv(20, cores=1).steps[0].works, conv(20, cores=3).steps[0].works
    assert [size for _, size in whole] == [64, 64]
    assert [size for _, size in cut] == [3 * 64, 5 * 64]


def test_a_pool_in_tasks_does_not_trail_behind_itself() -> None:
    def pool(cores: int) -> Program:
        b = Builder()
        x = b.add(
            FloatConv(b.floats(16, 3, 1, 1), b.floats(16), Window((1, 1))), b.input(1, 3, 64, 64)
        )
        half = MaxPool(Window((2, 2), (2, 2)))
        return build_program(
            b.done(b.add(half, x)), Target(cores=cores), "net", {}, streams="none", worth=0
        )

    def shared(program: Program) -> bool:
        read, written = (program.tensor[n] for n in (*program.steps[-1].inputs, *program.outputs))
        return (
            written.offset < read.offset + read.bytes
            and read.offset < written.offset + written.bytes
        )

    assert shared(pool(1))
    assert not shared(pool(2))


def test_rows_that_are_made_at_once_are_read_by_tasks() -> None:
    """A Winograd stem cuts its own work, and makes four rows, of which the pool behind it has two."""
    b = Builder()
    window = Window((7, 7), (2, 2), (3, 3, 3, 3))
    made = b.add(FloatConv(b.floats(16, 3, 7, 7), b.floats(16), window), b.input(1, 3, 64, 64))
    pooled = b.add(MaxPool(Window((3, 3), (2, 2), (1, 1, 1, 1))), made)
    graph = b.done(pooled, b.add(GlobalAvgPool(), pooled))
    (step,) = build_program(graph, target_of("neon"), "net", {}, streams="all", worth=0).steps
    assert step.kernels == ("fconv_winograd_neon", "maxpool_neon")
    assert step.stream is not None
    assert (step.stream.fields["tasks"], step.stream.fields["readers"]) == (1, 2)
    assert (step.tasks, step.concurrent) == (2, 2)
    assert step.works[1][1] == 3 * 16 * 4  # the sums of a mean: two rows, one total


def test_a_kernel_says_how_it_is_cut() -> None:
    """Of a binary convolution on 7x7x512 the channels, of one on 28x28 the rows."""
    target = dataclasses.replace(target_of("neon"))
    b = Builder()
    for size, channels in ((7, 512), (28, 64)):
        weight = b.signs(channels, 32, 3, 3)
        bits = b.add(MaxPool(AROUND), b.input(1, 32, size, size))
        b.graph.outputs.append(b.add(BinaryConv(weight, AROUND), _signs(b, bits)))
    program = build_program(b.done(*b.graph.outputs), target, "net", {}, worth=0)
    convs = [step.fields for step in program.steps if step.kernel == "bconv_neon"]
    assert [(f["row_tasks"], f["channel_tasks"]) for f in convs] == [(1, 4), (4, 1)]


def _signs(b: Builder, name: str) -> str:
    from r2b_edge.ops import Step

    channels = b.graph.type(name).channels
    return b.add(Step(b.floats(channels), np.ones(channels, np.int8)), name)
