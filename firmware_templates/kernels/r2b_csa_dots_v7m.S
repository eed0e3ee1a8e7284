// SPDX-License-Identifier: MIT-0
//
// r2b_csa_dots_v7m.S: the dot products of r2b_bconv_csa.c for Armv7-M and later, of at most 63 words.
//
//   void r2b_csa_dots_v7m(const r2b_csa_dots *dots);
//
// Two words of input and weights come by one LDRD each; a full adder takes five operations, see r2b_bconv_csa.c. Eight
// words at a time give one carry of eights; what remains of a run goes in by four, two and one. Lanes of thirty-twos are
// rare, and wait on the stack.
//
//   r0 x   r1 weights   r2-r5 words, temporary   r6-r10 ones, twos, fours, eights, sixteens
//   r11, r12 carries that wait for a second one   lr words left of a run
//   [sp] thirty-twos, [sp, #4] runs left, [sp, #8] dots
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2

    .syntax unified
    .thumb
    .section .text.r2b_csa_dots_v7m, "ax", %progbits
#ifdef __ARM_FP
    .fpu fpv4-sp-d16
#endif

    .equ X, 0
    .equ WORDS, 4
    .equ GAP, 8
    .equ RUNS, 12
    .equ NEXT, 16
    .equ TAPS, 20
    .equ OUT, 24
    .equ END, 28
    .equ WEIGHTS, 32

    .macro FULL plane, b, c, carry  // r4 and r5 are temporary
    eor r4, \plane, \b
    eor r5, \plane, \c
    eor \plane, r4, \c
    orr r4, r4, r5
    eor \carry, \plane, r4
    .endm

    .macro HALF plane, word, carry
    and \carry, \plane, \word
    eor \plane, \plane, \word
    .endm

    .macro LOADED_TWO
    ldrd r2, r3, [r0], #8
    ldrd r4, r5, [r1], #8
    eor r2, r2, r4
    eor r3, r3, r5
    .endm

    .macro TWO carry
    LOADED_TWO
    FULL r6, r2, r3, \carry
    .endm

    .macro FOUR carry
    TWO r11
    TWO r2
    FULL r7, r11, r2, \carry
    .endm

    .macro ADD_EIGHTS carry, number
    HALF r9, \carry, r3
    ands r2, r10, r3
    eor r10, r10, r3
    bne .Lfull\number
.Ladded\number:
    .endm

    .macro ADD_THIRTY_TWOS number
.Lfull\number:
    ldr r3, [sp]
    orr r3, r3, r2
    str r3, [sp]
    b .Ladded\number
    .endm

    .global r2b_csa_dots_v7m
    .type r2b_csa_dots_v7m, %function
r2b_csa_dots_v7m:
    push {r4-r11, lr}
    sub sp, sp, #12
    str r0, [sp, #8]
    mov r2, r0
    ldr r1, [r0, #WEIGHTS]
.Loutput:  // r2 is dots
    ldr r3, [r2, #RUNS]
    ldrd r0, lr, [r2, #X]
    mov r10, #0
    strd r10, r3, [sp]
    subs lr, lr, #8
    blo .Lshort
    LOADED_TWO  // eight words where all planes are 0
    and r11, r2, r3
    eor r6, r2, r3
    TWO r2
    and r12, r11, r2
    eor r7, r11, r2
    FOUR r2
    and r9, r12, r2
    eor r8, r12, r2
    subs lr, lr, #8
    bhs .Leight
    b .Lrest
.Lshort:
    mov r6, #0
    mov r7, #0
    mov r8, #0
    mov r9, #0
    b .Lrest
.Lrun:
    ldr lr, [r2, #WORDS]
    subs lr, lr, #8
    blo .Lrest
.Leight:
    FOUR r12
    FOUR r2
    FULL r8, r12, r2, r2
    ADD_EIGHTS r2, 1
    subs lr, lr, #8
    bhs .Leight
.Lrest:  // words left - 8
    lsls lr, lr, #30
    bcc .Lno_four
    FOUR r2
    HALF r8, r2, r3
    mov r2, r3
    ADD_EIGHTS r2, 2
.Lno_four:
    cmp lr, #0
    bpl .Lno_two
    TWO r2
    HALF r7, r2, r3
    HALF r8, r3, r2
    ADD_EIGHTS r2, 3
.Lno_two:
    lsls lr, lr, #1
    bpl .Lno_one
    ldr r2, [r0], #4
    ldr r4, [r1], #4
    eor r2, r2, r4
    HALF r6, r2, r3
    HALF r7, r3, r2
    HALF r8, r2, r3
    mov r2, r3
    ADD_EIGHTS r2, 4
.Lno_one:
    ldrd r3, r2, [sp, #4]
    subs r3, r3, #1
    beq .Lsum
    str r3, [sp, #4]
    ldr r3, [r2, #GAP]
    add r0, r0, r3
    add r1, r1, r3
    b .Lrun

    ADD_THIRTY_TWOS 1
    ADD_THIRTY_TWOS 2
    ADD_THIRTY_TWOS 3
    ADD_THIRTY_TWOS 4

    .macro PAIRS plane  // fields of 2 bits, 0..2; r3 is 0x55555555
    and r4, r3, \plane, lsr #1
    sub \plane, \plane, r4
    .endm

    .macro NIBBLES plane  // fields of 4 bits, 0..4; r5 is 0x33333333
    and r4, r5, \plane, lsr #2
    and \plane, \plane, r5
    add \plane, \plane, r4
    .endm

    // Fields of 4 bits: ones + 2 twos is at most 12, fours + 2 eights, too. Bytes: 24 + 4 * 24, and 16 * 8 for the
    // sixteens, which is 248.
.Lsum:
    mov r3, #0x55555555
    mov r5, #0x33333333
    .irp plane, r6, r7, r8, r9
    PAIRS \plane
    NIBBLES \plane
    .endr
    add r6, r6, r7, lsl #1
    add r8, r8, r9, lsl #1
    mov r11, #0x0f0f0f0f
    and r4, r11, r6, lsr #4
    and r6, r6, r11
    add r6, r6, r4
    and r4, r11, r8, lsr #4
    and r8, r8, r11
    add r8, r8, r4
    add r6, r6, r8, lsl #2
    cmp r10, #0
    beq .Lno_sixteens
    PAIRS r10
    NIBBLES r10
    add r10, r10, r10, lsr #4
    and r10, r10, r11
    add r6, r6, r10, lsl #4
.Lno_sixteens:
#ifdef __ARM_FEATURE_DSP
    mov r4, #0
    usad8 r6, r6, r4
#else
    mov r3, #0x00ff00ff
    and r4, r3, r6, lsr #8
    and r6, r6, r3
    add r6, r6, r4
    add r6, r6, r6, lsr #16
    uxth r6, r6
#endif
    ldr r7, [sp]
    cbnz r7, .Lthirty_twos
.Lcounted:
    ldrd r3, r4, [r2, #TAPS]
    sub r3, r3, r6, lsl #1
#ifdef __ARM_FP
    vmov s0, r3
    vcvt.f32.s32 s0, s0
    vstm r4!, {s0}
#else
    str r3, [r4], #4
#endif
    str r4, [r2, #OUT]
    ldr r3, [r2, #END]
    ldr r5, [r2, #NEXT]
    add r1, r1, r5
    cmp r4, r3
    bne .Loutput
    add sp, sp, #12
    pop {r4-r11, pc}

.Lthirty_twos:
    mov r3, #0x55555555
    mov r5, #0x33333333
    PAIRS r7
    NIBBLES r7
    add r7, r7, r7, lsr #4
    and r7, r7, r11
    add r7, r7, r7, lsl #16
    add r7, r7, r7, lsl #8
    lsr r7, r7, #24
    add r6, r6, r7, lsl #5
    b .Lcounted
    .size r2b_csa_dots_v7m, . - r2b_csa_dots_v7m

#endif
