// SPDX-License-Identifier: MIT-0
//
// r2b_maxpool_neon.c: maxima over windows, for AArch64.
//
// The maximum of a window is that of its columns' maxima. Where a window begins with the column that the one before
// ends with, as 3x3 with stride 2 does, that column's maxima are kept and not taken again: of 9 values 6 are read.
// Pixel by pixel, 16 channels at a time, then 4, then one by one.
#include <arm_neon.h>
#include <math.h>

#include "r2b_kernels.h"

// The columns of a window inside of the map, all channels of each value.
typedef struct {
    const float *from;  // the first one
    int32_t rows;
    int32_t columns;
    int32_t row;        // floats from a row to the next
    int32_t column;     // and from a column to the next
    const float *kept;  // maxima of one more column, or null
    float *last;        // where those of the last column go, may be `kept`
} columns_of;

#define LD(v, w, from) "ld1 {v" #v ".4s-v" #w ".4s}, [%[" #from "]], #64\n\t"
#define MAX(a, b) "fmaxnm v" #a ".4s, v" #a ".4s, v" #b ".4s\n\t"

// Pixels of a row whose windows have 3 rows and 3 columns in the map, of which the first one is kept: `w` is the first
// pixel's, as many channels as a multiple of 16, `step` floats of the map and `channels` floats of the tiles apart.
static void sixteens(const columns_of *w, int32_t pixels, int32_t step, int32_t channels, float *tiles) {
    const float *from = w->from;
    for (; pixels > 0; pixels--, from += step, tiles += channels) {
        const float *a0 = from, *a1 = a0 + w->row, *a2 = a1 + w->row;
        const float *b0 = a0 + w->column, *b1 = a1 + w->column, *b2 = a2 + w->column;
        const float *kept = w->last;
        float *last = w->last, *tile = tiles;
        int32_t count = channels / 16;
        __asm__ volatile(
            "1:\n\t"
            LD(0, 3, a0) LD(4, 7, a1) LD(16, 19, a2)
            MAX(0, 4) MAX(1, 5) MAX(2, 6) MAX(3, 7)
            LD(20, 23, b0) LD(24, 27, b1) LD(28, 31, b2)
            MAX(0, 16) MAX(1, 17) MAX(2, 18) MAX(3, 19)
            MAX(20, 24) MAX(21, 25) MAX(22, 26) MAX(23, 27)
            LD(4, 7, kept)
            MAX(20, 28) MAX(21, 29) MAX(22, 30) MAX(23, 31)
            MAX(0, 4) MAX(1, 5) MAX(2, 6) MAX(3, 7)
            "st1 {v20.4s-v23.4s}, [%[last]], #64\n\t"
            "subs %w[count], %w[count], #1\n\t"
            MAX(0, 20) MAX(1, 21) MAX(2, 22) MAX(3, 23)
            "st1 {v0.4s-v3.4s}, [%[tile]], #64\n\t"
            "b.ne 1b\n\t"
            : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [b0] "+r"(b0), [b1] "+r"(b1), [b2] "+r"(b2),
              [kept] "+r"(kept), [last] "+r"(last), [tile] "+r"(tile), [count] "+r"(count)
            :
            : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
              "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
    }
}

static inline float32x4_t load(const float *from, int32_t count) {
    return count == 4 ? vld1q_f32(from) : vdupq_n_f32(*from);
}

static inline void store(float *to, float32x4_t value, int32_t count) {
    if (count == 4) {
        vst1q_f32(to, value);
    } else {
        *to = vgetq_lane_f32(value, 0);
    }
}

// Channels c..c + count - 1, 4 or 1 of them; there are rows, and columns or one that is kept.
static inline void some(const columns_of *w, int32_t c, int32_t count, float *tile) {
    float32x4_t all = w->kept ? load(w->kept + c, count) : vdupq_n_f32(-INFINITY);
    float32x4_t column = all;
    for (int32_t x = 0; x < w->columns; x++) {
        const float *from = w->from + x * w->column + c;
        column = load(from, count);
        for (int32_t y = 1; y < w->rows; y++) column = vmaxnmq_f32(column, load(from + y * w->row, count));
        all = vmaxnmq_f32(all, column);
    }
    store(w->last + c, column, count);
    store(tile + c, all, count);
}

void r2b_maxpool_neon(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                      const r2b_parallel *parallel) {
    (void)parallel;
    const r2b_window *const g = &layer->window;
    const int32_t channels = g->in_channels;
    const float *const input = (const float *)(const void *)(arena + layer->input);
    float *const place = r2b_epilogue_place(epilogue, arena);
    float *const work = (float *)(void *)(arena + layer->work);
    const int overlaps = g->dilation_x == 1 && g->kernel_x == g->stride_x + 1;
    // The first pixel behind those whose windows end in the map.
    const int32_t inside = (g->in_width + g->pad_left - g->kernel_x) / g->stride_x + 1;
    columns_of w = {.row = g->dilation_y * g->in_width * channels, .column = g->dilation_x * channels};
    w.last = work + (channels + 3) / 4 * 4;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t iy = oy * g->stride_y - g->pad_top;
        const r2b_taps ty = r2b_taps_inside(iy, g->in_height, g->kernel_y, g->dilation_y);
        const float *const top = input + (iy + ty.first * g->dilation_y) * g->in_width * channels;
        w.rows = ty.last - ty.first;
        w.kept = NULL;
        for (int32_t ox = 0; ox < g->out_width; ox++) {
            const int32_t pixel = oy * g->out_width + ox;
            const int32_t ix = ox * g->stride_x - g->pad_left;
            const r2b_taps tx = r2b_taps_inside(ix, g->in_width, g->kernel_x, g->dilation_x);
            float *const tile = place ? place + pixel * channels : work;
            // Where a column is kept, it is the window's first one, which then lies in the map.
            const int32_t first = w.kept ? 1 : tx.first;
            w.columns = w.rows > 0 ? tx.last - first : 0;
            w.from = w.columns > 0 ? top + (ix + first * g->dilation_x) * channels : input;
            if (place && w.kept && w.rows == 3 && w.columns == 2 && channels % 16 == 0 && ox < inside) {
                const int32_t last = inside < g->out_width ? inside : g->out_width;
                sixteens(&w, last - ox, g->stride_x * channels, channels, tile);
                ox = last - 1;
                continue;  // the last column is kept
            }
            int32_t c = 0;
            for (; c + 4 <= channels; c += 4) some(&w, c, 4, tile);
            for (; c < channels; c++) some(&w, c, 1, tile);
            w.kept = overlaps && w.rows > 0 && tx.first < tx.last && tx.last == g->kernel_x ? w.last : NULL;
            if (!place) r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        if (place) {
            r2b_epilogue_tiles(epilogue, arena, oy * g->out_width, g->out_width, place + oy * g->out_width * channels);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
