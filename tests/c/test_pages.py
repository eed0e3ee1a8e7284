"""The assembly of the binary convolution reads and writes its buffers only: AddressSanitizer does not see into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from r2b_edge.exporters.c.kernels import REGISTRY, window_fields
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.ops import BinaryConv

from .cases import BLOCK_SEEDS
from .conftest import Programs
from .harness import HERE, TOOLCHAINS, compile_all, run_program

KERNELS = HERE.parents[1] / "firmware_templates" / "kernels"
KERNEL = next(kernel for kernel in REGISTRY if kernel.name == "bconv_neon")
AARCH64 = next(toolchain for toolchain in TOOLCHAINS if "neon" in toolchain.families)


def line(graph: Graph, node: Node) -> list[int]:
    """A layer as pages.c reads it."""
    op = node.op
    assert isinstance(op, BinaryConv)
    x, y = graph.type(node.inputs[0]), graph.type(node.output)
    fields = KERNEL.pack(op, x, y)
    weights, border = fields["weights"], fields["border"]
    assert isinstance(weights, np.ndarray)
    sizes = (
        KERNEL.reads.nbytes(x), weights.nbytes, border.nbytes if isinstance(border, np.ndarray) else 0,
        KERNEL.workspace(op, x, y), KERNEL.writes[0].nbytes(y),
    )  # fmt: skip
    return [*window_fields(op.window, x, y).values(), op.pad_value, *sizes]


@pytest.fixture(scope="module")
def layers(programs: Programs) -> bytes:
    """Those of test_kernels.py."""
    graphs = [programs[name][0] for name in (KERNEL.name, *BLOCK_SEEDS)]
    lines = [line(g, node) for g in graphs for node in g.nodes if isinstance(node.op, BinaryConv)]
    return "\n".join(" ".join(map(str, one)) for one in lines).encode()


def pages(folder: Path, kernels: Path) -> Path:
    sources = [HERE / "pages.c", kernels / "r2b_bconv_neon.c", kernels / "r2b_epilogue.c"]
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
    "weights of one block too many": (
        "r2b_bconv_neon.c",
        "s.groups = s.blocks.count",
        "s.blocks.count++;\n    s.groups = s.blocks.count",
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_touch_is_seen(
    bug: str, layers: bytes, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool(*AARCH64.tools)
    changed, right, wrong = BUGS[bug]
    for source in KERNELS.glob("*.[ch]"):
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
    *(f"{size}_{pixels}" for size in ("wide", "narrow") for pixels in ("seven", "one")),
)  # fmt: skip


def test_every_loop_runs(layers: bytes, tmp_path: Path, require_tool: Callable[..., None]) -> None:
    """Each loop, made to tell its name, is heard: the layers leave none out."""
    require_tool(*AARCH64.tools)
    for source in KERNELS.glob("*.[ch]"):
        text = source.read_text()
        if source.name == "r2b_bconv_neon_loops.h":
            assert text.count("    static void name(") == 4
            text = "#include <stdio.h>\n" + text.replace(
                "FOR_BLOCKS {", "(void)puts(__func__); FOR_BLOCKS {"
            )
        (tmp_path / source.name).write_text(text)
    heard = run_program(AARCH64, pages(tmp_path / "build", tmp_path), layers).decode().split()
    assert set(LOOPS) <= set(heard)
