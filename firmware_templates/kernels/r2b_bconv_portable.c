// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_portable.c: binary convolution in plain C11, any shape.
//
// For a pixel and a group, the window's words are gathered into one row x[kernel_y][kernel_x][words]; an output channel
// has its weights w in the same order. A bit is 0 for +1 and 1 for -1, so with n taps
//     dot = sum x * w = (equal taps) - (differing taps) = n - 2 * popcount(x ^ w).
// Bits beyond the last channel are 0 in both and never differ. Where the border holds 0, its taps are left out of n and
// of the sum: what remains inside the map is a few runs of words that are contiguous in x and in w.
#include <string.h>

#include "r2b_kernels.h"

enum { BLOCK = 8 };  // output channels that share the loads of x

// Runs of words inside the row of a pixel: start + i * stride, `words` long, for i < count.
typedef struct {
    int32_t start;
    int32_t stride;
    int32_t words;
    int32_t count;
} runs;

static inline uint32_t popcount64(uint64_t v) {
#if defined(__aarch64__) || defined(__POPCNT__)
    return (uint32_t)__builtin_popcountll(v);
#else
    // No instruction for it: pairs, nibbles, bytes, then their sum in the top byte.
    v -= (v >> 1) & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)((v * 0x0101010101010101u) >> 56);
#endif
}

static inline uint64_t load64(const uint32_t *words) {
    uint64_t v;
    memcpy(&v, words, sizeof v);
    return v;
}

// Adds to differing[i] the differing bits of x and of the weights of channel i, which start at w + i * stride.
static inline void count_run(const uint32_t *x, const uint32_t *w, int32_t stride, int32_t words, int32_t channels,
                             uint32_t *differing) {
    int32_t k = 0;
    for (; k + 2 <= words; k += 2) {
        const uint64_t v = load64(x + k);
        for (int32_t i = 0; i < channels; i++) differing[i] += popcount64(v ^ load64(w + i * stride + k));
    }
    if (k < words) {
        for (int32_t i = 0; i < channels; i++) differing[i] += popcount64(x[k] ^ w[i * stride + k]);
    }
}

// The dot products of `channels` output channels; constant where it is called, so that the loops over it unroll.
static inline void dots(const uint32_t *x, const uint32_t *w, int32_t stride, const runs *r, int32_t taps,
                        int32_t channels, float *out) {
    uint32_t differing[BLOCK] = {0};
    for (int32_t i = 0; i < r->count; i++) {
        const int32_t at = r->start + i * r->stride;
        count_run(x + at, w + at, stride, r->words, channels, differing);
    }
    for (int32_t i = 0; i < channels; i++) out[i] = (float)(taps - 2 * (int32_t)differing[i]);
}

// Channels first..first + count - 1 of a pixel, as BITS32 from bit 0.
static inline void take_channels(const uint32_t *pixel, int32_t pixel_words, int32_t first, int32_t count,
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

static void fill_border(uint32_t *x, int32_t taps, int32_t words, int32_t channels, int32_t pad_value) {
    for (int32_t k = 0; k < taps * words; k++) {
        const int32_t left = channels - k % words * 32;
        const uint32_t all = left < 32 ? (1u << left) - 1u : UINT32_MAX;
        x[k] = pad_value < 0 ? all : 0u;
    }
}

void r2b_bconv_portable(const r2b_bconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
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
    (void)parallel;

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
            runs r = {ty.first * row_words + tx.first * words, row_words, (tx.last - tx.first) * words,
                      ty.last - ty.first};
            if (layer->pad_value != 0 && inside < all) {
                taps = all * channels;
                r = (runs){0, 0, all_words, 1};
            } else if (tx.last - tx.first == g->kernel_x) {  // whole rows are contiguous
                r = (runs){ty.first * row_words, 0, (ty.last - ty.first) * row_words, 1};
            }

            for (int32_t group = 0; group < layer->groups; group++) {
                if (layer->pad_value != 0 && inside < all) fill_border(x, all, words, channels, layer->pad_value);
                for (int32_t ky = ty.first; ky < ty.last; ky++) {
                    const int32_t y = iy + ky * g->dilation_y;
                    for (int32_t kx = tx.first; kx < tx.last; kx++) {
                        const int32_t at = y * g->in_width + ix + kx * g->dilation_x;
                        const uint32_t *const from = input + at * pixel_words;
                        uint32_t *const to = x + ky * row_words + kx * words;
                        if (layer->groups == 1) {
                            for (int32_t i = 0; i < words; i++) to[i] = from[i];
                        } else {
                            take_channels(from, pixel_words, group * channels, channels, to);
                        }
                    }
                }
                const uint32_t *w = layer->weights + group * outputs * all_words;
                float *out = tile + group * outputs;
                int32_t o = 0;
                for (; o + BLOCK <= outputs; o += BLOCK)
                    dots(x, w + o * all_words, all_words, &r, taps, BLOCK, out + o);
                for (; o < outputs; o++) dots(x, w + o * all_words, all_words, &r, taps, 1, out + o);
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
