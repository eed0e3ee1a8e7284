// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_portable.c: convolution in float32, direct, any shape.
//
// For a pixel, a block of output channels is kept in registers over the whole window: the weights of one tap and one
// input channel are contiguous over the output channels, so that a compiler vectorises over them.
#include "r2b_kernels.h"

typedef struct {
    int32_t y;  // input pixel of tap 0, may lie outside of the map
    int32_t x;
    r2b_taps taps_y;
    r2b_taps taps_x;
} position;

// Output channels first..first + count - 1, all of one group; `count` is constant where it is called.
static inline void outputs(const r2b_fconv *layer, const float *input, const position *at, int32_t first, int32_t count,
                           float *restrict tile) {
    const r2b_window *const g = &layer->window;
    const int32_t channels = g->in_channels / layer->groups;
    const int32_t group = first / (g->out_channels / layer->groups);
    // Where the taps of a row lie side by side, they are one long tap.
    const int32_t taps = at->taps_x.last - at->taps_x.first;
    const int32_t together = g->dilation_x == 1 && layer->groups == 1 ? taps : 1;
    float sum[R2B_SUMS];
    for (int32_t i = 0; i < count; i++) sum[i] = layer->bias[first + i];
    for (int32_t ky = at->taps_y.first; ky < at->taps_y.last; ky++) {
        const int32_t y = at->y + ky * g->dilation_y;
        for (int32_t kx = at->taps_x.first; kx < at->taps_x.last; kx += together) {
            const int32_t x = at->x + kx * g->dilation_x;
            const float *const values = input + (y * g->in_width + x) * g->in_channels + group * channels;
            const float *w = layer->weights + (ky * g->kernel_x + kx) * channels * g->out_channels + first;
            for (int32_t c = 0; c < together * channels; c++, w += g->out_channels) {
                for (int32_t i = 0; i < count; i++) sum[i] = r2b_multiply_add(values[c], w[i], sum[i]);
            }
        }
    }
    for (int32_t i = 0; i < count; i++) tile[first + i] = sum[i];
}

void r2b_fconv_portable(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    const int32_t group_outputs = g->out_channels / layer->groups;
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const place = r2b_epilogue_place(epilogue, arena);
    float *tile = (float *)(void *)(arena + layer->work);
    int32_t pixel = 0;
    (void)parallel;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        position at = {.y = oy * g->stride_y - g->pad_top};
        at.taps_y = r2b_taps_inside(at.y, g->in_height, g->kernel_y, g->dilation_y);
        for (int32_t ox = 0; ox < g->out_width; ox++, pixel++) {
            if (place) tile = place + pixel * g->out_channels;
            at.x = ox * g->stride_x - g->pad_left;
            at.taps_x = r2b_taps_inside(at.x, g->in_width, g->kernel_x, g->dilation_x);
            for (int32_t group = 0; group < layer->groups; group++) {
                int32_t o = group * group_outputs;
                const int32_t end = o + group_outputs;
                for (; o + R2B_SUMS <= end; o += R2B_SUMS) outputs(layer, input, &at, o, R2B_SUMS, tile);
                for (; o + 4 <= end; o += 4) outputs(layer, input, &at, o, 4, tile);
                for (; o < end; o++) outputs(layer, input, &at, o, 1, tile);
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
