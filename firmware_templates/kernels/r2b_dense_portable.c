// SPDX-License-Identifier: MIT-0
//
// r2b_dense_portable.c: a fully connected layer in float32.
//
// Each output sums R2B_SUMS interleaved parts, which a compiler keeps in vector registers without reordering anything.
#include "r2b_half.h"
#include "r2b_kernels.h"

// Weights first..first + count - 1; `half` is constant where it is called.
static inline float dot(const float *restrict x, const void *weights, int32_t first, int32_t count, int half) {
    float sum = 0;
    int32_t i = 0;
    if (count >= R2B_SUMS) {
        float lane[R2B_SUMS] = {0};
        for (; i + R2B_SUMS <= count; i += R2B_SUMS) {
            for (int32_t k = 0; k < R2B_SUMS; k++) {
                lane[k] = r2b_multiply_add(x[i + k], r2b_weight(weights, first + i + k, half), lane[k]);
            }
        }
        for (int32_t k = 0; k < R2B_SUMS; k++) sum += lane[k];
    }
    for (; i < count; i++) sum = r2b_multiply_add(x[i], r2b_weight(weights, first + i, half), sum);
    return sum;
}

static inline void all_outputs(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena, int half) {
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    const int32_t inputs = layer->in_channels;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t o = 0; o < layer->out_channels; o++) {
        tile[o] = dot(input, layer->weights, o * inputs, inputs, half) + layer->bias[o];
    }
    r2b_epilogue_tile(epilogue, arena, 0, tile);
    r2b_epilogue_row(epilogue, arena);
    r2b_epilogue_end(epilogue, arena);
}

void r2b_dense_portable(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    (void)parallel;
    all_outputs(layer, epilogue, arena, 0);
}

void r2b_dense_portable_half(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                             const r2b_parallel *parallel) {
    (void)parallel;
    all_outputs(layer, epilogue, arena, 1);
}
