// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_merge_v7m.S: the merge for Armv7-M (Cortex-M3); see r2b_lut4_merge.inc. Lanes are 2^15 too large while they are
// added up, so that none carries into the next.
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2

#define SUM r2b_lut4_sum_v7m
#define SUM_ROWS r2b_lut4_sum_rows_v7m

    .macro ADD_BYTES even, odd
    and r2, lr, #0x00ff00ff
    bic lr, lr, #0x00ff00ff
    add \even, \even, r2
    add \odd, \odd, lr, lsr #8
    .endm

    .macro START
    eor r2, r2, #0x80008000
    .endm

    .macro FINISH
    .irp lane, r4, r5, r6, r7, r8, r9, r10, r11
    eor \lane, \lane, #0x80008000
    .endr
    .endm

#include "r2b_lut4_merge.inc"

#endif
