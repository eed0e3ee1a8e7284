// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_loops.h: the inner loops of the portable convolutions in float32, for weights in float32 or in half.
//
// For a pixel, a block of output channels is kept in registers over the whole window: the weights of one tap and one
// input channel are contiguous over the output channels, so that a compiler vectorises over them.
#ifndef R2B_FCONV_LOOPS_H
#define R2B_FCONV_LOOPS_H

#include "r2b_half.h"
#include "r2b_kernels.h"

typedef struct {
    const float *input;  // NHWC, rows of window.in_width pixels
    int32_t y;           // input pixel of tap 0, may lie outside of the map
    int32_t x;
    r2b_taps taps_y;
    r2b_taps taps_x;
} position;

// Output channels first..first + count - 1, all of one group; `count` and `half` are constant where it is called.
static inline void outputs(const r2b_fconv *layer, const position *at, int32_t first, int32_t count, int half,
                           float *restrict tile) {
    const r2b_window *const g = &layer->window;
    const int32_t channels = g->in_channels / layer->groups;
    const int32_t group = first / (g->out_channels / layer->groups);
    // Where the taps of a row lie side by side, they are one long tap.
    const int32_t taps = at->taps_x.last - at->taps_x.first;
    const int32_t together = g->dilation_x == 1 && layer->groups == 1 ? taps : 1;
    const int32_t bytes = half ? 2 : 4;
    float sum[R2B_SUMS];
    for (int32_t i = 0; i < count; i++) sum[i] = layer->bias[first + i];
    for (int32_t ky = at->taps_y.first; ky < at->taps_y.last; ky++) {
        const int32_t y = at->y + ky * g->dilation_y;
        for (int32_t kx = at->taps_x.first; kx < at->taps_x.last; kx += together) {
            const int32_t x = at->x + kx * g->dilation_x;
            const float *const values = at->input + (y * g->in_width + x) * g->in_channels + group * channels;
            const int32_t at_first = (ky * g->kernel_x + kx) * channels * g->out_channels + first;
            const uint8_t *w = (const uint8_t *)layer->weights + at_first * bytes;
            for (int32_t c = 0; c < together * channels; c++, w += g->out_channels * bytes) {
                for (int32_t i = 0; i < count; i++) {
                    sum[i] = r2b_multiply_add(values[c], r2b_weight(w, i, half), sum[i]);
                }
            }
        }
    }
    for (int32_t i = 0; i < count; i++) tile[first + i] = sum[i];
}

// All output channels of a pixel; `half` is constant where it is called. Inlined by force, as is what calls it: a call
// for each pixel costs a few per cent.
static inline __attribute__((always_inline)) void all_outputs(const r2b_fconv *layer, const position *at, int half,
                                                              float *restrict tile) {
    const int32_t group_outputs = layer->window.out_channels / layer->groups;
    for (int32_t group = 0; group < layer->groups; group++) {
        int32_t o = group * group_outputs;
        const int32_t end = o + group_outputs;
        for (; o + R2B_SUMS <= end; o += R2B_SUMS) outputs(layer, at, o, R2B_SUMS, half, tile);
        for (; o + 4 <= end; o += 4) outputs(layer, at, o, 4, half, tile);
        for (; o < end; o++) outputs(layer, at, o, 1, half, tile);
    }
}

#endif  // R2B_FCONV_LOOPS_H
