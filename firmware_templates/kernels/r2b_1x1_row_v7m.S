// SPDX-License-Identifier: MIT-0
//
// r2b_1x1_row_v7m.S: the pixels of r2b_bconv_1x1.h for Armv7-M and later.
//
//   void r2b_1x1_row_v7m(const r2b_1x1_row *row);
//
// For each 16 input channels of a pixel four entries of 32 bytes are added, first their words 0-3, then 4-7. Between the
// first and the last 16 channels of a pixel sums wait on the stack.
//
//   r0-r3 addresses of entries   r4-r7 sums   r8-r11 an entry   r12 x   lr tables, then signs of words 0-3
//   [sp] out, out_step, end, x_step, tables, last; [sp, #24] sums
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2

    .syntax unified
    .thumb
    .section .text.r2b_1x1_row_v7m, "ax", %progbits

    .macro ADD_ENTRY address
    ldm \address!, {r8-r11}
    add r4, r4, r8
    add r5, r5, r9
    add r6, r6, r10
    add r7, r7, r11
    .endm

    .macro ADD_WORDS is_first, sums  // of four entries
    .if \is_first
    ldm r0!, {r4-r7}
    .else
    ldrd r4, r5, [sp, #\sums]
    ldrd r6, r7, [sp, #(\sums + 8)]
    ADD_ENTRY r0
    .endif
    ADD_ENTRY r1
    ADD_ENTRY r2
    ADD_ENTRY r3
    .endm

    .macro KEEP_WORDS sums
    strd r4, r5, [sp, #\sums]
    strd r6, r7, [sp, #(\sums + 8)]
    .endm

    .macro SIXTEEN is_first, is_last  // channels
    ldrh r3, [r12], #2
    and r0, r3, #0xf
    ubfx r1, r3, #4, #4
    ubfx r2, r3, #8, #4
    lsr r3, r3, #12
    add r0, lr, r0, lsl #5
    add lr, lr, #512
    add r1, lr, r1, lsl #5
    add lr, lr, #512
    add r2, lr, r2, lsl #5
    add lr, lr, #512
    add r3, lr, r3, lsl #5
    .if \is_last == 0
    add lr, lr, #512
    .endif
    ADD_WORDS \is_first, 24
    .if \is_last
    and r4, r4, #0x80808080
    and r5, r5, #0x80808080
    and r6, r6, #0x80808080
    and r7, r7, #0x80808080
    orr r4, r5, r4, lsr #1
    orr r4, r6, r4, lsr #1
    orr lr, r7, r4, lsr #1
    .else
    KEEP_WORDS 24
    .endif
    ADD_WORDS \is_first, 40
    .if \is_last
    and r4, r4, #0x80808080
    and r5, r5, #0x80808080
    and r6, r6, #0x80808080
    and r7, r7, #0x80808080
    orr r4, r4, lr, lsr #1
    orr r4, r5, r4, lsr #1
    orr r4, r6, r4, lsr #1
    orr r4, r7, r4, lsr #1
    ldm sp, {r0-r3, lr}
    str r4, [r0]
    add r0, r0, r1
    str r0, [sp]
    add r12, r12, r3
    cmp r0, r2
    .else
    KEEP_WORDS 40
    .endif
    .endm

    .global r2b_1x1_row_v7m
    .type r2b_1x1_row_v7m, %function
r2b_1x1_row_v7m:
    push {r4-r11, lr}
    sub sp, sp, #56
    ldm r0, {r1-r7}
    stm sp, {r1-r6}
    mov r12, r7
    mov lr, r5
    cmp r5, r6
    bne .Lseveral
.Lone:
    SIXTEEN 1, 1
    bne .Lone
    add sp, sp, #56
    pop {r4-r11, pc}

.Lmiddle:
    SIXTEEN 0, 0
    b .Lnext
.Lseveral:
    SIXTEEN 1, 0
.Lnext:
    ldr r4, [sp, #20]
    cmp lr, r4
    bne .Lmiddle
    SIXTEEN 0, 1
    bne .Lseveral
    add sp, sp, #56
    pop {r4-r11, pc}
    .size r2b_1x1_row_v7m, . - r2b_1x1_row_v7m

#endif
