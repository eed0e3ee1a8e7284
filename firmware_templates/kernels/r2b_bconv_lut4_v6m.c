// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_lut4_v6m.c: binary convolution by table lookup for Cortex-M0 and M0+; see r2b_lut4.h.
#define LUT4_KERNEL r2b_bconv_lut4_v6m
#define LUT4_PIXELS 16
#define LUT4_UNROLL 24
#define LUT4_PASS r2b_lut4_pass_v6m
#define LUT4_MERGE r2b_lut4_merge_v6m
#define LUT4_ORIGIN(entry) (-((entry) % 2))
#define LUT4_UNIT r2b_lut4_unit_v6m
#define LUT4_FLOAT r2b_lut4_float_v6m

#include "r2b_lut4.h"

void r2b_lut4_pass_v6m(const r2b_lut4_job *jobs, int32_t count, const uint32_t *weights);
void r2b_lut4_sum_v6m(const lut4_tap *taps, int32_t count, uint32_t start, uint32_t vector_bytes, uint32_t *out);
void r2b_lut4_sum_rows_v6m(const lut4_tap *taps, int32_t count, uint32_t start, uint32_t kept, uint32_t *out);

static inline void r2b_lut4_merge_v6m(const lut4_tap *taps, int32_t count, int32_t rows, int32_t vector, uint32_t start,
                                      uint32_t *out);

#include "r2b_lut4_driver.h"

// In assembly for shifts of up to 2 pixels either way, which are the windows of up to 5 columns about a pixel.
static inline void r2b_lut4_merge_v6m(const lut4_tap *taps, int32_t count, int32_t rows, int32_t vector, uint32_t start,
                                      uint32_t *out) {
    if (taps[0].shift < -2 || taps[count - 1].shift > 2) {
        lut4_merge(taps, count, rows, vector, start, out);
    } else if (rows == 1) {
        r2b_lut4_sum_v6m(taps, count, start, (uint32_t)vector * LUT4_PIXELS, out);
    } else {
        r2b_lut4_sum_rows_v6m(taps, count, start, rows == 2 ? 0x00ff00ffu : 0u, out);
    }
}
