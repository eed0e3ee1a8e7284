// SPDX-License-Identifier: MIT-0
//
// r2b_call_pair.c: functions of a tile and a second operand, for R2B_TILE_CALL.
#include "r2b_kernels.h"

#define CALL(name, value)                                                                                       \
    void r2b_call_##name(const r2b_tile_op *op, uint8_t *arena, int32_t pixel, float *tile, int32_t channels) { \
        const float *const all = op->a ? op->a : (const float *)(const void *)(arena + op->at);                 \
        if (op->operand == R2B_BY_PIXEL || op->operand == R2B_SINGLE) {                                         \
            const float m = all[op->operand == R2B_SINGLE ? 0 : pixel];                                         \
            for (int32_t c = 0; c < channels; c++) {                                                            \
                const float t = tile[c];                                                                        \
                tile[c] = value;                                                                                \
            }                                                                                                   \
        } else {                                                                                                \
            const float *const operand = op->operand == R2B_BY_CHANNEL ? all : all + pixel * channels;          \
            for (int32_t c = 0; c < channels; c++) {                                                            \
                const float t = tile[c];                                                                        \
                const float m = operand[c];                                                                     \
                tile[c] = value;                                                                                \
            }                                                                                                   \
        }                                                                                                       \
    }

CALL(add, t + m)
CALL(sub, t - m)
CALL(rsub, m - t)
CALL(mul, t *m)
CALL(div, t / m)
CALL(rdiv, m / t)
CALL(max, t < m ? m : t)
CALL(min, t > m ? m : t)
