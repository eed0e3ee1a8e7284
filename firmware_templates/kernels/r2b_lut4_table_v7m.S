// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_table_v7m.S: the tables of r2b_lut4_table.h for Armv7-M and later (M3 to M33), vectors of 16 pixels.
//
//   void r2b_lut4_groups_v7m(const uint32_t *nibbles, const uint32_t *constants, int32_t groups, uint32_t *table);
//       nibbles [2][8]: a word of each half of an entry for each group; constants: ones[2], then halves[2].
//   void r2b_lut4_move_v7m(void *to, const void *from, uint32_t bytes);
//       a multiple of 128 bytes, 16-aligned, to a lower address.
//
//   r0 nibbles     r4 r5 .. r10 r11  b_k, then 1 - 2 b_k, of both words, k = 0 .. 3
//   r1 ones        r12 table         lr mask, then temporary
//   r2 r3 an entry                   [sp] constants, [sp, #4] groups left
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2

    .syntax unified
    .thumb
    .section .text.r2b_lut4_groups_v7m, "ax", %progbits

    .macro STEP operation, low, high, entry
    \operation r2, r2, \low
    \operation r3, r3, \high
    strd r2, r3, [r12, #(8 * \entry)]
    .endm

    .global r2b_lut4_groups_v7m
    .type r2b_lut4_groups_v7m, %function
r2b_lut4_groups_v7m:
    push {r4-r11, lr}
    push {r1, r2}
    mov r12, r3
.Lgroup:
    mov lr, #0x11111111
    ldr r3, [r0, #32]
    ldr r2, [r0], #4
    ldr r1, [sp]
    and r4, lr, r2
    and r6, lr, r2, lsr #1
    and r8, lr, r2, lsr #2
    and r10, lr, r2, lsr #3
    and r5, lr, r3
    and r7, lr, r3, lsr #1
    and r9, lr, r3, lsr #2
    and r11, lr, r3, lsr #3
    ldrd r2, r3, [r1, #8]
    ldrd r1, lr, [r1]
    add r2, r2, r4
    add r3, r3, r5
    add r2, r2, r6
    add r3, r3, r7
    add r2, r2, r8
    add r3, r3, r9
    add r2, r2, r10
    add r3, r3, r11
    strd r2, r3, [r12]
    sub r4, r1, r4, lsl #1
    sub r5, lr, r5, lsl #1
    STEP add, r4, r5, 1
    sub r6, r1, r6, lsl #1
    sub r7, lr, r7, lsl #1
    STEP add, r6, r7, 3
    sub r8, r1, r8, lsl #1
    sub r9, lr, r9, lsl #1
    STEP sub, r4, r5, 2
    sub r10, r1, r10, lsl #1
    sub r11, lr, r11, lsl #1
    STEP add, r8, r9, 6
    STEP add, r4, r5, 7
    STEP sub, r6, r7, 5
    STEP sub, r4, r5, 4
    STEP add, r10, r11, 12
    STEP add, r4, r5, 13
    STEP add, r6, r7, 15
    STEP sub, r4, r5, 14
    STEP sub, r8, r9, 10
    STEP add, r4, r5, 11
    STEP sub, r6, r7, 9
    STEP sub, r4, r5, 8
    ldr r1, [sp, #4]
    add r12, r12, #128
    subs r1, r1, #1
    str r1, [sp, #4]
    bne .Lgroup
    pop {r1, r2}
    pop {r4-r11, pc}
    .size r2b_lut4_groups_v7m, . - r2b_lut4_groups_v7m

    .section .text.r2b_lut4_move_v7m, "ax", %progbits
    .global r2b_lut4_move_v7m
    .type r2b_lut4_move_v7m, %function
r2b_lut4_move_v7m:
    push {r4-r11}
    add r2, r2, r0
.Lmove:
    .rept 4
    ldm r1!, {r4-r11}
    stm r0!, {r4-r11}
    .endr
    cmp r0, r2
    bne .Lmove
    pop {r4-r11}
    bx lr
    .size r2b_lut4_move_v7m, . - r2b_lut4_move_v7m

#endif
