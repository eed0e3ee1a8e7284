// SPDX-License-Identifier: MIT-0
//
// r2b_mve_weights.h: vectors of 4 weights in float32, or in half precision (r2b_half.h) if `half`, for MVE.
#ifndef R2B_MVE_WEIGHTS_H
#define R2B_MVE_WEIGHTS_H

#include <arm_mve.h>

// The lower halves of the lanes, by VCVTB.F32.F16, which is exact: a half that is subnormal is a normal float32. GNU as
// 2.40 sets bit 4 of this instruction, which it has not, so that it is spelt here.
static inline float32x4_t r2b_mve_from_halves(uint32x4_t halves) {
    float32x4_t floats;
    __asm__(
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
        ".set r2b_number_of_q\\n, \\n\n\t"
        ".endr\n\t"
        ".inst.w 0xfe3f0e01 | r2b_number_of_%q[floats] << 13 | r2b_number_of_%q[halves] << 1"
        : [floats] "=w"(floats)
        : [halves] "w"(halves));
    return floats;
}

// `half` is constant where it is called.
static inline float32x4_t r2b_mve_weights(const uint8_t *weights, int half) {
    if (!half) return vld1q_f32((const float *)(const void *)weights);
    return r2b_mve_from_halves(vldrhq_u32((const uint16_t *)(const void *)weights));
}

#endif  // R2B_MVE_WEIGHTS_H
