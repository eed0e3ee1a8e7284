// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_row.h: binary convolution pixel by pixel, for kernels that bring their own dot products.
//
// For a pixel and a group, the window's words are gathered into one row x[kernel_y][kernel_x][words]; an output channel
// has its weights w in the same order. A bit is 0 for +1 and 1 for -1, so with n taps
//     dot = sum x * w = (equal taps) - (differing taps) = n - 2 * popcount(x ^ w).
// Bits beyond the last channel are 0 in both and never differ. Where the border holds 0, its taps are left out of n and
// of the sum: what remains inside the map is a few runs of words that are contiguous in x and in w.
#ifndef R2B_BCONV_ROW_H
#define R2B_BCONV_ROW_H

#include "r2b_kernels.h"

// Runs of words inside the row of a pixel: start + i * stride, `words` long, for i < count; each holds whole taps.
typedef struct {
    int32_t start;
    int32_t stride;
    int32_t words;
    int32_t count;
} r2b_runs;

// The dot products of a row x and `outputs` rows of weights, each `stride` words long; `taps` is n. x may be changed.
typedef void r2b_row_dots(uint32_t *x, const uint32_t *w, int32_t stride, const r2b_runs *runs, int32_t taps,
                          int32_t outputs, float *out);

// Channels first..first + count - 1 of a pixel, as BITS32 from bit 0.
static inline void r2b_take_channels(const uint32_t *pixel, int32_t pixel_words, int32_t first, int32_t count,
                                     uint32_t *out) {
    const int32_t shift = first % 32;
    for (int32_t c = 0; c < count; c += 32) {
        const int32_t at = (first + c) / 32;
        uint32_t word = pixel[at] >> shift;
        if (shift > 0 && at + 1 < pixel_words) word |= pixel[at + 1] << (32 - shift);
        if (count - c < 32) word &= (1u << (count - c)) - 1u;
        out[c / 32] = word;
    }
}

static inline void r2b_fill_border(uint32_t *x, int32_t taps, int32_t words, int32_t channels, int32_t pad_value) {
    for (int32_t k = 0; k < taps * words; k++) {
        const int32_t left = channels - k % words * 32;
        const uint32_t all = left < 32 ? (1u << left) - 1u : UINT32_MAX;
        x[k] = pad_value < 0 ? all : 0u;
    }
}

// A whole layer; `work` is that of r2b_bconv.
static inline void r2b_bconv_rows(const r2b_bconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                  r2b_row_dots *dots) {
    const r2b_window *const g = &layer->window;
    const int32_t channels = g->in_channels / layer->groups;
    const int32_t outputs = g->out_channels / layer->groups;
    const int32_t words = (channels + 31) / 32;
    const int32_t pixel_words = (g->in_channels + 31) / 32;
    const int32_t row_words = g->kernel_x * words;
    const int32_t all_words = g->kernel_y * row_words;
    const uint32_t *const input = (const uint32_t *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    uint32_t *const x = (uint32_t *)(void *)(tile + (g->out_channels + 3) / 4 * 4);
    int32_t pixel = 0;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t iy = oy * g->stride_y - g->pad_top;
        const r2b_taps ty = r2b_taps_inside(iy, g->in_height, g->kernel_y, g->dilation_y);
        for (int32_t ox = 0; ox < g->out_width; ox++, pixel++) {
            const int32_t ix = ox * g->stride_x - g->pad_left;
            const r2b_taps tx = r2b_taps_inside(ix, g->in_width, g->kernel_x, g->dilation_x);
            const int32_t inside = (ty.last - ty.first) * (tx.last - tx.first);
            const int32_t all = g->kernel_y * g->kernel_x;
            int32_t taps = inside * channels;
            r2b_runs r = {ty.first * row_words + tx.first * words, row_words, (tx.last - tx.first) * words,
                          ty.last - ty.first};
            if (layer->pad_value != 0 && inside < all) {
                taps = all * channels;
                r = (r2b_runs){0, 0, all_words, 1};
            } else if (tx.last - tx.first == g->kernel_x) {  // whole rows are contiguous
                r = (r2b_runs){ty.first * row_words, 0, (ty.last - ty.first) * row_words, 1};
            }

            for (int32_t group = 0; group < layer->groups; group++) {
                if (layer->pad_value != 0 && inside < all) r2b_fill_border(x, all, words, channels, layer->pad_value);
                for (int32_t ky = ty.first; ky < ty.last; ky++) {
                    // Without dilation the taps of a kernel's row lie side by side in the map: they pass as one.
                    const int32_t together = layer->groups == 1 && g->dilation_x == 1 ? tx.last - tx.first : 1;
                    const int32_t y = iy + ky * g->dilation_y;
                    for (int32_t kx = tx.first; kx < tx.last; kx += together) {
                        const int32_t at = y * g->in_width + ix + kx * g->dilation_x;
                        const uint32_t *const from = input + at * pixel_words;
                        uint32_t *const to = x + ky * row_words + kx * words;
                        if (layer->groups == 1) {
                            for (int32_t i = 0; i < together * words; i++) to[i] = from[i];
                        } else {
                            r2b_take_channels(from, pixel_words, group * channels, channels, to);
                        }
                    }
                }
                dots(x, layer->weights + group * outputs * all_words, all_words, &r, taps, outputs,
                     tile + group * outputs);
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}

#endif  // R2B_BCONV_ROW_H
