"""Bugs in the kernels that an export carries."""

from __future__ import annotations

from planting import Mutant

EPILOGUE = "src/r2b_epilogue.c"
BCONV = "src/r2b_bconv_portable.c"
ROW = "src/r2b_bconv_row.h"
CSA = "src/r2b_bconv_csa.c"
FCONV = "src/r2b_fconv_portable.c"
FCONV_LOOPS = "src/r2b_fconv_loops.h"
BYTES = "src/r2b_bytes.h"
HALF = "include/r2b_half.h"
DENSE = "src/r2b_dense_portable.c"
POOL = "src/r2b_pool_portable.c"
BMAXPOOL = "src/r2b_bmaxpool_portable.c"
CONCAT = "src/r2b_concat_portable.c"
GATHER = "src/r2b_gather_portable.c"
PAIR = "src/r2b_call_pair.c"
UNARY = "src/r2b_call_unary.c"
ROWS = "src/r2b_rows.c"
MAP = "src/r2b_map_portable.c"
MATH = "include/r2b_math.h"
HEADER = "include/r2b_rows.h"
QCONV = "src/r2b_qconv_portable.c"
QCONV_ROWS = "src/r2b_qconv_rows.h"

_R2B_MCU, _INTEGERS_MCU = "real_to_binary_mcu", "integers_mcu"
_R2B, _INTEGERS, _POOLS, _MOVES = "real_to_binary", "integers", "pools", "moves"
_ROWS = "rows"
_CAMERA = "camera"

KERNELS = (
    Mutant(
        "rows not moved", _ROWS, ROWS,
        "buffer + (uint32_t)(top - r.begin) * rows->buffer_row", "buffer", "Conv_0",
        "the offset in a buffer of rows",
    ),
    Mutant(
        "new rows over those that are kept", _ROWS, ROWS,
        "made.first = (before + end - r.begin) * maker->out_width", "made.first = before * maker->out_width", "Conv_0",
        "where the next rows go in a buffer",
    ),
    Mutant(
        "border of each part", _ROWS, ROWS,
        ".pad_top = top - origin", ".pad_top = whole->pad_top", "Conv_0",
        "a pooled row at a border",
    ),
    Mutant(
        "mean ended with each part", _ROWS, ROWS,
        "y + 1 < rows->reader.out_height;", "0;", "Conv_0",
        "a mean over a map that comes in parts",
    ),
    Mutant(
        "end of a byte one off", "quantised", QCONV_ROWS,
        "q > high ? high : q", "q >= high ? high - 1 : q", "Conv_2",
        "saturation",
    ),
    Mutant(
        "bytes rounded down", "quantised", QCONV_ROWS,
        "(fraction + (1u << (shift - 1)) - 1u + (fraction >> shift & 1u)) >> shift", "fraction >> shift", "Conv_2",
        "truncation for rounding",
    ),
    Mutant(
        "halves rounded up", "quantised", QCONV_ROWS,
        "- 1u + (fraction >> shift & 1u)) >> shift", ") >> shift", "Conv_2",
        "another rounding mode",
    ),
    Mutant(
        "border of a row forgotten", "quantised", QCONV_ROWS,
        "g->pad_left * layer->depth", "0", "Conv_2",
        "a row that begins at its first window",
    ),
    Mutant(
        "rows moved by one too few", "quantised", QCONV_ROWS,
        "rows + g->stride_y * layer->row,", "rows + (g->stride_y - 1) * layer->row,", "Conv_2",
        "a buffer of rows that lags",
    ),
    Mutant(
        "last integers of a row left out", "quantised", QCONV,
        "i < 4 * count", "i < 4 * count - 4 * (count > 1)", "Conv_2",
        "the tail of a run",
    ),
    Mutant(
        "tie of an integer flipped", _INTEGERS, EPILOGUE,
        "t[i] < threshold[i]", "t[i] <= threshold[i]", "Conv_9",
        "sign(0) taken for -1", count=2,
    ),
    Mutant(
        "tie of a real flipped", _R2B, EPILOGUE,
        "t[i] < threshold[i]", "t[i] <= threshold[i]", "Conv_4",
        "> for >=, where a tie is rare", count=2,
    ),
    Mutant(
        "flip bits ignored in the last word", _INTEGERS, EPILOGUE,
        "return word ^ (op->flip ? op->flip[first / 32] : 0u);",
        "return word ^ (op->flip && first + 32 <= channels ? op->flip[first / 32] : 0u);", "Conv_0",
        "polarity of a negative gamma, in the tail only",
    ),
    Mutant(
        "last channel's bit not written", _R2B, EPILOGUE,
        "first + i < channels; i++", "first + i + 1 < channels; i++", "Conv_0",
        "channel tail one short",
    ),
    Mutant(
        "gate of the neighbouring channel", _R2B, EPILOGUE,
        "own[c] *= at[c]", "own[c] *= at[c > 0 ? c - 1 : c]", "Conv_4",
        "gate applied to the wrong channel",
    ),
    Mutant(
        "gate of the first channel for all", _R2B, EPILOGUE,
        "own[c] *= at[c]", "own[c] *= at[0]", "Conv_4",
        "a vector operand loaded once",
    ),
    Mutant(
        "PReLU slope shared", _R2B, EPILOGUE,
        "leaky(own[c], a[c])", "leaky(own[c], a[0])", "Conv_4",
        "the slope of one channel broadcast",
    ),
    Mutant(
        "PReLU on the wrong side", _R2B, EPILOGUE,
        "above + slope * below", "below + slope * above", "Conv_4",
        "comparison reversed",
    ),
    Mutant(
        "skip added twice", _R2B, EPILOGUE,
        "t[i] += m[i]", "t[i] += 2.0f * m[i]", "Conv_4",
        "the skip fused and then added again",
    ),
    Mutant(
        "skip of the next pixel", _R2B, EPILOGUE,
        "t[i] += m[i]", "t[i] += m[i + (pixel + 1 < epilogue->pixels ? channels : 0)]",
        "Conv_4", "pixel counted before the operand is read",
    ),
    Mutant(
        "mean over one pixel less", _R2B, EPILOGUE,
        "/= (float)epilogue->pixels", "/= (float)(epilogue->pixels - 1)", "Conv_0",
        "mean over the wrong extent",
    ),
    Mutant(
        "row sums not cleared", _R2B, EPILOGUE,
        "            row[c] = 0;\n", "", "Conv_0",
        "a partial sum counted again",
    ),
    Mutant(
        "clip without its upper bound", _POOLS, EPILOGUE,
        "raised > high ? high : raised", "raised > 2.0f * high ? high : raised", "Conv_9",
        "ReLU6 taken for a ReLU",
    ),
    Mutant(
        "sigmoid of the magnitude", _R2B, EPILOGUE,
        "exp_small(-y)", "exp_small(y < 0 ? y : -y)", "Gemm_8",
        "a sigmoid that is wrong for negative arguments",
    ),
    Mutant(
        "wrong coefficient of exp", _R2B, MATH,
        "1.0f / 24.0f", "1.0f / 30.0f", "Gemm_8",
        "a small error of an approximation",
    ),
    Mutant(
        "vector of the first channel added", _POOLS, EPILOGUE,
        "own[c] += at[c]", "own[c] += at[0]", "Conv_9",
        "a vector operand broadcast",
    ),
    Mutant(
        "store rounded up to four channels", _R2B, EPILOGUE,
        "memcpy(m, t, (size_t)(count * channels) * sizeof(float));",
        "memcpy(m, t, (size_t)((count * channels + 3) / 4 * 4) * sizeof(float));", "Conv_4",
        "an over-wide write: it spoils the next pixel of a skip in place",
    ),
    Mutant(
        "channel tail of a group not masked", _INTEGERS, ROW,
        "if (count - c < 32) word &= (1u << (count - c)) - 1u;", "", "Conv_13",
        "bits of the next group counted",
    ),
    Mutant(
        "channel tail of the border not masked", _INTEGERS, ROW,
        "left < 32 ? (1u << left) - 1u : UINT32_MAX", "left < 0 ? 0u : UINT32_MAX", "Conv_4",
        "a border of -1 sets bits beyond the last channel",
    ),
    Mutant(
        "border of the opposite sign", _INTEGERS, ROW,
        "x[k] = pad_value < 0 ? all : 0u;", "x[k] = pad_value > 0 ? all : 0u;", "Conv_4",
        "a wrong padding value",
    ),
    Mutant(
        "border of 0 counted as taps", _R2B, ROW,
        "int32_t taps = inside * channels;", "int32_t taps = all * channels;", "Conv_4",
        "zero padding read as +1",
    ),
    Mutant(
        "border of 0 taken for a value", _R2B, ROW,
        "layer->pad_value != 0 && inside < all) {", "layer->pad_value >= 0 && inside < all) {", "Conv_4",
        "a border that takes part in the sum",
    ),
    Mutant(
        "a word of weights repeated", _R2B, BCONV,
        "popcount64(x[k] ^ w[i * stride + k])", "popcount64(x[k] ^ w[i * stride])", "Conv_4",
        "the odd last word of a row",
    ),
    Mutant(
        "weights of the first group for all", _INTEGERS, ROW,
        "layer->weights + group * outputs * all_words", "layer->weights", "Conv_13",
        "groups ignored in the weights",
    ),
    Mutant(
        "channels of the first group for all", _INTEGERS, ROW,
        "group * channels, channels, to", "0 * channels, channels, to", "Conv_13",
        "groups ignored in the input",
    ),
    Mutant(
        "dilation ignored", _INTEGERS, ROW,
        "const int32_t y = iy + ky * g->dilation_y;", "const int32_t y = iy + ky;", "Conv_13",
        "rows of a dilated kernel side by side",
    ),
    Mutant(
        "stride offset", _R2B, ROW,
        "oy * g->stride_y - g->pad_top;", "oy * g->stride_y - g->pad_top / g->stride_y;", "Conv_18",
        "TFLite's SAME in place of torch's padding",
    ),
    Mutant(
        "last output channel not computed", _R2B, BCONV,
        "for (; o < outputs; o++)", "for (; o + 1 < outputs; o++)", "Conv_4",
        "a tail of the blocks one short",
    ),
    Mutant(
        "right border tap missed", _R2B, HEADER,
        "taps.last = (size - origin + dilation - 1) / dilation;",
        "taps.last = (size - origin - 1) / dilation;", "Conv_0",
        "the tap at the last column of the map",
    ),
    Mutant(
        "left border tap missed", _INTEGERS, ROW,
        "for (int32_t kx = tx.first; kx < tx.last; kx += together)",
        "for (int32_t kx = tx.first + (ix < 0); kx < tx.last; kx += together)", "Conv_13",
        "the first tap inside of a padded row",
    ),
    Mutant(
        "last row not computed", _R2B, ROW,
        "oy < g->out_height", "oy + 1 < g->out_height", "Conv_4",
        "a loop that ends early",
    ),
    Mutant(
        "last row of a real convolution not computed", _R2B, FCONV,
        "oy < g->out_height", "oy + 1 < g->out_height", "Conv_0",
        "a loop that ends early",
    ),
    Mutant(
        "last column not computed", _R2B, FCONV,
        "if (place) tile =", "if (ox > 0 && ox + 1 == g->out_width) continue;\n            if (place) tile =",
        "Conv_0", "a column that a block of columns leaves out",
    ),
    Mutant(
        "taps together although dilated", _INTEGERS, FCONV_LOOPS,
        "g->dilation_x == 1 && layer->groups == 1", "g->dilation_x == 1", "Conv_0",
        "a fast path that forgets the groups",
    ),
    Mutant(
        "bias of the first channels", _R2B, FCONV_LOOPS,
        "layer->bias[first + i]", "layer->bias[i]", "Conv_0",
        "a block's offset forgotten",
    ),
    Mutant(
        "rows of bytes moved by one", _CAMERA, BYTES,
        "bytes->rows + g->stride_y * row", "bytes->rows + row", "Conv_2",
        "a stride forgotten where rows are kept",
    ),
    Mutant(
        "one offset for all bytes", _CAMERA, BYTES,
        "bytes->offset[c]", "bytes->offset[0]", "Conv_2",
        "normalisation as if of a grey picture",
    ),
    Mutant(
        "subnormal halves twice as small", _CAMERA, HALF,
        "bits += 113u << 23;\n        memcpy(&value, &bits, sizeof value);\n        value -= least;",
        "bits += 112u << 23;\n        memcpy(&value, &bits, sizeof value);\n        value -= least / 2;", "Gemm_19",
        "a conversion that was only tried on normal numbers",
    ),
    Mutant(
        "dense bias dropped", _R2B, DENSE,
        " + layer->bias[o]", "", "Gemm_6",
        "an optional input left out",
    ),
    Mutant(
        "last input of a dense layer", _R2B, DENSE,
        "for (; i < count; i++) sum", "for (; i + 1 < count; i++) sum", "Gemm_6",
        "a tail one short",
    ),
    Mutant(
        "maximum from zero", _POOLS, POOL,
        "? 0.0f : -INFINITY", "? 0.0f : 0.0f", "MaxPool_3",
        "a border of 0 wins over negative values",
    ),
    Mutant(
        "channels of the first block pooled again", _POOLS, POOL,
        "taps->row + first;", "taps->row;", "MaxPool_3",
        "a block's offset forgotten",
    ),
    Mutant(
        "only the first pixel of an image scaled", _POOLS, EPILOGUE,
        "scale(op, t, count, 3)", "scale(op, t, 1, 3)", "BatchNormalization_0",
        "pixels that go together, taken for one",
    ),
    Mutant(
        "mean's divisor", _POOLS, POOL,
        "layer->count_pad ?", "!layer->count_pad ?", "AveragePool_6",
        "count_include_pad reversed",
    ),
    Mutant(
        "mean's divisor at corners", _POOLS, POOL,
        "(ty.last - ty.first) * (tx.last - tx.first);", "(ty.last - ty.first) * g->kernel_x;", "AveragePool_6",
        "the border of one axis counts",
    ),
    Mutant(
        "map read without its pixel", _POOLS, MAP,
        "input + pixel * layer->channels", "input + y * layer->channels", "BatchNormalization_0",
        "a wrong index",
    ),
    Mutant(
        "minimum of bits", _MOVES, BMAXPOOL,
        "word &= input", "word |= input", "t9~step",
        "a bit of 0 is +1: `or` for `and`",
    ),
    Mutant(
        "a part one channel early", _MOVES, CONCAT,
        "to += channels;", "to += channels - (i == 0);", "Concat_3",
        "channel offset of a concatenation",
    ),
    Mutant(
        "shuffle left out", _MOVES, GATHER,
        "layer->fill : from[source]", "layer->fill : from[c]", "Reshape_6",
        "channel order",
    ),
    Mutant(
        "operands of a difference exchanged", _MOVES, PAIR,
        "CALL(rsub, m - t)", "CALL(rsub, t - m)", "Conv_10",
        "the order of an operator's inputs",
    ),
    Mutant(
        "softmax over all channels but one", _MOVES, UNARY,
        "        sum += tile[c];\n    }\n    for", "        sum += c > 0 ? tile[c] : 0.0f;\n    }\n    for", "Conv_10",
        "a loop that starts late",
    ),
    Mutant(
        "majority taken for a conjunction", _R2B_MCU, CSA,
        "{sum, sum ^ (u | v)}", "{sum, sum ^ (u | v | c)}", "Conv_4",
        "a full adder's carry",
    ),
    Mutant(
        "odd word of a run left out", _INTEGERS_MCU, CSA,
        "if ((words & 1) != 0) {", "if ((words & 1) != 0 && words > 1) {", "Conv_18",
        "a tail one short",
    ),
    Mutant(
        "carries of the second nine words lost", _R2B_MCU, CSA,
        "full_add(p->eights, four.carry, fours.carry)", "full_add(p->eights, four.carry, p->sixteens)", "Conv_35",
        "a plane of many words",
    ),
    Mutant(
        "runs without their distance", _R2B_MCU, CSA,
        "w += stride;\n        OPAQUE(x);", "w += words;\n        OPAQUE(x);", "Conv_4",
        "the taps of a row at the border",
    ),
)  # fmt: skip
