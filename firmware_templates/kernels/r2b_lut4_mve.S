// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_mve.S: sums of table entries for MVE (Armv8.1-M), 32 pixels at a time; see r2b_lut4_mve.h for the tables and the
// order of the pixels, r2b_bconv_lut4_mve.c for the arguments.
//
// An entry is a vector of 16 bytes. Its byte is 16 h + l, with l in 0..4 for one pixel and h in -2..2 for another. Three
// entries t still have l <= 12, so that t >> 4 is their sum of h alone. For each three of them
//     N += t          modulo 256
//     H += t >> 4     VQDMLAH.S8 by 8: H + ((2 * 8 * t) >> 8)
// and at the end the sum of the l is N - 16 H modulo 256: exact for up to 63 entries. N starts at -2 for each entry, so
// that this sum is centred too, as H is: -126..126.
//
// Sums of a kernel column are shifted by words (a pixel's neighbours are in the neighbouring words, and a word beyond
// the 8 is one of them moved by a byte), then widened and added to 16-bit sums: even bytes by VMOVLB, odd ones by
// VQDMLAH.S16 by 128, which adds value >> 8.
//
//   r0 weights      r1 tables      r2 r3 nibbles    r4 r5 r6 addresses   r7 0xf0f0f0f0   r8 8      r9 job   r10 jobs left
//   r11 edge mask   r12 128        lr loops         q0 t                 q1 entry        q2 N      q3 H
//   q4 q5 sums of the even bytes of N and H         q6 q7 of the odd ones
    .syntax unified
    .thumb

    .equ JOB_SUMS, 4      // r2b_lut4_mve_job
    .equ JOB_SHIFT, 8
    .equ JOB_FIRST, 12
    .equ JOB_BLOCKS, 16
    .equ JOB_SKIP, 20
    .equ JOB_CENTRE, 24
    .equ JOB_TAP, 28
    .equ JOB_BYTES, 32

    .equ CALL_WEIGHTS, 0  // r2b_lut4_mve_call
    .equ CALL_JOBS, 4
    .equ CALL_COUNT, 8
    .equ CALL_EDGE, 12
    .equ CALL_BORDER, 16
    .equ CALL_LANES, 20
    .equ CALL_STEP, 24
    .equ CALL_CHANNELS, 28
    .equ CALL_BYTES, 32

// VLDRW reaches from -508 to 508, which is four tables of 256 bytes; r1 stands this far behind the first.
    .equ BEHIND, 380
    .equ BY_LANES, 1      // JOB_SHIFT: by -4, and nobody wants the sums; BY_LANES

// One lookup: entry `nibble` byte of r2 or r3, `at` bytes from r1; `third` 0, 1 or 2: which of the three it is.
    .macro lookup third, address, nibbles, turn, at
    uxtab   \address, r1, \nibbles, ror #\turn
    .if \third == 0
    vldrw.u32 q0, [\address, #\at]
    .else
    vldrw.u32 q1, [\address, #\at]
    vadd.i8 q0, q0, q1
    .endif
    .if \third == 2
    vadd.i8 q2, q2, q0
    vqdmlah.s8 q3, q0, r8
    .endif
    .endm

// The eight lookups of a word, the first one being number `a` of three, the second one `b`, the third one `c`.
    .macro word a, b, c
    ldr     r2, [r0], #4
    and     r3, r7, r2
    and     r2, r7, r2, lsl #4
    lookup  \a, r4, r2, 0, 0 - BEHIND
    lookup  \b, r5, r3, 0, 256 - BEHIND
    lookup  \c, r6, r2, 8, 512 - BEHIND
    lookup  \a, r4, r3, 8, 768 - BEHIND
    add     r1, r1, #1024
    lookup  \b, r5, r2, 16, 0 - BEHIND
    lookup  \c, r6, r3, 16, 256 - BEHIND
    lookup  \a, r4, r2, 24, 512 - BEHIND
    lookup  \b, r5, r3, 24, 768 - BEHIND
    add     r1, r1, #1024
    .endm

    .section .text.r2b_lut4_pass_mve, "ax", %progbits
    .balign 4
    .global r2b_lut4_pass_mve
    .type   r2b_lut4_pass_mve, %function
    .thumb_func
r2b_lut4_pass_mve:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    sub     sp, sp, #CALL_BYTES + 4
    ldm     r0, {r0, r2-r6, r10, r12}
    stm     sp, {r0, r2-r6, r10, r12}
    mov     r11, r4
    mov     r7, #0xf0f0f0f0
    mov     r8, #8
    mov     r12, #128

    b       channel

// A run that begins with r4 lookups at the top of a word: one after the other. Then its words, not a multiple of three:
// the loop is entered with the second or third of them.
irregular:
    cbz     r4, 2f
    ldr     r2, [r0], #4
    rsb     r3, r4, #8
    lsl     r3, r3, #2
    lsr     r2, r2, r3
1:  and     r3, r2, #15
    add     r3, r1, r3, lsl #4
    vldrw.u32 q1, [r3, #0 - BEHIND]
    vadd.i8 q2, q2, q1
    vqdmlah.s8 q3, q1, r8
    lsr     r2, r2, #4
    add     r1, r1, #256
    subs    r4, r4, #1
    bne     1b
2:  wls     lr, r5, centred
    cmp     r6, #1
    beq     words_1
    bhi     words_2
    b       words_0

channel:
    ldrd    r9, r10, [sp, #CALL_JOBS]
    vmov.i32 q4, #0
    vmov.i32 q5, #0
    vmov.i32 q6, #0
    vmov.i32 q7, #0

job:
    ldrd    r4, r5, [r9, #JOB_FIRST]  // and JOB_BLOCKS
    ldrd    r6, r2, [r9, #JOB_SKIP]   // and JOB_CENTRE
    ldr     r1, [r9]
    vdup.8  q2, r2
    vmov.i32 q3, #0
    vmov.i32 q0, #0
    orrs    r2, r4, r6
    bne     irregular
    wls     lr, r5, centred
words_0:
    word    0, 1, 2
words_1:
    word    2, 0, 1
words_2:
    word    1, 2, 0
    le      lr, words_0

centred:
    vshl.i8 q0, q3, #4
    vsub.i8 q2, q2, q0
    ldrd    r5, r4, [r9, #JOB_SUMS]   // and JOB_SHIFT
    cmp     r4, #0
    bne     shifted
add_up:
    vmovlb.s8 q0, q2
    vadd.i16 q4, q4, q0
    vqdmlah.s16 q6, q2, r12
    vmovlb.s8 q0, q3
    vadd.i16 q5, q5, q0
    vqdmlah.s16 q7, q3, r12
    add     r9, r9, #JOB_BYTES
    subs    r10, r10, #1
    bne     job

    ldrd    r4, r5, [sp, #CALL_LANES]  // and CALL_STEP
    vstrw.32 q4, [r4]
    vstrw.32 q5, [r4, #16]
    vstrw.32 q6, [r4, #32]
    vstrw.32 q7, [r4, #48]
    add     r4, r4, r5
    str     r4, [sp, #CALL_LANES]
    ldr     r4, [sp, #CALL_BORDER]
    cbz     r4, next_channel
    ldr     r5, [sp, #CALL_COUNT]
    add     r4, r4, r5
    str     r4, [sp, #CALL_BORDER]
next_channel:
    ldr     r4, [sp, #CALL_CHANNELS]
    subs    r4, r4, #1
    str     r4, [sp, #CALL_CHANNELS]
    bne     channel

    add     sp, sp, #CALL_BYTES + 4
    vpop    {d8-d15}
    pop     {r4-r11, pc}

// r4 is four times the shift, r5 where the sums go. What lies beyond their 8 words is the word at their other end, moved
// by a byte; bytes that come from beyond the row (not in the mask) are those of the border.
shifted:
    cmp     r4, #BY_LANES
    bne     3f
    vmov    r2, q3[3]                 // one pixel to the right, within a vector: through r2 from word to word
    and     r2, r11, r2, lsl #8
    vshlc   q2, r2, #32
    vshlc   q3, r2, #32
    b       add_up
3:  vstrw.32 q2, [r5]
    vstrw.32 q3, [r5, #16]
    ldr     r6, [sp, #CALL_BORDER]
    mov     r3, r5
    add     r5, r5, r4
    cbnz    r6, with_border
    bgt     2f
1:  ldr     r2, [r3, #28]
    and     r2, r11, r2, lsl #8
    str     r2, [r3, #-4]!
    adds    r4, r4, #4
    bne     1b
    vldrw.u32 q2, [r5]
    vldrw.u32 q3, [r5, #16]
    b       add_up
2:  ldr     r2, [r3], #4
    and     r2, r2, r11
    lsr     r2, r2, #8
    str     r2, [r3, #28]
    subs    r4, r4, #4
    bne     2b
    vldrw.u32 q2, [r5]
    vldrw.u32 q3, [r5, #16]
    b       add_up

with_border:
    ldr     r2, [r9, #JOB_TAP]
    ldrb    r6, [r6, r2]
    ldr     r2, [r9, #JOB_CENTRE]
    add     r6, r6, r2
    uxtb    r6, r6
    orr     r6, r6, r6, lsl #8
    orr     r6, r6, r6, lsl #16
    cmp     r4, #0
    bgt     2f
    bic     r6, r6, r11
1:  ldr     r2, [r3, #28]
    and     r2, r11, r2, lsl #8
    orr     r2, r2, r6
    str     r2, [r3, #-4]!
    adds    r4, r4, #4
    bne     1b
    b       5f
2:  bic     r6, r6, r11, lsr #8
4:  ldr     r2, [r3], #4
    and     r2, r2, r11
    orr     r2, r6, r2, lsr #8
    str     r2, [r3, #28]
    subs    r4, r4, #4
    bne     4b
5:  vldrw.u32 q2, [r5]
    vldrw.u32 q3, [r5, #16]
    b       add_up
    .size   r2b_lut4_pass_mve, . - r2b_lut4_pass_mve
