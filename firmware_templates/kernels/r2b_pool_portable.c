// SPDX-License-Identifier: MIT-0
//
// r2b_pool_portable.c: maxima and means over windows.
//
// A block of channels is kept in registers over the whole window, as in r2b_fconv_portable.c.
#include <math.h>

#include "r2b_kernels.h"

// The larger number. One instruction where the machine has IEEE 754-2008's maxNum.
static inline float larger(float a, float b) {
#if defined(__aarch64__) || defined(__ARM_FEATURE_NUMERIC_MAXMIN)
    return __builtin_fmaxf(a, b);
#else
    return b > a ? b : a;
#endif
}

// The taps of a pixel inside of the map: `rows` x `columns`, all channels of the first at `from`.
typedef struct {
    const float *from;
    int32_t rows;
    int32_t columns;
    int32_t row;     // floats from a row of taps to the next
    int32_t column;  // and from a tap to the next
} window_taps;

// Channels first..first + count - 1; `count` and is_mean are constants where it is called.
static inline void channels_of(const window_taps *taps, int32_t first, int32_t count, int is_mean, float divisor,
                               float *tile) {  // may be where the input is
    float value[R2B_SUMS];
    for (int32_t c = 0; c < count; c++) value[c] = is_mean ? 0.0f : -INFINITY;
    for (int32_t y = 0; y < taps->rows; y++) {
        const float *from = taps->from + y * taps->row + first;
        for (int32_t x = 0; x < taps->columns; x++, from += taps->column) {
            for (int32_t c = 0; c < count; c++) value[c] = is_mean ? value[c] + from[c] : larger(value[c], from[c]);
        }
    }
    for (int32_t c = 0; c < count; c++) tile[first + c] = is_mean ? value[c] / divisor : value[c];
}

static inline void pool(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena, int is_mean) {
    const r2b_window *const g = &layer->window;
    const int32_t channels = g->in_channels;
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const place = r2b_epilogue_place(epilogue, arena);
    float *tile = (float *)(void *)(arena + layer->work);
    window_taps taps = {.row = g->dilation_y * g->in_width * channels, .column = g->dilation_x * channels};
    float divisor = 1.0f;
    int32_t pixel = 0;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t iy = oy * g->stride_y - g->pad_top;
        const r2b_taps ty = r2b_taps_inside(iy, g->in_height, g->kernel_y, g->dilation_y);
        taps.rows = ty.last - ty.first;
        for (int32_t ox = 0; ox < g->out_width; ox++, pixel++) {
            const int32_t ix = ox * g->stride_x - g->pad_left;
            const r2b_taps tx = r2b_taps_inside(ix, g->in_width, g->kernel_x, g->dilation_x);
            taps.columns = tx.last - tx.first;
            taps.from = input;
            if (taps.rows > 0 && taps.columns > 0) {
                const int32_t y = iy + ty.first * g->dilation_y;
                taps.from += (y * g->in_width + ix + tx.first * g->dilation_x) * channels;
            }
            if (is_mean) {  // divides by the taps that count
                const int32_t inside = (ty.last - ty.first) * (tx.last - tx.first);
                const int32_t rows = r2b_taps_inside(iy, layer->count_height, g->kernel_y, g->dilation_y).last;
                const int32_t columns = r2b_taps_inside(ix, layer->count_width, g->kernel_x, g->dilation_x).last;
                divisor = (float)(layer->count_pad ? rows * columns : inside);
            }
            if (place) tile = place + pixel * channels;
            int32_t c = 0;
            for (; c + R2B_SUMS <= channels; c += R2B_SUMS) channels_of(&taps, c, R2B_SUMS, is_mean, divisor, tile);
            for (; c + 4 <= channels; c += 4) channels_of(&taps, c, 4, is_mean, divisor, tile);
            for (; c < channels; c++) channels_of(&taps, c, 1, is_mean, divisor, tile);
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}

void r2b_maxpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                          const r2b_parallel *parallel) {
    (void)parallel;
    pool(layer, epilogue, arena, 0);
}

void r2b_avgpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                          const r2b_parallel *parallel) {
    (void)parallel;
    pool(layer, epilogue, arena, 1);
}
