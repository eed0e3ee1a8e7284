// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_scale_v6m.S: products of a float and small integers for Armv6-M, rounded to the nearest and to even.
//
//   void r2b_lut4_scale_v6m(const uint32_t *lanes, const uint32_t *factors, const uint16_t *floats, float *t);
//       factors: of lanes >= 0 and of lanes < 0: the mantissa, 2^23..2^24 - 1, then sign and exponent - 127 at their
//       places; floats: upper halves of float32 0, 1, 2, .. and of -1, -2, .. before it, for all lanes;
//       t: float32 [16]: pixels 0-7, which are the low halves of the lanes, then 8-15.
//
// The integer's mantissa has 8 bits, so that the product of the mantissas has 32: P, from 2^30 on. Its bits 31..8, after
// a shift to the left if bit 31 is 0, are the result's mantissa; LSRS leaves the last of them in the carry, and adding
// 0x7f and the carry to P rounds. The leading bit adds 1 to the exponent, which is 1 less, and a carry out of the rounding
// another one. Signs add up as bit 31 of a word does.
//
//   r0 lanes        r4 0x7f        r8 r9   factor of lanes >= 0     r12 -2^23
//   r1 sign and     r5 floats      r10 r11 factor of lanes < 0      lr  end of the lanes
//      exponent     r6 t
//   r2 P            r3 r7 temporary
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB >= 1

    .syntax unified
    .thumb
    .section .text.r2b_lut4_scale_v6m, "ax", %progbits

    .macro PRODUCT place  // of 2 r1, whose sign and zero are in the flags, to t + \place
    beq .Lzero\place
    ldrh r2, [r5, r1]
    bmi .Lnegative\place
    mov r3, r8
    mov r1, r9
    b .Lfactor\place
.Lnegative\place:
    mov r3, r10
    mov r1, r11
.Lfactor\place:
    lsrs r7, r2, #7
    lsls r7, r7, #23
    adds r1, r1, r7
    lsls r2, r2, #25
    lsrs r2, r2, #25
    adds r2, r2, #0x80
    muls r2, r3, r2
    bmi .Llarge\place
    lsls r2, r2, #1
    add r1, r12
.Llarge\place:
    lsrs r7, r2, #9
    adcs r2, r2, r4
    bcs .Lcarry\place
    lsrs r2, r2, #8
.Ladd\place:
    adds r2, r2, r1
.Lstore\place:
    str r2, [r6, #\place]
    .endm

    .macro RARE place
.Lzero\place:
    movs r2, #0
    b .Lstore\place
.Lcarry\place:
    movs r2, #1
    lsls r2, r2, #24
    b .Ladd\place
    .endm

    .global r2b_lut4_scale_v6m
    .type r2b_lut4_scale_v6m, %function
r2b_lut4_scale_v6m:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    ldm r1!, {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    movs r5, r2
    movs r6, r3
    movs r4, #1
    lsls r4, r4, #23
    rsbs r4, r4, #0
    mov r12, r4
    movs r4, #32
    adds r4, r4, r0
    mov lr, r4
    movs r4, #0x7f
.Lword:
    ldr r1, [r0]
    lsls r1, r1, #16
    asrs r1, r1, #15
    PRODUCT 0
    ldm r0!, {r1}
    asrs r1, r1, #16
    lsls r1, r1, #1
    PRODUCT 32
    adds r6, r6, #4
    cmp r0, lr
    bne .Lword
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
    RARE 0
    RARE 32
    .size r2b_lut4_scale_v6m, . - r2b_lut4_scale_v6m

#endif
