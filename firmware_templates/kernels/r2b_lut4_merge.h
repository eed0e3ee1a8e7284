// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_merge.h: the sums of the kernel columns, each shifted by its own number of pixels, added in 16 bits.
//
// A lane must not carry into its neighbour. All sums are positive and `start` is the negative of half the most that
// they can reach (or of up to that much more, or less, where it has a threshold in it), so that a lane + 2^15 stays
// within 0..2^16 - 1 all the way; its top bit is inverted at the end.
//
// A family may have its own: #define LUT4_MERGE(taps, count, rows, vector, start, out).
#ifndef R2B_LUT4_MERGE_H
#define R2B_LUT4_MERGE_H

#include "r2b_lut4.h"

// Word k of a tap's sums, shifted, of output vector `vector`.
static inline uint32_t lut4_shifted(const lut4_tap *tap, int32_t rows, int32_t vector, int32_t k) {
    const int32_t by = lut4_floor_div(k + tap->shift, LUT4_WORDS);
    const uint32_t *const sums = tap->sums + (k + tap->shift - by * LUT4_WORDS);
    if (rows == 1) {  // bytes go on in the next vector
        const int32_t first = lut4_floor_div(by, 4);
        const int32_t bits = 8 * (by - 4 * first);
        const uint32_t low = sums[(vector + first) * LUT4_WORDS];
        return bits == 0 ? low : low >> bits | sums[(vector + first + 1) * LUT4_WORDS] << (32 - bits);
    }
    const int32_t bytes = 4 / rows;  // of a segment, beyond which is the border
    const uint32_t border = sums[-LUT4_WORDS];
    uint32_t word = 0;
    for (int32_t b = 0; b < 4; b++) {
        const int32_t from = b % bytes + by;
        const int inside = from >= 0 && from < bytes;
        word |= (inside ? sums[0] >> 8 * (b + by) & 0xffu : border & 0xffu) << 8 * b;
    }
    return word;
}

static inline void lut4_merge(const lut4_tap *taps, int32_t count, int32_t rows, int32_t vector, uint32_t start,
                              uint32_t *out) {
    for (int32_t j = 0; j < 2 * LUT4_WORDS; j++) out[j] = start ^ 0x80008000u;
    for (int32_t t = 0; t < count; t++) {
        for (int32_t k = 0; k < LUT4_WORDS; k++) {
            const uint32_t word = lut4_shifted(&taps[t], rows, vector, k);
            out[k] += word & 0x00ff00ffu;
            out[k + LUT4_WORDS] += word >> 8 & 0x00ff00ffu;
        }
    }
    for (int32_t j = 0; j < 2 * LUT4_WORDS; j++) out[j] ^= 0x80008000u;
}

#ifndef LUT4_MERGE
#define LUT4_MERGE lut4_merge
#endif

#endif  // R2B_LUT4_MERGE_H
