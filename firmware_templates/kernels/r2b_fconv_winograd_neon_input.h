// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_winograd_neon_input.h: from the map to the inputs of the products (r2b_fconv_winograd_neon.h).
//
// In C for any case; r2b_winograd_inputs_neon.S has the commonest. First along y, for a whole row of tiles: 8 columns
// at a time, which are then taken apart into channels and parities: `planes`, [iy][py][px][channel][columns of a
// parity]. Then along x, for a group of tiles, 4 tiles at a time.
#ifndef R2B_FCONV_WINOGRAD_NEON_INPUT_H
#define R2B_FCONV_WINOGRAD_NEON_INPUT_H

#include <arm_neon.h>
#include <string.h>

#include "r2b_fconv_winograd_neon.h"
#include "r2b_kernels.h"

#define R2B_INLINE static inline __attribute__((always_inline))

// The most of both: rows under a row of tiles, and values of 8 pixels.
enum { R2B_WINOGRAD_ROWS = 13, R2B_WINOGRAD_VALUES = 32 };

// r = B^T d. Without `last`, which an odd parity has not, r[points - 1] is not set.
R2B_INLINE void r2b_winograd_transform(const float32x4_t *d, float32x4_t *r, int32_t points, int last) {
    if (points == 5) {
        const float32x4_t e0 = vfmsq_n_f32(d[1], d[0], 2.0f);  // times (x - 2)
        const float32x4_t e1 = vfmsq_n_f32(d[2], d[1], 2.0f);
        const float32x4_t e2 = vfmsq_n_f32(d[3], d[2], 2.0f);
        r[0] = vaddq_f32(e2, e1);
        r[1] = vsubq_f32(e2, e1);
        r[2] = vsubq_f32(d[3], d[1]);
        r[3] = vsubq_f32(e2, e0);
        if (last) r[4] = vsubq_f32(vfmsq_n_f32(d[4], d[3], 2.0f), e1);
        return;
    }
    // In an order in which each FMLA adds to what nobody needs any more.
    r[4] = vfmaq_n_f32(vsubq_f32(d[5], d[3]), vsubq_f32(d[1], d[3]), 4.0f);
    float32x4_t e5 = vdupq_n_f32(0.0f);
    if (last) e5 = vfmaq_n_f32(d[6], d[5], 0.5f);  // e: times (x + 1/2)
    const float32x4_t e4 = vfmaq_n_f32(d[5], d[4], 0.5f);
    const float32x4_t e3 = vfmaq_n_f32(d[4], d[3], 0.5f);
    const float32x4_t e2 = vfmaq_n_f32(d[3], d[2], 0.5f);
    const float32x4_t e1 = vfmaq_n_f32(d[2], d[1], 0.5f);
    const float32x4_t e0 = vfmaq_n_f32(d[1], d[0], 0.5f);
    const float32x4_t v2 = vsubq_f32(e4, e2);
    const float32x4_t u2 = vsubq_f32(e3, e1);
    const float32x4_t twice = vaddq_f32(u2, u2);
    if (last) e5 = vfmsq_n_f32(e5, e3, 4.0f);
    r[2] = vaddq_f32(v2, twice);
    r[3] = vsubq_f32(v2, twice);
    const float32x4_t v1 = vfmsq_n_f32(e4, e2, 4.0f);
    const float32x4_t u1 = vfmsq_n_f32(e3, e1, 4.0f);
    r[0] = vaddq_f32(v1, u1);
    r[1] = vsubq_f32(v1, u1);
    r[5] = vfmaq_n_f32(vsubq_f32(v1, e2), e0, 4.0f);
    if (last) r[6] = vsubq_f32(e5, u1);
}

// 8 pixels to planes: channel c of the even ones to to[c], of the odd ones to to[channels + c], each `plane` apart.
R2B_INLINE void r2b_winograd_part(const float *pixels, int32_t channels, float *to, int32_t plane) {
    float32x4_t low[4], high[4];
    if (channels == 1) {
        low[0] = vld1q_f32(pixels);
        high[0] = vld1q_f32(pixels + 4);
    } else if (channels == 2) {
        const float32x4x2_t a = vld2q_f32(pixels), b = vld2q_f32(pixels + 8);
        for (int32_t c = 0; c < 2; c++) low[c] = a.val[c], high[c] = b.val[c];
    } else if (channels == 3) {
        const float32x4x3_t a = vld3q_f32(pixels), b = vld3q_f32(pixels + 12);
        for (int32_t c = 0; c < 3; c++) low[c] = a.val[c], high[c] = b.val[c];
    } else {
        const float32x4x4_t a = vld4q_f32(pixels), b = vld4q_f32(pixels + 16);
        for (int32_t c = 0; c < 4; c++) low[c] = a.val[c], high[c] = b.val[c];
    }
    for (int32_t c = 0; c < channels; c++) {
        vst1q_f32(to + c * plane, vuzp1q_f32(low[c], high[c]));
        vst1q_f32(to + (channels + c) * plane, vuzp2q_f32(low[c], high[c]));
    }
}

// 8 columns of the rows of parity py, of which the first two are `row` floats apart, along y: to `to` in each plane.
R2B_INLINE void r2b_winograd_along_y(const float *x, int32_t row, float *to, int32_t plane, int32_t points,
                                     int32_t channels, int32_t py) {
    float results[7 * R2B_WINOGRAD_VALUES];
    for (int32_t i = 0; i < 8 * channels; i += 4) {
        float32x4_t d[7], r[7];
        for (int32_t k = 0; k < points - py; k++) d[k] = vld1q_f32(x + (2 * k + py) * row + i);
        r2b_winograd_transform(d, r, points, !py);
        for (int32_t k = 0; k < points - py; k++) vst1q_f32(results + k * R2B_WINOGRAD_VALUES + i, r[k]);
    }
    to += py * 2 * channels * plane;
    for (int32_t k = 0; k < points - py; k++, to += 4 * channels * plane) {
        r2b_winograd_part(results + k * R2B_WINOGRAD_VALUES, channels, to, plane);
    }
}

// A copy of `rows` rows and 8 columns from (y, x) on, [rows][8][channels], 0 beside the map; `input` is the whole map.
static inline void r2b_winograd_copy(const float *input, const r2b_window *g, int32_t y, int32_t x, int32_t rows,
                                     float *copy) {
    const int32_t channels = g->in_channels;
    const int32_t first = x < 0 ? -x : 0;
    const int32_t last = g->in_width - x < 8 ? g->in_width - x : 8;
    memset(copy, 0, (size_t)(rows * 8 * channels) * sizeof *copy);
    for (int32_t k = 0; k < rows && first < last; k++) {
        if (y + k < 0 || y + k >= g->in_height) continue;
        memcpy(copy + (k * 8 + first) * channels, input + ((y + k) * g->in_width + x + first) * channels,
               (size_t)((last - first) * channels) * sizeof *copy);
    }
}

// The columns first..last - 1, multiples of 4, of the planes of the row of tiles whose first output row is oy. Columns
// beside the map are 0.
R2B_INLINE void r2b_winograd_planes(const float *input, const r2b_window *g, int32_t oy, float *planes, int32_t plane,
                                    int32_t first, int32_t last, int32_t points, int32_t channels) {
    float copy[R2B_WINOGRAD_ROWS * R2B_WINOGRAD_VALUES];
    const int32_t rows = 2 * points - 1;
    const int32_t y = 2 * oy - g->pad_top;
    const int inside = y >= 0 && y + rows <= g->in_height;
    for (int32_t i = first; i < last; i += 4) {
        const int32_t x = 2 * i - g->pad_left;
        const float *from = copy;
        int32_t row = 8 * channels;
        if (inside && x >= 0 && x + 8 <= g->in_width) {
            from = input + (y * g->in_width + x) * channels;
            row = g->in_width * channels;
        } else {
            r2b_winograd_copy(input, g, y, x, rows, copy);
        }
        if (points == 7 && channels == 3) {
            r2b_winograd_columns_7_3(from, row, planes + i, plane);
            continue;
        }
        r2b_winograd_along_y(from, row, planes + i, plane, points, channels, 0);
        r2b_winograd_along_y(from, row, planes + i, plane, points, channels, 1);
    }
}

// A row of a plane along x: `tiles` tiles of each point, `depth` floats apart, to `to`, and of the one at infinity,
// which an odd parity has not, to `at_infinity`.
R2B_INLINE void r2b_winograd_along_x(const float *x, float *to, float *at_infinity, int32_t depth, int32_t tiles,
                                     int32_t points, int last) {
    float *row[6];
    for (int32_t k = 0; k < points - 1; k++) row[k] = to + k * depth;
    for (int32_t i = 0; i < tiles; i += 4) {
        const float32x4x4_t a = vld4q_f32(x + 4 * i), b = vld4q_f32(x + 4 * i + 4);
        const float32x4_t d[7] = {a.val[0], a.val[1], a.val[2], a.val[3], b.val[0], b.val[1], b.val[2]};
        float32x4_t r[7];
        r2b_winograd_transform(d, r, points, last);
        for (int32_t k = 0; k < points - 1; k++) vst1q_f32(row[k] + i, r[k]);
        if (last) vst1q_f32(at_infinity + i, r[points - 1]);
    }
}

// The inputs of the group of `tiles` tiles whose columns begin at `planes`.
R2B_INLINE void r2b_winograd_inputs(const float *planes, int32_t plane, float *inputs, int32_t tiles, int32_t points,
                                    int32_t channels) {
    for (int32_t iy = 0; iy < points; iy++) {
        const int32_t parities = iy + 1 < points ? 2 : 1;
        const int32_t depth = 2 * parities * channels * tiles;
        float *to = inputs;
        float *at_infinity = inputs + (points - 1) * depth;
        for (int32_t py = 0; py < parities; py++) {
            for (int32_t c = 0; c < channels; c++, planes += plane, to += tiles, at_infinity += tiles) {
                r2b_winograd_along_x(planes, to, at_infinity, depth, tiles, points, 1);
            }
            for (int32_t c = 0; c < channels; c++, planes += plane, to += tiles) {
                r2b_winograd_along_x(planes, to, NULL, depth, tiles, points, 0);
            }
        }
        inputs = at_infinity;
    }
    if (channels % 2) memset(inputs, 0, (size_t)tiles * sizeof *inputs);
}

#endif  // R2B_FCONV_WINOGRAD_NEON_INPUT_H
