"""Bugs in the kernels for MVE, which an emulated Cortex-M55 runs; see firmware_templates/kernels/r2b_lut4_mve.h."""

from __future__ import annotations

from planting import Mutant

_NET = "vectors_mve"

MVE = (
    Mutant(
        "a third entry not added to the upper nibbles", _NET, "src/r2b_lut4_mve.S",
        "    vqdmlah.s8 q3, q0, r8\n", "", "Conv_18",
        "half of the pixels of a vector",
    ),
    Mutant(
        "a third entry not added for the second vector", _NET, "src/r2b_lut4_pair_mve.S",
        "    vqdmlah.s8 q5, q1, r8\n", "", "Conv_4",
        "half of the pixels of every other row",
    ),
    Mutant(
        "every column of a phase at stride 2", _NET, "src/r2b_lut4_mve_table.h",
        "(uint32_t)(g->stride_x * words)", "(uint32_t)words", "Conv_18",
        "a gather that takes neighbours",
    ),
    Mutant(
        "bits of the first word for all", _NET, "src/r2b_lut4_mve_epilogue.h",
        "const uint32_t bit = 1u << (c + i) % 32;", "const uint32_t bit = 1u << i % 32;", "Conv_4",
        "four channels that are not the first",
    ),
)  # fmt: skip
