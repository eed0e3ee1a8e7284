// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_unit_fpv.S: the epilogue of binary networks on a vector of 16 pixels of one channel, with a float unit of
// single precision (FPv4-SP and later); see lut4_unit in r2b_lut4.h.
//
//   void r2b_lut4_unit_fpv(const lut4_unit *unit, const uint32_t *lanes, const lut4_constants *constants);
//
// The 16 values stay in s0-s15 from one part to the next. VCVT from 16 bits takes the low half of a register, so that
// the words of the lanes serve as they are for pixels 0-7, and shifted for 8-15. PRELU needs the sign of v: that of
// the words, which are still in r4-r11. Signs are collected from the last pixel to the first: VCMP leaves a carry where
// t >= limit or where it is no number, and ADC shifts it in; inverted, a bit is t < limit.
//
//   r0 unit   r1 lanes   r2 parts   r3 an address   r4-r11 words of lanes   r12, lr temporary
// What a Real-to-Binary unit has, with the result in the skip's place, goes through in one sweep.
//
//   s16 up, s17 down, s18 offset, s19 bend, s20 limit, s21 and s22 temporary
#if defined(__arm__) && defined(__ARM_FP) && __ARM_ARCH_ISA_THUMB == 2

    .syntax unified
    .thumb
    .fpu fpv4-sp-d16
    .section .text.r2b_lut4_unit_fpv, "ax", %progbits

#define LOW 0, 1, 2, 3, 4, 5, 6, 7
#define ALL 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

    .macro UNLESS part, skip
    lsls r12, r2, #(31 - \part)
    bpl \skip
    .endm

    .macro HIGH_PAIR word, next, value, second
    asr r12, \word, #16
    asr lr, \next, #16
    vmov \value, \second, r12, lr
    .endm

    // Two pixels of a unit: their skips become their results. Signs come in at the top of r2, pixel 15 at last.
    .macro UNIT_PAIR first, second, is_low, word, next, has_mean
    vldr s21, [r3]
    add lr, r3, r1
    vldr s22, [lr]
    .if \is_low
    lsls r12, \word, #16
    .else
    cmp \word, #0
    .endif
    ite mi
    vfmami.f32 s21, \first, s17
    vfmapl.f32 s21, \first, s16
    .if \is_low
    lsls r12, \next, #16
    .else
    cmp \next, #0
    .endif
    ite mi
    vfmami.f32 s22, \second, s17
    vfmapl.f32 s22, \second, s16
    vcmp.f32 s21, s20
    vmrs apsr_nzcv, fpscr
    rrx r2, r2
    vstr s21, [r3]
    vcmp.f32 s22, s20
    vmrs apsr_nzcv, fpscr
    rrx r2, r2
    vstr s22, [lr]
    add r3, lr, r1
    .if \has_mean
    vadd.f32 s18, s18, s21
    vadd.f32 s18, s18, s22
    .endif
    .endm

    .macro UNIT has_mean
    UNIT_PAIR s0, s1, 1, r4, r5, \has_mean
    UNIT_PAIR s2, s3, 1, r6, r7, \has_mean
    UNIT_PAIR s4, s5, 1, r8, r9, \has_mean
    UNIT_PAIR s6, s7, 1, r10, r11, \has_mean
    UNIT_PAIR s8, s9, 0, r4, r5, \has_mean
    UNIT_PAIR s10, s11, 0, r6, r7, \has_mean
    UNIT_PAIR s12, s13, 0, r8, r9, \has_mean
    UNIT_PAIR s14, s15, 0, r10, r11, \has_mean
    .endm

    .global r2b_lut4_unit_fpv
    .type r2b_lut4_unit_fpv, %function
r2b_lut4_unit_fpv:
    push {r4-r11, lr}
    vpush {s16-s22}
    ldm r1, {r4-r11}
    vldm r1, {s0-s7}
    vldm r2, {s16-s20}
    ldrd r2, r1, [r0], #8
    HIGH_PAIR r4, r5, s8, s9
    HIGH_PAIR r6, r7, s10, s11
    HIGH_PAIR r8, r9, s12, s13
    HIGH_PAIR r10, r11, s14, s15
    .irp i, ALL
    vcvt.f32.s16 s\i, s\i, #0
    .endr

    lsls r12, r2, #(31 - 9)
    bmi .Lin_place
    UNLESS 0, .Lscale
    .irp i, ALL
    vadd.f32 s\i, s\i, s\i
    .endr
    b .Lskip
.Lscale:
    UNLESS 1, .Lselect
    .irp i, ALL
    vmul.f32 s\i, s\i, s16
    .endr
    b .Lskip
.Lselect:
    UNLESS 2, .Loffset
    .macro SELECT word, low, high
    lsls r12, \word, #16
    ite mi
    vmulmi.f32 \low, \low, s17
    vmulpl.f32 \low, \low, s16
    cmp \word, #0
    ite mi
    vmulmi.f32 \high, \high, s17
    vmulpl.f32 \high, \high, s16
    .endm
    SELECT r4, s0, s8
    SELECT r5, s1, s9
    SELECT r6, s2, s10
    SELECT r7, s3, s11
    SELECT r8, s4, s12
    SELECT r9, s5, s13
    SELECT r10, s6, s14
    SELECT r11, s7, s15
    b .Lskip
.Loffset:
    .irp i, ALL
    vmul.f32 s\i, s\i, s16
    .endr
    .irp i, ALL
    vadd.f32 s\i, s\i, s18
    .endr
    UNLESS 4, .Lskip
    .irp i, ALL
    vcmp.f32 s\i, #0.0
    vmrs apsr_nzcv, fpscr
    it mi
    vmulmi.f32 s\i, s\i, s19
    .endr

.Lskip:
    ldr lr, [r0]
    UNLESS 5, .Lstore
    ldr r3, [r0, #4]
    add r3, r3, lr
    .macro ADD_PAIR value, second
    vldr s21, [r3]
    add r3, r3, r1
    vldr s22, [r3]
    add r3, r3, r1
    vadd.f32 \value, \value, s21
    vadd.f32 \second, \second, s22
    .endm
    ADD_PAIR s0, s1
    ADD_PAIR s2, s3
    ADD_PAIR s4, s5
    ADD_PAIR s6, s7
    ADD_PAIR s8, s9
    ADD_PAIR s10, s11
    ADD_PAIR s12, s13
    ADD_PAIR s14, s15

.Lstore:
    UNLESS 6, .Lmean
    ldr r3, [r0, #8]
    add r3, r3, lr
    .irp i, ALL
    vstr s\i, [r3]
    .if \i < 15
    add r3, r3, r1
    .endif
    .endr

.Lmean:
    UNLESS 7, .Lsign
    ldr r3, [r0, #12]
    vadd.f32 s21, s0, s1
    .irp i, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vadd.f32 s21, s21, s\i
    .endr
    vldr s22, [r3]
    vadd.f32 s22, s22, s21
    vstr s22, [r3]

.Lsign:
    UNLESS 8, .Lend
    ldr r3, [r0, #16]
    mov r12, #0
    .irp i, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0
    vcmp.f32 s\i, s20
    vmrs apsr_nzcv, fpscr
    adc r12, r12, r12
    .endr
    mvn r12, r12
    strb r12, [r3]
    lsr r12, r12, #8
    strb r12, [r3, #8]
.Lend:
    vpop {s16-s22}
    pop {r4-r11, pc}

.Lin_place:
    ldrd r12, r3, [r0]
    lsls lr, r2, #(31 - 7)
    add r3, r3, r12
    bmi .Lwith_mean
    UNIT 0
    b .Lgiven
.Lwith_mean:
    ldr r12, [r0, #12]
    vldr s18, [r12]
    UNIT 1
    ldr r12, [r0, #12]
    vstr s18, [r12]
.Lgiven:
    ldr r3, [r0, #16]
    mvn r2, r2
    lsr r12, r2, #16
    strb r12, [r3]
    lsr r12, r2, #24
    strb r12, [r3, #8]
    b .Lend
    .size r2b_lut4_unit_fpv, . - r2b_lut4_unit_fpv

#endif
