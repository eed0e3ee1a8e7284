// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_pass_v6m.S: the pass of r2b_lut4.h for Armv6-M (Cortex-M0 and M0+): tables of 16 pixels, two words an entry.
//
//   void r2b_lut4_pass_v6m(const r2b_lut4_job *jobs, int32_t count, const uint32_t *weights);
//
// A word of weights is split into four bytes of low nibbles (lookups 0, 2, 4, 6) and four of high ones (1, 3, 5, 7).
// Two shifts make 8 * nibble, the offset of an entry, from any byte: what is left of the byte below, which is less than
// 32, is shifted out. To the bytes of high nibbles 16 is added, the next table: so the base moves once for two lookups.
//
// Three entries of at most 4 fit in fields of 4 bits; the first of them needs no addition. Then they are taken apart:
// S sums the words as they are, H their high fields as bytes, and S - 16 H is the sum of the low fields, since all of it
// is modulo 2^32 and the byte sums fit.
//
//   r0 r1 low and high nibbles       r8 r9   S of word 0 and 1
//   r2    mask: 0x0f0f0f0f           r10 r11 H
//   r3    weights                    r12     base: the table of lookup 2 i
//   r4 r5 fields of up to 3 entries  lr      256, two tables
//   r6 r7 address, an entry
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB >= 1

    .syntax unified
    .thumb
    .section .text.r2b_lut4_pass_v6m, "ax", %progbits

    .equ JOB, 0     // on the stack: the next job,
    .equ END, 4     // the end of the jobs,
    .equ BLOCKS, 8  // blocks left,
    .equ SUMS, 12   // where this job's sums go,
    .equ NEXT, 16   // 0x10101010
    .equ FRAME, 20

    .macro WORD  // the next word of weights
    ldm r3!, {r0}
    ldr r6, [sp, #NEXT]
    lsrs r1, r0, #4
    ands r0, r0, r2
    ands r1, r1, r2
    adds r1, r1, r6
    .endm

    .macro ADDRESS k  // of the entry of lookup \k of a block, in r7
    .if \k % 2
    .set nibbles, 1
    .else
    .set nibbles, 0
    .endif
    .if \k % 8 / 2 == 3
    .if nibbles
    lsrs r7, r1, #21
    .else
    lsrs r7, r0, #21
    .endif
    .else
    .if nibbles
    lsls r7, r1, #(24 - 8 * (\k % 8 / 2))
    .else
    lsls r7, r0, #(24 - 8 * (\k % 8 / 2))
    .endif
    lsrs r7, r7, #21
    .endif
    add r7, r12
    .if nibbles
    add r12, lr
    .endif
    .endm

    .macro LOOKUP k
.Lookup\k:
    ADDRESS \k
    .if \k % 3
    ldm r7, {r6, r7}
    adds r4, r4, r6
    adds r5, r5, r7
    .else
    ldm r7!, {r4, r5}
    .endif
    .if \k % 3 == 2
    add r8, r4
    add r9, r5
    lsrs r4, r4, #4
    lsrs r5, r5, #4
    ands r4, r4, r2
    ands r5, r5, r2
    add r10, r4
    add r11, r5
    .endif
    .endm

    .global r2b_lut4_pass_v6m
    .type r2b_lut4_pass_v6m, %function
    .balign 4
r2b_lut4_pass_v6m:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, #FRAME
    str r0, [sp, #JOB]
    lsls r4, r1, #2  // 12 bytes a job
    lsls r1, r1, #3
    adds r1, r1, r4
    adds r1, r1, r0
    str r1, [sp, #END]
    movs r3, r2
    ldr r2, =0x0f0f0f0f
    ldr r0, =0x10101010
    str r0, [sp, #NEXT]
    movs r0, #255
    adds r0, r0, #1
    mov lr, r0

.Ljob:
    ldr r7, [sp, #JOB]
    ldm r7!, {r4, r5, r6}
    str r7, [sp, #JOB]
    str r6, [sp, #SUMS]
    mov r12, r4
    lsrs r7, r5, #16
    str r7, [sp, #BLOCKS]
    lsls r7, r5, #16
    lsrs r7, r7, #15
    movs r4, #0
    movs r5, #0
    mov r8, r4
    mov r9, r4
    mov r10, r4
    mov r11, r4
    WORD
    adr r6, .Lentries
    ldrh r6, [r6, r7]
    add pc, r6
.Lhere:
    .balign 4
.Lentries:
    .irp k, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
    .hword .Lookup\k - .Lhere - 2
    .endr

    .balign 4
.Lblock:
    WORD
    .irp k, 0, 1, 2, 3, 4, 5, 6, 7
    LOOKUP \k
    .endr
    WORD
    .irp k, 8, 9, 10, 11, 12, 13, 14, 15
    LOOKUP \k
    .endr
    WORD
    .irp k, 16, 17, 18, 19, 20, 21, 22, 23
    LOOKUP \k
    .endr
    ldr r6, [sp, #BLOCKS]
    subs r6, r6, #1
    beq .Ldone
    str r6, [sp, #BLOCKS]
    b .Lblock

.Ldone:
    mov r6, r10
    mov r7, r11
    lsls r0, r6, #4
    lsls r1, r7, #4
    mov r4, r8
    mov r5, r9
    subs r4, r4, r0
    subs r5, r5, r1
    ldr r0, [sp, #SUMS]
    stm r0!, {r4-r7}
    ldr r0, [sp, #JOB]
    ldr r1, [sp, #END]
    cmp r0, r1
    bne .Ljob_again
    add sp, #FRAME
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
.Ljob_again:
    b .Ljob
    .ltorg
    .size r2b_lut4_pass_v6m, . - r2b_lut4_pass_v6m

#endif
