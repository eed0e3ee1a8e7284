// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_merge_v6m.S: the merge of r2b_lut4_merge.h for Armv6-M, for shifts of -2..2 pixels.
//
//   void r2b_lut4_sum_v6m(const lut4_tap *taps, int32_t count, uint32_t start, uint32_t vector_bytes, uint32_t *out);
//   void r2b_lut4_sum_rows_v6m(const lut4_tap *taps, int32_t count, uint32_t start, uint32_t kept, uint32_t *out);
//
// Output word k of four takes word (k + shift) mod 4 of a tap's sums. Where that wraps the bytes move by one: in the
// first function the byte of the next or the previous vector comes in; in the second, where rows share a vector, that of
// the border at the end of each segment. `kept` has ones where a byte moved to the right stays in its segment.
//
// S adds the words as they are, O their odd bytes as 16 bits, and S - 256 O is the sum of the even bytes, since all of it
// is modulo 2^32 and the sums fit. The lanes have an offset of 2^15 until the end: no carry goes from one to the next.
//
//   r0 taps       r2 r3 words       r5 vector_bytes or kept    r8-r11       S of words 0..3
//   r1 sums - 16  r4 0x00ff00ff                                r12 lr r6 r7 O of words 0..3
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB >= 1

    .syntax unified
    .thumb
    .section .text.r2b_lut4_merge_v6m, "ax", %progbits

    .equ START, 0  // on the stack: the start with its offset,
    .equ END, 4    // the end of the taps,
    .equ FRAME, 8
    .equ OUT, FRAME + 36  // and the caller's last argument

    .macro ADD_WORD sum, odd, from, rows  // from: of 12 words, the first four of the vector before, or of the border
    .set word, \from % 4
    ldr r2, [r1, #(16 + 4 * word)]
    .if \from < 4
    .if \rows
    ldr r3, [r1]
    ands r2, r2, r5
    bics r3, r3, r5
    orrs r2, r2, r3
    movs r3, #24
    rors r2, r2, r3
    .else
    ldr r3, [r1, #(4 * word)]
    lsls r2, r2, #8
    lsrs r3, r3, #24
    orrs r2, r2, r3
    .endif
    .endif
    .if \from > 7
    .if \rows
    ldr r3, [r1]
    lsrs r2, r2, #8
    ands r2, r2, r5
    bics r3, r3, r5
    orrs r2, r2, r3
    .else
    ldr r3, [r1, #(32 + 4 * word)]
    lsrs r2, r2, #8
    lsls r3, r3, #24
    orrs r2, r2, r3
    .endif
    .endif
    add \sum, r2
    lsrs r2, r2, #8
    ands r2, r2, r4
    add \odd, r2
    .endm

    .macro ADD_TAP shift, rows
    ADD_WORD r8, r12, (\shift + 4), \rows
    ADD_WORD r9, lr, (\shift + 5), \rows
    ADD_WORD r10, r6, (\shift + 6), \rows
    ADD_WORD r11, r7, (\shift + 7), \rows
    .endm

    .macro STORE k, sum, odd  // from r1: the start, r4: 0x80008000, r0: out
    mov r2, \sum
    mov r3, \odd
    lsls r5, r3, #8
    subs r2, r2, r5
    adds r2, r2, r1
    adds r3, r3, r1
    eors r2, r2, r4
    eors r3, r3, r4
    str r2, [r0, #(4 * \k)]
    str r3, [r0, #(16 + 4 * \k)]
    .endm

    .macro FUNCTION name, rows
    .global \name
    .type \name, %function
    .balign 4
\name:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, #FRAME
    ldr r4, .Loffset\rows
    eors r2, r2, r4
    str r2, [sp, #START]
    lsls r1, r1, #3
    adds r1, r1, r0
    str r1, [sp, #END]
    movs r5, r3
    ldr r4, .Leven\rows
    movs r6, #0
    movs r7, #0
    mov r8, r6
    mov r9, r6
    mov r10, r6
    mov r11, r6
    mov r12, r6
    mov lr, r6
.Ltap\rows:
    ldm r0!, {r1, r2}
    .if \rows == 0
    adds r1, r1, r5
    .endif
    subs r1, r1, #16
    adds r2, r2, #2
    lsls r2, r2, #1
    adr r3, .Lshifts\rows
    ldrh r3, [r3, r2]
    add pc, r3
.Lhere\rows:
    .balign 4
.Lshifts\rows:
    .hword .Lm2\rows - .Lhere\rows - 2, .Lm1\rows - .Lhere\rows - 2, .L0\rows - .Lhere\rows - 2
    .hword .Lp1\rows - .Lhere\rows - 2, .Lp2\rows - .Lhere\rows - 2, 0
.Loffset\rows:
    .word 0x80008000
.Leven\rows:
    .word 0x00ff00ff
.Lm2\rows:
    ADD_TAP -2, \rows
    b .Lnext\rows
.Lm1\rows:
    ADD_TAP -1, \rows
    b .Lnext\rows
.Lp2\rows:
    ADD_TAP 2, \rows
    b .Lnext\rows
.L0\rows:
    ADD_TAP 0, \rows
    b .Lnext\rows
.Lp1\rows:
    ADD_TAP 1, \rows
.Lnext\rows:
    ldr r3, [sp, #END]
    cmp r0, r3
    beq .Lstore\rows
    b .Ltap\rows
.Lstore\rows:
    ldr r0, [sp, #OUT]
    ldr r1, [sp, #START]
    movs r4, #0x80
    lsls r5, r4, #24
    lsls r4, r4, #8
    orrs r4, r4, r5
    STORE 0, r8, r12
    STORE 1, r9, lr
    STORE 2, r10, r6
    STORE 3, r11, r7
    add sp, #FRAME
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
    .size \name, . - \name
    .endm

    FUNCTION r2b_lut4_sum_v6m, 0
    FUNCTION r2b_lut4_sum_rows_v6m, 1

#endif
