// SPDX-License-Identifier: MIT-0
//
// r2b_half.h: weights that are stored in IEEE half precision (binary16). Arithmetic stays float32; a half becomes one
// where it is used, so that no copy of the weights is made. Every half is a float32: the conversion is exact.
#ifndef R2B_HALF_H
#define R2B_HALF_H

#include <stdint.h>
#include <string.h>

// A half is sign | exponent, 5 bits, bias 15 | fraction, 10 bits; float32 is the same with 8 bits, bias 127, and 23.
static inline float r2b_half_to_float(uint16_t half) {
#if defined(__aarch64__)
    __fp16 value;
    memcpy(&value, &half, sizeof value);
    return value;  // FCVT, and FCVTL for four of them
#elif defined(__ARM_FP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
    // Every FPU of a Cortex-M has the instruction; __fp16 takes a compiler flag that changes how programs are linked.
    const uint32_t bits = half;
    float value;
    memcpy(&value, &bits, sizeof value);
    __asm__("vcvtb.f32.f16 %0, %0" : "+t"(value));
    return value;
#else
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = half & 0x7c00u;
    uint32_t bits = (uint32_t)(half & 0x7fffu) << 13;
    float value;
    if (exponent == 0) {
        // fraction * 2^-24. The bits of 2^-14 + fraction * 2^-24 are those of 2^-14 with the fraction in them.
        const float least = 6.10351562e-05f;  // 2^-14
        bits += 113u << 23;
        memcpy(&value, &bits, sizeof value);
        value -= least;  // exact; never a subnormal float32, which some machines take for 0
        memcpy(&bits, &value, sizeof bits);
    } else if (exponent == 0x7c00u) {
        bits += 224u << 23;  // infinity and NaN: 31 becomes 255
    } else {
        bits += 112u << 23;  // another bias
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

// Element i of weights in float32, or in half if `half` is not 0; constant where it is called.
static inline float r2b_weight(const void *weights, int32_t i, int half) {
    return half ? r2b_half_to_float(((const uint16_t *)weights)[i]) : ((const float *)weights)[i];
}

#endif  // R2B_HALF_H
