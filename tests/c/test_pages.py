"""The assembly of family neon reads and writes its buffers only: AddressSanitizer does not see into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from r2b_edge.exporters.c.kernel import Kernel, Split
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.exporters.c.layout import chw
from r2b_edge.exporters.c.pack import window_fields
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.ops import BinaryConv, FloatConv, MaxPool, Window

from .cases import BLOCK_SEEDS
from .conftest import CORES, Programs
from .harness import HERE, TOOLCHAINS, compile_all, run_program

KERNELS = HERE.parents[1] / "firmware_templates" / "kernels"
NAMES = ("bconv_neon", "fconv_neon", "dense_neon", "fconv_winograd_neon", "maxpool_neon")
FUNCTIONS = (*NAMES[:3], "fconv_neon_half", "dense_neon_half", *NAMES[3:])
"""In the order of their numbers in pages.c."""
AARCH64 = next(toolchain for toolchain in TOOLCHAINS if "neon" in toolchain.families)


def line(kernel: Kernel, graph: Graph, node: Node) -> list[int]:
    """A layer as pages.c reads it."""
    op = node.op
    x, y = graph.type(node.inputs[0]), graph.type(node.output)
    fields = kernel.pack(op, x, y)
    has_window = isinstance(op, BinaryConv | FloatConv | MaxPool)
    window = op.window if has_window else Window((1, 1))
    pad_value = op.pad_value if isinstance(op, BinaryConv) else 0
    arrays = [
        fields.get(n) for n in ("weights", "border" if isinstance(op, BinaryConv) else "bias")
    ]
    constants = [a.nbytes if isinstance(a, np.ndarray) else 0 for a in arrays]
    split = kernel.split(op, x, y, CORES) if kernel.split else Split({})
    tasks = [*split.fields.values(), 1, 1][:2]
    work = kernel.workspace(op, x, y) + split.workspace
    sizes = (kernel.reads.nbytes(x), *constants, work, 4 * int(np.prod(chw(y))))
    number = FUNCTIONS.index(kernel.function(op))
    return [number, *window_fields(window, x, y).values(), pad_value, *tasks, *sizes]


def lines(programs: Programs) -> Iterator[list[int]]:
    """All layers that run on these kernels in test_kernels.py."""
    kernels = {name: next(k for k in REGISTRY if k.name == name) for name in NAMES}
    for name in (*NAMES, *BLOCK_SEEDS):
        graph, program = programs[name]
        nodes = {node.name: node for node in graph.nodes}
        for step in program.steps:
            if step.kernel in kernels:
                yield line(kernels[step.kernel], graph, nodes[step.layer])


@pytest.fixture(scope="module")
def layers(programs: Programs) -> bytes:
    return "\n".join(" ".join(map(str, one)) for one in lines(programs)).encode()


def pages(folder: Path, kernels: Path) -> Path:
    kernels_of = [kernel for kernel in REGISTRY if kernel.name in NAMES]
    names = dict.fromkeys(n for k in kernels_of for n in (k.source, *k.others))
    sources = [HERE / "pages.c", *(kernels / name for name in [*names, "r2b_epilogue.c"])]
    return compile_all(AARCH64, sources, [kernels, KERNELS], folder)


def test_nothing_beside_the_buffers_is_touched(
    layers: bytes, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool(*AARCH64.tools)
    assert int(run_program(AARCH64, pages(tmp_path, KERNELS), layers)) == layers.count(b"\n") + 1


BUGS = {
    "the x before the map is loaded at the left border": (
        "r2b_bconv_neon_loops.h",
        "#define X_LEFT LOAD4(1, 4,",
        '#define X_LEFT "ldur q0, [%[x], #-16]\\n\\t" LOAD4(1, 4,',
    ),
    "a run of floats that is read by fours to its end": (
        "r2b_fconv_neon.c",
        '"adds %w[n], %w[n], #4\\n\\t"',
        '"adds %w[n], %w[n], #3\\n\\t"',
    ),
    "results of a second block where there is one only": (
        "r2b_fconv_neon.c",
        "const int two = b + 1 < line->blocks;",
        "const int two = 1;",
    ),
    "a pair of products more than there are": (
        "r2b_winograd_neon.S",
        "    add w13, w7, #1             //",
        "    add w13, w7, #5             //",
    ),
    "rows below the map": (
        "r2b_fconv_winograd_neon_input.h",
        "y + rows <= g->in_height;",
        "y + rows <= g->in_height + 2;",
    ),
    "a fourth row of the pool's window": (
        "r2b_maxpool_neon.c",
        "w->rows; y++)",
        "w->rows + 1; y++)",
    ),
    "weights of one block too many": (
        "r2b_bconv_neon.c",
        ".count = s->groups / s->block_groups,",
        ".count = s->groups / s->block_groups + 1,",
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_touch_is_seen(
    bug: str, layers: bytes, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool(*AARCH64.tools)
    changed, right, wrong = BUGS[bug]
    for source in KERNELS.glob("*.[chS]"):
        text = source.read_text()
        if source.name == changed:
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        (tmp_path / source.name).write_text(text)
    with pytest.raises(AssertionError, match="signal 11"):
        run_program(AARCH64, pages(tmp_path / "build", tmp_path), layers)


LOOPS = (
    *(f"{size}_{side}{stride}" for size in ("wide", "narrow") for stride in ("", "_2")
      for side in ("middle", "left", "right", "both")),
    *(f"{size}_{pixels}" for size in ("wide", "narrow", "thin") for pixels in range(1, 8)),
)  # fmt: skip


def test_every_loop_runs(layers: bytes, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    """Each loop, made to tell its name, is heard: the layers leave none out."""
    require_tool(*AARCH64.tools)
    for source in KERNELS.glob("*.[chS]"):
        text = source.read_text()
        if source.name == "r2b_bconv_neon_loops.h":
            begin = "const uint8_t *x, *w = t->w;"
            assert text.count(begin) == 1
            text = "#include <stdio.h>\n" + text.replace(begin, "(void)puts(__func__); " + begin)
        (tmp_path / source.name).write_text(text)
    heard = run_program(AARCH64, pages(tmp_path / "build", tmp_path), layers).decode().split()
    assert set(LOOPS) <= set(heard)
