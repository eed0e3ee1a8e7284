// SPDX-License-Identifier: MIT-0
//
// r2b_qconv_portable.c: convolution in 8-bit integers, any shape.
#include "r2b_qconv_rows.h"

static inline void sums(const int16_t *values, int32_t step, const int8_t *weights, int32_t rows, int32_t count,
                        int32_t sum[4]) {
    int32_t a = 0;
    int32_t b = 0;
    int32_t c = 0;
    int32_t d = 0;
    for (int32_t row = 0; row < rows; row++, values += step) {
        for (int32_t i = 0; i < 4 * count; i += 4, weights += 16) {
            for (int32_t k = 0; k < 4; k++) {
                const int32_t x = values[i + k];
                a += x * weights[k];
                b += x * weights[4 + k];
                c += x * weights[8 + k];
                d += x * weights[12 + k];
            }
        }
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

void r2b_qconv_portable(const r2b_qconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    (void)parallel;
    r2b_qconv_run(layer, epilogue, arena, sums);
}
