"""Bugs in the convolution by table lookup, which plain C computes here; see firmware_templates/kernels/r2b_lut4.h."""

from __future__ import annotations

from planting import Mutant

from r2b_edge.exporters.c import lut4, pointwise

_R2B, _INTEGERS = "real_to_binary_lut4", "integers_lut4"

LUT4 = (
    Mutant(
        "border of zeros not neutral", _R2B, "src/r2b_lut4_table.h",
        "2 * (0x11111111u - found->constants[i])", "0 * (0x11111111u - found->constants[i])", "Conv_4",
        "a table that counts the border as different",
    ),
    Mutant(
        "border of minus ones in channels that do not exist", _INTEGERS, "src/r2b_lut4_table.h",
        "pad_value < 0 ? ~existing : 0u", "pad_value < 0 ? existing : 0u", "Conv_4",
        "channels beyond the last one",
    ),
    Mutant(
        "rows of tables kept one too many", _R2B, "src/r2b_lut4_driver.h",
        "g->kernel_y - step / g->dilation_y", "g->kernel_y - step / g->dilation_y + (step < 2)", "Conv_4",
        "a stale row of a ring",
    ),
    Mutant(
        "columns of a phase from the map's edge", _R2B, "src/r2b_lut4_table.h",
        "v * LUT4_PIXELS * g->stride_x + phase", "v * LUT4_PIXELS * g->stride_x + 0 * phase", "Conv_18",
        "stride 2 with an odd pad",
    ),
    Mutant(
        "rows of a vector a pixel apart", _R2B, "src/r2b_lut4_table.h",
        "(oy + r) * g->stride_y", "oy * g->stride_y + r", "Conv_18",
        "narrow maps at stride 2",
    ),
    Mutant(
        "border in front of the sums cleared", _R2B, "src/r2b_lut4_driver.h",
        "            memset(sums, 2 * lookups, LUT4_PIXELS);", "            memset(sums, 0, LUT4_PIXELS);",
        "Conv_4", "left border",
    ),
    Mutant(
        "shift in the wrong direction", _R2B, "src/r2b_lut4_merge.h",
        "lut4_floor_div(k + tap->shift, LUT4_WORDS)", "lut4_floor_div(k - tap->shift, LUT4_WORDS)", "Conv_4",
        "correlation taken for convolution",
    ),
    Mutant(
        "excess of an odd channel forgotten", _R2B, "src/r2b_lut4_epilogue.h",
        "2 * lanes[2 * i] - excess", "2 * lanes[2 * i] - 0 * excess", "Conv_35",
        "channels that do not fill a group",
    ),
    Mutant(
        "bits transposed within nibbles only", _INTEGERS, "src/r2b_lut4_epilogue.h",
        "    w[0] ^= both << 4;", "", "Conv_4",
        "a step of a transpose left out",
    ),
    Mutant(
        "mean without its last pixels", _R2B, "src/r2b_lut4_epilogue.h",
        "if (r->x + n == g->out_width) {", "if (r->x + 8 == g->out_width) {", "Conv_4",
        "a row whose sum is not handed on",
    ),
    Mutant(
        "channels filled up with +1", _R2B, lut4.weight_bits,
        "bits[..., channels + 1 : channels + 2] = True", "pass", "Conv_4",
        "products of channels that do not exist",
    ),
    Mutant(
        "nibbles from the top", _R2B, lut4.packed,
        "np.arange(0, 32, 4, dtype=np.uint32)", "np.arange(28, -4, -4).astype(np.uint32)", "Conv_4",
        "order of lookups",
    ),
    Mutant(
        "threshold of the lanes off by one", _INTEGERS, lut4.starts,
        "-g.half - thresholds.limit", "-g.half - thresholds.limit + 1", "Conv_4",
        "< for <=, in integers",
    ),
    Mutant(
        "threshold of a 1x1 window off by one", _INTEGERS, pointwise.starts,
        "signs.limit.astype(np.int64) + 1", "signs.limit.astype(np.int64)", "Conv_9",
        "< for <=, in bytes",
    ),
    Mutant(
        "a pixel's last channels twice", _INTEGERS, "src/r2b_bconv_1x1.h",
        "2 * halves)", "2 * halves - 2)", "Conv_9",
        "steps between pixels that are not full words",
    ),
    Mutant(
        "fourth entry of a table is the second", _INTEGERS, "src/r2b_bconv_1x1.h",
        "high + change[0] + change[1];", "high + change[0];", "Conv_9",
        "an entry that only some inputs look up",
    ),
)  # fmt: skip
