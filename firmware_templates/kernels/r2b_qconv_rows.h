// SPDX-License-Identifier: MIT-0
//
// r2b_qconv_rows.h: the rows under the window of a convolution in integers, each quantised once, and the loop over
// them.
//
// Rows stand in memory with their border, so that every window is whole: only rows outside of the map are left out.
#ifndef R2B_QCONV_ROWS_H
#define R2B_QCONV_ROWS_H

#include <string.h>

#include "r2b_kernels.h"

// What computes 4 output channels of a pixel: sums over `rows` rows, `step` integers apart, of `count` runs of 4
// integers each. weights: [rows][count][4 output channels][4].
typedef void r2b_qconv_sums(const int16_t *values, int32_t step, const int8_t *weights, int32_t rows, int32_t count,
                            int32_t sum[4]);

// round(x * inverse), halves to even, within low..high. Of the product's bits, since a float addition to round with
// could be joined with the product by a compiler, and is a call on cores without an FPU.
static inline int32_t r2b_quantise(float x, float inverse, int32_t low, int32_t high) {
    const float product = x * inverse;
    uint32_t bits;
    memcpy(&bits, &product, sizeof bits);
    const int32_t exponent = (int32_t)(bits >> 23 & 255u);  // the product is 1.fraction * 2^(exponent - 127)
    int32_t q = 0;
    if (exponent >= 127 + 9) {
        q = 512;                   // or more: beyond both ends
    } else if (exponent >= 126) {  // from 1/2 on
        const uint32_t fraction = (bits & 0x7fffffu) | 0x800000u;
        const uint32_t shift = (uint32_t)(150 - exponent);  // 15 to 24
        q = (int32_t)((fraction + (1u << (shift - 1)) - 1u + (fraction >> shift & 1u)) >> shift);
    }
    if (bits >> 31) q = -q;
    return q < low ? low : q > high ? high : q;
}

// All of the layer. Inlined by force, so that `sums` is no call through a pointer.
static inline __attribute__((always_inline)) void r2b_qconv_run(const r2b_qconv *layer, const r2b_epilogue *epilogue,
                                                                uint8_t *arena, r2b_qconv_sums *sums) {
    const r2b_window *const g = &layer->window;
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    const int32_t blocks = (g->out_channels + 3) / 4;
    int16_t *const rows = (int16_t *)(void *)(tile + 4 * blocks);
    const int32_t count = (g->kernel_x * layer->depth + 3) / 4;
    const int32_t border = g->pad_left * layer->depth;
    const int32_t values = g->in_width * g->in_channels;  // of a row of the map
    int32_t ready = 0;                                    // rows of the map that were quantised
    int32_t pixel = 0;

    memset(rows, 0, (size_t)(g->kernel_y * layer->row) * sizeof *rows);
    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t first = oy * g->stride_y - g->pad_top;  // the row of the map in rows[0]
        if (oy > 0 && g->stride_y < g->kernel_y) {
            memmove(rows, rows + g->stride_y * layer->row,
                    (size_t)((g->kernel_y - g->stride_y) * layer->row) * sizeof *rows);
        }
        if (ready < first) ready = first;
        for (; ready < first + g->kernel_y && ready < g->in_height; ready++) {
            const float *from = input + ready * values;
            int16_t *to = rows + (ready - first) * layer->row + border;
            for (int32_t x = 0; x < g->in_width; x++, from += g->in_channels, to += layer->depth) {
                for (int32_t c = 0; c < g->in_channels; c++) {
                    to[c] = (int16_t)r2b_quantise(from[c], layer->inverse, layer->low, layer->high);
                }
            }
        }
        const r2b_taps taps = r2b_taps_inside(first, g->in_height, g->kernel_y, 1);
        for (int32_t ox = 0; ox < g->out_width; ox++, pixel++) {
            const int16_t *const at = rows + taps.first * layer->row + ox * g->stride_x * layer->depth;
            for (int32_t block = 0; block < blocks; block++) {
                const int8_t *const weights = layer->weights + (block * g->kernel_y + taps.first) * count * 16;
                int32_t sum[4] = {0};
                sums(at, layer->row, weights, taps.last - taps.first, count, sum);
                for (int32_t i = 0; i < 4; i++) tile[4 * block + i] = (float)sum[i];
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}

#endif  // R2B_QCONV_ROWS_H
