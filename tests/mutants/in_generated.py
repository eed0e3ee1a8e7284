"""Bugs in the C that is generated for a model."""

from __future__ import annotations

from planting import Mutant

MODEL = "model/net.c"

_R2B, _INTEGERS, _POOLS, _MOVES = "real_to_binary", "integers", "pools", "moves"

GENERATED = (
    Mutant(
        "gate after PReLU", _R2B, MODEL,
        r"(?<=step11_tile0_a, .b = r2b_net_step11_tile0_b},  // Conv_35_affine\n)(.*\n)(.*\n)", r"\2\1", "Conv_35",
        "the order of an epilogue: it shows where a gate is negative",
    ),
    Mutant(
        "skip before PReLU", _R2B, MODEL,
        r"(.*R2B_TILE_PRELU.*// PRelu_27.*\n)(.*\n)", r"\2\1", "Conv_18",
        "the order of an epilogue",
    ),
    Mutant(
        "bits before the skip", _R2B, MODEL,
        r"(.*R2B_TILE_ADD_MAP.*// Add_14.*\n)(.*\n)(.*\n)(.*R2B_TILE_BITS.*\n)", r"\4\1\2\3", "Conv_4",
        "a tap on the wrong value of the chain",
    ),
    Mutant(
        "pads of the other side", _INTEGERS, MODEL,
        r"\.pad_top = 1, \.pad_left = 0", ".pad_top = 0, .pad_left = 1", "Conv_4",
        "padding offsets exchanged",
    ),
    Mutant(
        "strides exchanged", _INTEGERS, MODEL,
        r"\.stride_y = 2, \.stride_x = 1", ".stride_y = 1, .stride_x = 2", "Conv_13",
        "height and width exchanged",
    ),
    Mutant(
        "border of 0 in place of +1", _INTEGERS, MODEL,
        r"\.pad_value = 1\b", ".pad_value = 0", "Conv_13",
        "a wrong padding value",
    ),
    Mutant(
        "inverted comparisons left out", _INTEGERS, MODEL,
        r" \.flip = \w+_step3_tile1_flip,", "", "Conv_13",
        "polarity of negative gammas",
    ),
    Mutant(
        "another upper bound", _POOLS, MODEL,
        r"\.high = 6\.0f", ".high = 7.0f", "Conv_9",
        "a clip bound",
    ),
    Mutant(
        "count_include_pad lost", _POOLS, MODEL,
        r"\.count_pad = 1", ".count_pad = 0", "AveragePool_5",
        "an attribute ignored",
    ),
    Mutant(
        "mean stored in another place", _R2B, MODEL,
        r"(R2B_TILE_MEAN, \.at = )\d+(, .*ReduceMean_36)", r"\g<1>0\2", "Conv_18",
        "an output written over another one",
    ),
    Mutant(
        "a tensor's place in the table", _R2B, MODEL,
        r"\{(\d+, \d+, R2B_BITS, .*t34_bits)", r"{16 + \1", "Conv_18",
        "table and code disagree",
    ),
)  # fmt: skip
