// SPDX-License-Identifier: MIT-0
//
// r2b_dense_mve.c: a fully connected layer in float32 for MVE (Armv8.1-M).
//
// The lanes of a vector are 4 output channels. Two such blocks are summed at a time; each has two sums, of the even and
// of the odd inputs, so that a multiply-add need not wait for the one before it.
#include <arm_mve.h>

#include "r2b_kernels.h"
#include "r2b_mve_weights.h"

// x[count] with the weights w0 and w1, each [count][4].
static inline void two_blocks(const float *x, const uint8_t *w0, const uint8_t *w1, int half, int32_t count,
                              const float *bias, float *out) {
    const int32_t next = half ? 8 : 16;
    float32x4_t a0 = vld1q_f32(bias), b0 = vld1q_f32(bias + 4);
    float32x4_t a1 = vdupq_n_f32(0.0f), b1 = a1;
    for (int32_t i = count / 2; i > 0; i--) {
        const float even = x[0], odd = x[1];
        a0 = vfmaq_n_f32(a0, r2b_mve_weights(w0, half), even);
        b0 = vfmaq_n_f32(b0, r2b_mve_weights(w1, half), even);
        a1 = vfmaq_n_f32(a1, r2b_mve_weights(w0 + next, half), odd);
        b1 = vfmaq_n_f32(b1, r2b_mve_weights(w1 + next, half), odd);
        x += 2;
        w0 += 2 * next;
        w1 += 2 * next;
    }
    if (count % 2 != 0) {
        a0 = vfmaq_n_f32(a0, r2b_mve_weights(w0, half), *x);
        b0 = vfmaq_n_f32(b0, r2b_mve_weights(w1, half), *x);
    }
    vst1q_f32(out, vaddq_f32(a0, a1));
    vst1q_f32(out + 4, vaddq_f32(b0, b1));
}

static inline void one_block(const float *x, const uint8_t *w, int half, int32_t count, const float *bias, float *out) {
    const int32_t next = half ? 8 : 16;
    float32x4_t even = vld1q_f32(bias);
    float32x4_t odd = vdupq_n_f32(0.0f);
    for (int32_t i = count / 2; i > 0; i--) {
        even = vfmaq_n_f32(even, r2b_mve_weights(w, half), x[0]);
        odd = vfmaq_n_f32(odd, r2b_mve_weights(w + next, half), x[1]);
        x += 2;
        w += 2 * next;
    }
    if (count % 2 != 0) even = vfmaq_n_f32(even, r2b_mve_weights(w, half), *x);
    vst1q_f32(out, vaddq_f32(even, odd));
}

static inline __attribute__((always_inline)) void run(const r2b_dense *layer, const r2b_epilogue *epilogue,
                                                      uint8_t *arena, int half) {
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    const int32_t count = layer->in_channels;
    const int32_t block = count * (half ? 8 : 16);
    const uint8_t *w = layer->weights;
    int32_t c = 0;

    r2b_epilogue_begin(epilogue, arena);
    for (; c + 4 < layer->out_channels; c += 8, w += 2 * block) {
        two_blocks(input, w, w + block, half, count, layer->bias + c, tile + c);
    }
    if (c < layer->out_channels) one_block(input, w, half, count, layer->bias + c, tile + c);
    r2b_epilogue_tile(epilogue, arena, 0, tile);
    r2b_epilogue_row(epilogue, arena);
    r2b_epilogue_end(epilogue, arena);
}

void r2b_dense_mve(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena, const r2b_parallel *parallel) {
    (void)parallel;
    run(layer, epilogue, arena, 0);
}

void r2b_dense_mve_half(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    (void)parallel;
    run(layer, epilogue, arena, 1);
}
