// SPDX-License-Identifier: MIT-0
//
// r2b_call_unary.c: functions of one tile, for R2B_TILE_CALL.
#include "r2b_kernels.h"
#include "r2b_math.h"

#define CALL(name, value)                                                                                       \
    void r2b_call_##name(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels) { \
        (void)op;                                                                                               \
        (void)arena;                                                                                            \
        (void)pixel;                                                                                            \
        for (int32_t c = 0; c < channels; c++) {                                                                \
            const float x = tile[c];                                                                            \
            tile[c] = value;                                                                                    \
        }                                                                                                       \
    }

CALL(abs, x < 0 ? -x : x + 0.0f)
CALL(ceil, -r2b_floor(-x))
CALL(elu, x > 0 ? x : r2b_exp_minus_one(x))
CALL(exp, r2b_exp(x))
CALL(floor, r2b_floor(x))
CALL(gelu, 0.5f * x * r2b_one_plus_erf(x * 0.707106781f))
CALL(hardswish, x *(x < -3.0f ? 0.0f : x > 3.0f ? 1.0f : x / 6.0f + 0.5f))
CALL(log, r2b_log(x))
CALL(reciprocal, 1.0f / x)
CALL(round, r2b_round(x))
CALL(softplus, r2b_softplus(x))
CALL(sqrt, r2b_sqrt(x))
CALL(tanh, r2b_tanh(x))

static float largest(const float *tile, int32_t channels) {
    float most = tile[0];
    for (int32_t c = 1; c < channels; c++) most = tile[c] > most ? tile[c] : most;
    return most;
}

void r2b_call_softmax(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels) {
    const float most = largest(tile, channels);
    float sum = 0;
    (void)op;
    (void)arena;
    (void)pixel;
    for (int32_t c = 0; c < channels; c++) {
        tile[c] = r2b_exp(tile[c] - most);
        sum += tile[c];
    }
    for (int32_t c = 0; c < channels; c++) tile[c] /= sum;
}

void r2b_call_logsoftmax(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels) {
    const float most = largest(tile, channels);
    float sum = 0;
    (void)op;
    (void)arena;
    (void)pixel;
    for (int32_t c = 0; c < channels; c++) sum += r2b_exp(tile[c] - most);
    const float total = r2b_log(sum);
    for (int32_t c = 0; c < channels; c++) tile[c] = (tile[c] - most) - total;
}

void r2b_call_stairs(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels) {
    (void)arena;
    (void)pixel;
    for (int32_t c = 0; c < channels; c++) {
        int32_t k = 0;
        while (k < op->count && tile[c] >= op->a[k * channels + c]) k++;
        tile[c] = op->b[k * channels + c];
    }
}
