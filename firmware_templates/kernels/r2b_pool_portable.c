// SPDX-License-Identifier: MIT-0
//
// r2b_pool_portable.c: maxima and means over windows.
#include <math.h>

#include "r2b_kernels.h"

typedef void (*accumulate)(float *restrict tile, const float *restrict pixel, int32_t channels);

static void larger(float *restrict tile, const float *restrict pixel, int32_t channels) {
    for (int32_t c = 0; c < channels; c++) tile[c] = pixel[c] > tile[c] ? pixel[c] : tile[c];
}

static void add(float *restrict tile, const float *restrict pixel, int32_t channels) {
    for (int32_t c = 0; c < channels; c++) tile[c] += pixel[c];
}

// Runs `step` over the taps inside of the map, from a tile of `start`; a mean divides by the taps that count.
static inline void pool(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena, accumulate step,
                        float start, int is_mean) {
    const r2b_window *const g = &layer->window;
    const int32_t channels = g->in_channels;
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const tile = (float *)(void *)(arena + layer->work);
    int32_t pixel = 0;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t iy = oy * g->stride_y - g->pad_top;
        const r2b_taps ty = r2b_taps_inside(iy, g->in_height, g->kernel_y, g->dilation_y);
        for (int32_t ox = 0; ox < g->out_width; ox++, pixel++) {
            const int32_t ix = ox * g->stride_x - g->pad_left;
            const r2b_taps tx = r2b_taps_inside(ix, g->in_width, g->kernel_x, g->dilation_x);
            for (int32_t c = 0; c < channels; c++) tile[c] = start;
            for (int32_t ky = ty.first; ky < ty.last; ky++) {
                for (int32_t kx = tx.first; kx < tx.last; kx++) {
                    const int32_t y = iy + ky * g->dilation_y;
                    const int32_t x = ix + kx * g->dilation_x;
                    step(tile, input + (y * g->in_width + x) * channels, channels);
                }
            }
            if (is_mean) {
                const int32_t inside = (ty.last - ty.first) * (tx.last - tx.first);
                const int32_t rows = r2b_taps_inside(iy, layer->count_height, g->kernel_y, g->dilation_y).last;
                const int32_t columns = r2b_taps_inside(ix, layer->count_width, g->kernel_x, g->dilation_x).last;
                const float taps = (float)(layer->count_pad ? rows * columns : inside);
                for (int32_t c = 0; c < channels; c++) tile[c] /= taps;
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}

void r2b_maxpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                          const r2b_parallel *parallel) {
    (void)parallel;
    pool(layer, epilogue, arena, larger, -INFINITY, 0);
}

void r2b_avgpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                          const r2b_parallel *parallel) {
    (void)parallel;
    pool(layer, epilogue, arena, add, 0.0f, 1);
}
