"""Products of floats and small integers in the assembly of Cortex-M0: exactly those of IEEE 754."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .harness import HERE, TOOLCHAINS, compile_all, run_program

KERNELS = HERE.parents[1] / "firmware_templates" / "kernels"
NAME = "r2b_lut4_scale_v6m.S"
M0 = next(toolchain for toolchain in TOOLCHAINS if "v6m" in toolchain.families)
PRODUCTS = 600 * 9 * 16
"""Factors, vectors that hold -65..63, lanes."""


def run(kernels: Path, folder: Path) -> int:
    return int(
        run_program(M0, compile_all(M0, [HERE / "scale.c", kernels / NAME], [], folder), b"")
    )


def test_all_products_are_exact(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool(*M0.tools)
    assert run(KERNELS, tmp_path) == PRODUCTS


BUGS = {
    "ties are not rounded to even": ("movs r4, #0x7f", "movs r4, #0x80"),
    "a carry out of the rounding is lost": ("    lsls r2, r2, #24\n    b", "    b"),
    "negative lanes take the other factor": ("mov r3, r10", "mov r3, r8"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_wrong_product_is_seen(
    bug: str, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool(*M0.tools)
    right, wrong = BUGS[bug]
    text = (KERNELS / NAME).read_text()
    assert text.count(right) == 1
    (tmp_path / NAME).write_text(text.replace(right, wrong))
    with pytest.raises((AssertionError, ValueError)):
        run(tmp_path, tmp_path / "build")
