// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_merge_dsp.S: the merge for the DSP extension; see r2b_lut4_merge.inc.
#if defined(__arm__) && defined(__ARM_FEATURE_DSP) && __ARM_ARCH_ISA_THUMB == 2

#define SUM r2b_lut4_sum_dsp
#define SUM_ROWS r2b_lut4_sum_rows_dsp

    .macro ADD_BYTES even, odd
    uxtab16 \even, \even, lr
    uxtab16 \odd, \odd, lr, ror #8
    .endm

    .macro START
    .endm

    .macro FINISH
    .endm

#include "r2b_lut4_merge.inc"

#endif
