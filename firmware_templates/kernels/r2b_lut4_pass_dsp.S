// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_pass_dsp.S: the pass for the DSP extension (Cortex-M4, M7, M33); see r2b_lut4_pass.inc.
//
// A lookup takes four instructions for 64 products: UXTAB makes the address of an entry from a byte of the weights,
// which was masked so that it is 8 * nibble (r3: the high nibbles, lr: the low ones); LDRD loads it; two ADDs, which the
// first of three does not need.
#if defined(__arm__) && defined(__ARM_FEATURE_DSP) && __ARM_ARCH_ISA_THUMB == 2

#define PASS r2b_lut4_pass_dsp
#define CODES r2b_lut4_codes_dsp
#define MASK 0x78787878

    .macro WORD
    ldr lr, [r2], #4
    and r3, r1, lr, lsr #1
    and lr, r1, lr, lsl #3
    .endm

    .macro ADDRESS k
    .if \k % 2
    uxtab r10, r12, r3, ror #(8 * (\k % 8 / 2))
    .else
    uxtab r10, r12, lr, ror #(8 * (\k % 8 / 2))
    .endif
    .endm

    .macro FIRST k, table
    ADDRESS \k
    ldrd r8, r9, [r10, #(128 * (\table))]
    .endm

    .macro NEXT k, table
    ADDRESS \k
    ldrd r10, r11, [r10, #(128 * (\table))]
    add r8, r8, r10
    add r9, r9, r11
    .endm

    .macro ADD_WORD even, odd, word, temporary, start
    .ifb \start
    uxtab16 \even, \even, \word
    uxtab16 \odd, \odd, \word, ror #8
    .else
    uxtab16 \even, \start, \word
    uxtab16 \odd, \start, \word, ror #8
    .endif
    .endm

    .macro AGAIN
    .endm

    .macro START start
    .endm

    .macro FINISH
    .endm

    .macro FINISH_SIGNS
    .endm

#include "r2b_lut4_pass.inc"

#endif
