// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_signs_v7m.S: signs on their way from lanes to bits; see r2b_lut4_epilogue.h. For Armv7-M and later.
//
//   void r2b_lut4_collect_v7m(const uint32_t *lanes, uint8_t *signs);
//
// The signs of a vector of one channel: a byte for pixels 0-7, and 8 bytes on one for pixels 8-15. The last word's come
// to the top of both halves, those before it to the bits below.
//
//   void r2b_lut4_spread_v7m(const uint32_t *octet, uint32_t flip, uint8_t *to, int32_t pixel_bytes);
//
// Signs of 8 channels of 8 pixels, from a byte a channel to a byte a pixel: an 8x8 transpose in three steps, which exchange blocks of 1, 2 and 4 bits, the first two in each word by itself. The
// bytes are inverted by `flip` on the way, and stored pixel_bytes apart.
//
//   r4 r5 channels 0-3 and 4-7, then pixels 0-3 and 4-7     r1 flip, r0 r12 temporary
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2

    .syntax unified
    .thumb
    .section .text.r2b_lut4_collect_v7m, "ax", %progbits
    .global r2b_lut4_collect_v7m
    .type r2b_lut4_collect_v7m, %function
r2b_lut4_collect_v7m:
    push {r4-r9}
    ldm r0, {r2-r9}
    and r2, r2, #0x80008000
    .irp word, r3, r4, r5, r6, r7, r8, r9
    and \word, \word, #0x80008000
    orr r2, \word, r2, lsr #1
    .endr
    lsr r0, r2, #8
    lsr r3, r2, #24
    strb r0, [r1]
    strb r3, [r1, #8]
    pop {r4-r9}
    bx lr
    .size r2b_lut4_collect_v7m, . - r2b_lut4_collect_v7m

    .section .text.r2b_lut4_spread_v7m, "ax", %progbits

    .macro EXCHANGE word, distance, mask  // bits of `mask` with those `distance` above
    eor r0, \word, \word, lsr #\distance
    and r0, r0, \mask
    eor \word, \word, r0
    eor \word, \word, r0, lsl #\distance
    .endm

    .macro PIXELS word
    strb \word, [r2]
    lsr r0, \word, #8
    strb r0, [r2, r3]
    add r2, r2, r3, lsl #1
    lsr r0, \word, #16
    strb r0, [r2]
    lsr r0, \word, #24
    strb r0, [r2, r3]
    .endm

    .global r2b_lut4_spread_v7m
    .type r2b_lut4_spread_v7m, %function
r2b_lut4_spread_v7m:
    push {r4, r5}
    ldrd r4, r5, [r0]
    movw r12, #0x00aa
    movt r12, #0x00aa
    EXCHANGE r4, 7, r12
    EXCHANGE r5, 7, r12
    movw r12, #0xcccc
    EXCHANGE r4, 14, r12
    EXCHANGE r5, 14, r12
    eor r0, r5, r4, lsr #4
    and r0, r0, #0x0f0f0f0f
    eor r5, r5, r0
    eor r4, r4, r0, lsl #4
    eor r4, r4, r1
    eor r5, r5, r1
    PIXELS r4
    add r2, r2, r3, lsl #1
    PIXELS r5
    pop {r4, r5}
    bx lr
    .size r2b_lut4_spread_v7m, . - r2b_lut4_spread_v7m

#endif
