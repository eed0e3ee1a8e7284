// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_pair_mve.S: sums of table entries for MVE (Armv8.1-M), two vectors of 32 pixels at a time; see
// r2b_lut4_mve.h for the tables and the order of the pixels, r2b_bconv_lut4_pair_mve.c for the arguments,
// r2b_lut4_mve.S for the sums N and H.
//
// A group's four tables lie next to each other: with the address of the entry for row ky in r4, vector a reads table ky
// and b table ky + 1. The three lookups of a group are the three entries after which H takes what is above 4 bits. Sums
// are stored, and merged when a channel's runs are done: 8 vector registers do not hold both vectors' lanes besides.
//
//   r0 weights      r1 tables        r2 r3 nibbles   r4 r5 addresses   r6 shift     r7 0xf0f0f0f0, as a byte -16
//   r8 8            r9 jobs          r10 jobs left   r11 edge mask     r12 sums     lr loops
//   q0 t of a       q1 t of b        q2 q3 N, H of a                   q4 q5 N, H of b      q6 q7 entries
    .syntax unified
    .thumb

    .equ CALL_JOBS, 4     // r2b_lut4_pair_call
    .equ CALL_COUNT, 8
    .equ CALL_BORDER, 16
    .equ CALL_OUT, 20     // and channels, sums, starts
    .equ CALL_BYTES, 36
    .equ JOB_BYTES, 24    // r2b_lut4_pair_job
    .equ JOB_CENTRE, 4
    .equ BY_ONE_RIGHT, 1  // shifts by -4 and by 4 with a border of zeros
    .equ BY_ONE_LEFT, 2
    .equ VECTOR, 96       // bytes of a SLOT
    .equ TAP, 192         // of two

// VLDRW reaches from -508 to 508, which is four tables of 256 bytes; r1 stands this far behind the first.
    .equ BEHIND, 380

// r2, r3: the next word of weights, its even nibbles and its odd ones, each times 16.
    .macro nibbles
    ldr     r2, [r0], #4
    and     r3, r7, r2
    and     r2, r7, r2, lsl #4
    .endm

// Nibble `n` of a block's 24 is an index into the tables of row `ky` for a and row ky + 1 for b.
    .macro lookup n, ky, address, a, b
    .if \n % 8 == 0
    nibbles
    .endif
    .if \n % 2
    uxtab   \address, r1, r3, ror #(\n % 8 / 2 * 8)
    .else
    uxtab   \address, r1, r2, ror #(\n % 8 / 2 * 8)
    .endif
    vldrw.u32 \a, [\address, #(256 * \ky - BEHIND)]
    vldrw.u32 \b, [\address, #(256 * \ky + 256 - BEHIND)]
    .endm

// Group `g` of a block's 8, whose nibbles are 3 g.. .
    .macro group g
    lookup  (3 * \g), 0, r4, q0, q1
    lookup  (3 * \g + 1), 1, r5, q6, q7
    vadd.i8 q0, q0, q6
    vadd.i8 q1, q1, q7
    lookup  (3 * \g + 2), 2, r4, q6, q7
    vadd.i8 q0, q0, q6
    vadd.i8 q1, q1, q7
    vadd.i8 q2, q2, q0
    vqdmlah.s8 q3, q0, r8
    vadd.i8 q4, q4, q1
    vqdmlah.s8 q5, q1, r8
    add     r1, r1, #1024
    .endm

// Adds up the runs of the vector whose first sums are `at` bytes from r4, then writes its lanes or its signs to r1.
    .macro merge at
    vldrw.u32 q0, [r4, #\at]
    vldrw.u32 q1, [r4, #\at + 16]
    add     r2, r4, #\at
    vmovlb.s8 q4, q0
    vmovlb.s8 q5, q1
    vmovlt.s8 q6, q0
    vmovlt.s8 q7, q1
    wls     lr, r9, 2f
1:  vldrw.u32 q0, [r2, #TAP]!
    vldrw.u32 q1, [r2, #16]
    vmovlb.s8 q2, q0
    vadd.i16 q4, q4, q2
    vqdmlah.s16 q6, q0, r5            // 2 * 128 * v >> 16: the odd byte
    vmovlb.s8 q2, q1
    vadd.i16 q5, q5, q2
    vqdmlah.s16 q7, q1, r5
    le      lr, 1b
2:  cbz     r6, 3f
    ldr     r2, [r6]
    vadd.i16 q4, q4, r2
    vadd.i16 q5, q5, r2
    vadd.i16 q6, q6, r2
    vadd.i16 q7, q7, r2
    vshrnb.i16 q6, q4, #8             // the top bytes of both, each where its sum was
    vshrnb.i16 q7, q5, #8
    vstrw.32 q6, [r1], #16
    vstrw.32 q7, [r1], #16
    b       4f
3:  vstrw.32 q4, [r1], #16
    vstrw.32 q5, [r1], #16
    vstrw.32 q6, [r1], #16
    vstrw.32 q7, [r1], #16
4:
    .endm

    .section .text.r2b_lut4_pass_pair_mve, "ax", %progbits
    .balign 4
    .global r2b_lut4_pass_pair_mve
    .type   r2b_lut4_pass_pair_mve, %function
    .thumb_func
r2b_lut4_pass_pair_mve:
    push    {r4-r11, lr}
    vpush   {d8-d15}
    sub     sp, sp, #CALL_BYTES
    ldm     r0, {r0-r6, r9, r12}
    stm     sp, {r0-r6, r9, r12}
    mov     r11, r3
    mov     r7, #0xf0f0f0f0
    mov     r8, #8
    b       channel

// The first word holds nibbles of r3 groups that there are none of.
partial:
    mov     r4, r3
    nibbles
    tbh     [pc, r4, lsl #1]
entries:
    .hword  0, (group_1 - entries) / 2, (group_2 - entries) / 2, (group_3 - entries) / 2, (group_4 - entries) / 2
    .hword  (group_5 - entries) / 2, (group_6 - entries) / 2, (group_7 - entries) / 2

channel:
    ldrd    r9, r10, [sp, #CALL_JOBS]  // and CALL_COUNT
job:
    ldm     r9!, {r1-r4, r6, r12}
    vdup.8  q2, r2
    vdup.8  q4, r2
    vmov.i32 q3, #0
    vmov.i32 q5, #0
    dls     lr, r4
    cmp     r3, #0
    bne     partial
block:
    group   0
group_1:
    group   1
group_2:
    group   2
group_3:
    group   3
group_4:
    group   4
group_5:
    group   5
group_6:
    group   6
group_7:
    group   7
    le      lr, block

    vmla.s8 q2, q3, r7                // l = N - 16 H
    vmla.s8 q4, q5, r7
    vstrw.32 q2, [r12]
    vstrw.32 q3, [r12, #16]
    vstrw.32 q4, [r12, #VECTOR]
    vstrw.32 q5, [r12, #VECTOR + 16]
    cmp     r6, #0
    bne     shifted
next_job:
    subs    r10, r10, #1
    bne     job

    add     r2, sp, #CALL_OUT
    ldm     r2, {r1, r3, r4, r6}
    ldr     r9, [sp, #CALL_COUNT]
    sub     r9, r9, #1
    mov     r5, #128
    merge   0
    merge   VECTOR

    cbz     r6, 5f
    add     r6, r6, #4
5:  subs    r3, r3, #1
    add     r2, sp, #CALL_OUT
    stm     r2, {r1, r3, r4, r6}
    ldr     r2, [sp, #CALL_BORDER]
    cbz     r2, 6f
    add     r2, r2, r9
    add     r2, r2, #1
    str     r2, [sp, #CALL_BORDER]
6:  cmp     r3, #0
    bne     channel

    add     sp, sp, #CALL_BYTES
    vpop    {d8-d15}
    pop     {r4-r11, pc}

// r6 is four times the shift, r12 where the sums of a are. What lies beyond their 8 words is the word at their other end,
// moved by a byte; bytes that come from beyond the row (not in the mask) are those of the border, r5.
shifted:
    cmp     r6, #BY_ONE_RIGHT
    beq     one_right
    cmp     r6, #BY_ONE_LEFT
    beq     one_left
    ldr     r5, [sp, #CALL_BORDER]
    cbz     r5, 1f
    ldr     r2, [sp, #CALL_COUNT]
    sub     r2, r2, r10
    ldrb    r5, [r5, r2]
    ldr     r2, [r9, #JOB_CENTRE - JOB_BYTES]
    add     r5, r5, r2
    uxtb    r5, r5
    orr     r5, r5, r5, lsl #8
    orr     r5, r5, r5, lsl #16
1:  lsr     r1, r11, #8
    cmp     r6, #0
    bgt     3f
    bic     r5, r5, r11
2:  ldr     r2, [r12, #28]
    ldr     r3, [r12, #VECTOR + 28]
    and     r2, r11, r2, lsl #8
    and     r3, r11, r3, lsl #8
    orr     r2, r2, r5
    orr     r3, r3, r5
    str     r3, [r12, #VECTOR - 4]
    str     r2, [r12, #-4]!
    adds    r6, r6, #4
    bne     2b
    b       next_job
3:  bic     r5, r5, r1
4:  ldr     r2, [r12], #4
    ldr     r3, [r12, #VECTOR - 4]
    and     r2, r1, r2, lsr #8
    and     r3, r1, r3, lsr #8
    orr     r2, r2, r5
    orr     r3, r3, r5
    str     r2, [r12, #28]
    str     r3, [r12, #VECTOR + 28]
    subs    r6, r6, #4
    bne     4b
    b       next_job

one_right:
    ldr     r2, [r12, #28]
    ldr     r3, [r12, #VECTOR + 28]
    and     r2, r11, r2, lsl #8
    and     r3, r11, r3, lsl #8
    str     r2, [r12, #-4]
    str     r3, [r12, #VECTOR - 4]
    b       next_job

one_left:
    ldr     r2, [r12]
    ldr     r3, [r12, #VECTOR]
    lsr     r1, r11, #8
    and     r2, r1, r2, lsr #8
    and     r3, r1, r3, lsr #8
    str     r2, [r12, #32]
    str     r3, [r12, #VECTOR + 32]
    b       next_job
    .size   r2b_lut4_pass_pair_mve, . - r2b_lut4_pass_pair_mve
