// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_pass_v7m.S: the pass for Armv7-M (Cortex-M3); see r2b_lut4_pass.inc.
//
// A lookup takes five instructions: AND leaves 8 * nibble of a word (lr) in r3, ADD makes it the address of an entry, LDRD
// loads it; two ADDs. LDRD never loads its own base: some Cortex-M3 fail where that is interrupted (erratum 602117).
// Without UXTAB16, lanes are kept 2^15 too large while they are added up, so that none carries into the next.
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2

#define PASS r2b_lut4_pass_v7m
#define CODES r2b_lut4_codes_v7m
#define MASK 0x78

    .macro WORD
    ldr lr, [r2], #4
    .endm

    .macro ADDRESS k
    .if \k % 8
    and r3, r1, lr, lsr #(4 * (\k % 8) - 3)
    .else
    and r3, r1, lr, lsl #3
    .endif
    add r3, r3, r12
    .endm

    .macro FIRST k, table
    ADDRESS \k
    ldrd r8, r9, [r3, #(128 * (\table))]
    .endm

    .macro NEXT k, table
    ADDRESS \k
    ldrd r10, r11, [r3, #(128 * (\table))]
    add r8, r8, r10
    add r9, r9, r11
    .endm

    .macro ADD_WORD even, odd, word, temporary, start
    and \temporary, \word, #0x00ff00ff
    .ifb \start
    add \even, \even, \temporary
    bic \temporary, \word, #0x00ff00ff
    add \odd, \odd, \temporary, lsr #8
    .else
    add \even, \start, \temporary
    bic \temporary, \word, #0x00ff00ff
    add \odd, \start, \temporary, lsr #8
    .endif
    .endm

    .macro AGAIN
    ldr r12, [lr, #-8]
    .endm

    .macro START start
    eor \start, \start, #0x80008000
    .endm

    .macro FINISH
    .irp lane, r4, r5, r6, r7, r8, r9, r10, r11
    eor \lane, \lane, #0x80008000
    .endr
    .endm

    .macro FINISH_SIGNS
    eor r4, r4, #0xff00ff00
    .endm

#include "r2b_lut4_pass.inc"

#endif
