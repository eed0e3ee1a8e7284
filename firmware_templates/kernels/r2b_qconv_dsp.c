// SPDX-License-Identifier: MIT-0
//
// r2b_qconv_dsp.c: convolution in 8-bit integers with two products an instruction: Cortex-M4, M7 and M33.
//
// The four weights of a run lie in the order 0, 2, 1, 3: SXTB16 takes bytes 0 and 2 of a word, the weights of integers
// 0 and 1, which lie together as well; the same of the word rotated by a byte are those of integers 2 and 3.
#include "r2b_qconv_rows.h"

static inline int32_t pairs(uint32_t x01, uint32_t x23, uint32_t weights, int32_t sum) {
    uint32_t w01;
    uint32_t w23;
    __asm__("sxtb16 %0, %1" : "=r"(w01) : "r"(weights));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(w23) : "r"(weights));
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(x01), "r"(w01));
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(x23), "r"(w23));
    return sum;
}

static inline void sums(const int16_t *values, int32_t step, const int8_t *weights, int32_t rows, int32_t count,
                        int32_t sum[4]) {
    int32_t a = 0;
    int32_t b = 0;
    int32_t c = 0;
    int32_t d = 0;
    const uint32_t *w = (const uint32_t *)(const void *)weights;
    for (int32_t row = 0; row < rows; row++, values += step) {
        const uint32_t *at = (const uint32_t *)(const void *)values;  // a pixel is an even number of integers
        for (const uint32_t *const end = at + 2 * count; at < end; at += 2, w += 4) {
            a = pairs(at[0], at[1], w[0], a);
            b = pairs(at[0], at[1], w[1], b);
            c = pairs(at[0], at[1], w[2], c);
            d = pairs(at[0], at[1], w[3], d);
        }
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

void r2b_qconv_dsp(const r2b_qconv *layer, const r2b_epilogue *epilogue, uint8_t *arena, const r2b_parallel *parallel) {
    (void)parallel;
    r2b_qconv_run(layer, epilogue, arena, sums);
}
