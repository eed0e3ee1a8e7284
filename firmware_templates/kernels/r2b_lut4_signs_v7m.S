// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_signs_v7m.S: signs of channels become bits of pixels; see r2b_lut4_epilogue.h. For Armv7-M and later.
//
//   void r2b_lut4_spread_v7m(const uint8_t *octets, uint32_t flip, uint8_t *to, int32_t pixel_bytes, int32_t count);
//
// For `count` octets of pixels that follow each other, signs of 8 channels: from a byte a channel, 4-aligned, to a byte a
// pixel: an 8x8 transpose in three steps, which exchange blocks of 1, 2 and 4 bits, the first two in each word by itself.
// The bytes are inverted by `flip` on the way, and stored pixel_bytes apart.
//
//   r0 octets   r1 flip   r2 to   r3 pixel_bytes   r4 r5 channels 0-3 and 4-7, then pixels 0-3 and 4-7
//   r6 r7 masks   r8 their end   r12 temporary
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2

    .syntax unified
    .thumb
    .section .text.r2b_lut4_spread_v7m, "ax", %progbits

    .macro EXCHANGE word, distance, mask  // bits of `mask` with those `distance` above
    eor r12, \word, \word, lsr #\distance
    and r12, r12, \mask
    eor \word, \word, r12
    eor \word, \word, r12, lsl #\distance
    .endm

    .macro PIXELS word
    strb \word, [r2]
    lsr r12, \word, #8
    strb r12, [r2, r3]
    add r2, r2, r3, lsl #1
    lsr r12, \word, #16
    strb r12, [r2]
    lsr r12, \word, #24
    strb r12, [r2, r3]
    add r2, r2, r3, lsl #1
    .endm

    .global r2b_lut4_spread_v7m
    .type r2b_lut4_spread_v7m, %function
r2b_lut4_spread_v7m:
    push {r4-r8}
    ldr r8, [sp, #20]
    mov r6, #0x00aa00aa
    movw r7, #0xcccc
    add r8, r0, r8, lsl #3
.Loctet:
    ldrd r4, r5, [r0], #8
    EXCHANGE r4, 7, r6
    EXCHANGE r5, 7, r6
    EXCHANGE r4, 14, r7
    EXCHANGE r5, 14, r7
    eor r12, r5, r4, lsr #4
    and r12, r12, #0x0f0f0f0f
    eor r5, r5, r12
    eor r4, r4, r12, lsl #4
    eor r4, r4, r1
    eor r5, r5, r1
    PIXELS r4
    PIXELS r5
    cmp r0, r8
    bne .Loctet
    pop {r4-r8}
    bx lr
    .size r2b_lut4_spread_v7m, . - r2b_lut4_spread_v7m

#endif
