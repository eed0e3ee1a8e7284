// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_mve.c: convolution in float32 for MVE (Armv8.1-M), any window, without groups.
//
// PIXELS pixels and two blocks of 4 output channels are summed at a time: for each input value of the windows, two
// vectors of weights and three scalars give six multiply-adds (8 vector registers: 6 sums and 2 of weights), 12
// instructions with the loop's own for 24 products. GCC makes it a low-overhead loop.
//
// A pixel whose window lies inside the map reads the map itself, where the taps of a row lie side by side. Where one of
// a tile's windows does not, or has gaps (dilation), all windows of the tile are copied next to each other first, with
// zeros beyond the map. Where the map holds bytes, a tile stays in a row, and that row's windows are in floats.
//
// Halves take an instruction more for each vector of weights.
#include <arm_mve.h>

#include "r2b_bytes.h"
#include "r2b_kernels.h"
#include "r2b_mve_weights.h"

enum { PIXELS = 3 };

// Where the windows of a tile lie: rows of `count` floats, `step` floats after the end of one row the next begins.
typedef struct {
    const float *at[PIXELS];
    int32_t rows;
    int32_t count;
    int32_t step;
} windows;

// Sums of two blocks of output channels; `w0` and `w1` are their weights, in the order of the windows' values.
static inline void two_blocks(const windows *from, const uint8_t *w0, const uint8_t *w1, int half, const float *bias,
                              float *out, int32_t channels) {
    const float *p0 = from->at[0], *p1 = from->at[1], *p2 = from->at[2];
    float32x4_t a0 = vld1q_f32(bias), b0 = vld1q_f32(bias + 4);
    float32x4_t a1 = a0, a2 = a0, b1 = b0, b2 = b0;
    for (int32_t row = from->rows; row > 0; row--) {
        for (int32_t i = from->count; i > 0; i--) {
            const float32x4_t a = r2b_mve_weights(w0, half), b = r2b_mve_weights(w1, half);
            const float x0 = *p0++, x1 = *p1++, x2 = *p2++;
            w0 += half ? 8 : 16;
            w1 += half ? 8 : 16;
            a0 = vfmaq_n_f32(a0, a, x0);
            b0 = vfmaq_n_f32(b0, b, x0);
            a1 = vfmaq_n_f32(a1, a, x1);
            b1 = vfmaq_n_f32(b1, b, x1);
            a2 = vfmaq_n_f32(a2, a, x2);
            b2 = vfmaq_n_f32(b2, b, x2);
        }
        p0 += from->step;
        p1 += from->step;
        p2 += from->step;
    }
    vst1q_f32(out, a0);
    vst1q_f32(out + 4, b0);
    vst1q_f32(out + channels, a1);
    vst1q_f32(out + channels + 4, b1);
    vst1q_f32(out + 2 * channels, a2);
    vst1q_f32(out + 2 * channels + 4, b2);
}

static inline void one_block(const windows *from, const uint8_t *w, int half, const float *bias, float *out,
                             int32_t channels) {
    const float *p0 = from->at[0], *p1 = from->at[1], *p2 = from->at[2];
    float32x4_t s0 = vld1q_f32(bias);
    float32x4_t s1 = s0, s2 = s0;
    for (int32_t row = from->rows; row > 0; row--) {
        for (int32_t i = from->count; i > 0; i--) {
            const float32x4_t v = r2b_mve_weights(w, half);
            w += half ? 8 : 16;
            s0 = vfmaq_n_f32(s0, v, *p0++);
            s1 = vfmaq_n_f32(s1, v, *p1++);
            s2 = vfmaq_n_f32(s2, v, *p2++);
        }
        p0 += from->step;
        p1 += from->step;
        p2 += from->step;
    }
    vst1q_f32(out, s0);
    vst1q_f32(out + channels, s1);
    vst1q_f32(out + 2 * channels, s2);
}

// `count` floats, or zeros where `from` is null.
static inline void copy(float *to, const float *from, int32_t count) {
    for (; count > 0; count -= 4, to += 4) {
        const mve_pred16_t lanes = vctp32q((uint32_t)count);
        float32x4_t v = vdupq_n_f32(0.0f);
        if (from) {
            v = vld1q_z_f32(from, lanes);
            from += 4;
        }
        vst1q_p_f32(to, v, lanes);
    }
}

// Copies the window whose tap (0, 0) is at input pixel (y, x): float [kernel_y][kernel_x][in_channels]. `input` begins
// with row `top` of the map.
static void gather(const r2b_window *g, const float *input, int32_t top, int32_t y, int32_t x, float *to) {
    const r2b_taps ty = r2b_taps_inside(y, g->in_height, g->kernel_y, g->dilation_y);
    const r2b_taps tx = r2b_taps_inside(x, g->in_width, g->kernel_x, g->dilation_x);
    const int32_t channels = g->in_channels;
    const int32_t inside = tx.last - tx.first;
    const int32_t together = g->dilation_x == 1 && inside > 0 ? inside : 1;
    for (int32_t ky = 0; ky < g->kernel_y; ky++) {
        const int is_row = ky >= ty.first && ky < ty.last;
        const float *const row = input + (is_row ? y + ky * g->dilation_y - top : 0) * g->in_width * channels;
        for (int32_t kx = 0; kx < g->kernel_x;) {
            const int is_in = is_row && kx >= tx.first && kx < tx.last;
            const int32_t taps = is_in ? together : 1;
            copy(to, is_in ? row + (x + kx * g->dilation_x) * channels : 0, taps * channels);
            to += taps * channels;
            kx += taps;
        }
    }
}

static inline int lies_inside(const r2b_window *g, int32_t y, int32_t x) {
    return y >= 0 && x >= 0 && y + g->kernel_y <= g->in_height && x + g->kernel_x <= g->in_width;
}

// The windows of `pixels` pixels from `pixel` on, in raster order; the last one stands for those that are missing.
static void find_windows(const r2b_window *g, const float *input, int32_t top, int32_t pixel, int32_t pixels,
                         float *copies, windows *found) {
    const int32_t values = g->kernel_x * g->in_channels;
    int32_t y[PIXELS], x[PIXELS];
    int direct = g->dilation_y == 1 && g->dilation_x == 1;
    int32_t oy = pixel / g->out_width;
    int32_t ox = pixel % g->out_width;
    for (int32_t p = 0; p < pixels; p++) {
        y[p] = oy * g->stride_y - g->pad_top;
        x[p] = ox * g->stride_x - g->pad_left;
        direct = direct && lies_inside(g, y[p], x[p]);
        if (++ox == g->out_width) ox = 0, oy++;
    }
    found->rows = direct ? g->kernel_y : 1;
    found->count = direct ? values : g->kernel_y * values;
    found->step = direct ? g->in_width * g->in_channels - values : 0;
    for (int32_t p = 0; p < pixels; p++) {
        float *const mine = copies + p * found->count;
        if (!direct) gather(g, input, top, y[p], x[p], mine);
        found->at[p] = direct ? input + ((y[p] - top) * g->in_width + x[p]) * g->in_channels : mine;
    }
    for (int32_t p = pixels; p < PIXELS; p++) found->at[p] = found->at[pixels - 1];
}

static inline __attribute__((always_inline)) void run(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue,
                                                      uint8_t *arena, int half, int on_bytes) {
    const r2b_window *const g = &layer->window;
    const int32_t channels = (g->out_channels + 3) / 4 * 4;
    const int32_t block = g->kernel_y * g->kernel_x * g->in_channels * (half ? 8 : 16);
    const int32_t pixels = g->out_height * g->out_width;
    const int32_t held = ((g->kernel_y - 1) * g->dilation_y + 1) * g->in_width * g->in_channels;
    float *const tiles = (float *)(void *)(arena + layer->work);
    r2b_bytes bytes = {.input = arena + layer->input, .scale = layer->scale, .offset = layer->offset};
    bytes.rows = tiles + PIXELS * channels;
    float *const copies = bytes.rows + (on_bytes ? held : 0);
    const float *const input = on_bytes ? bytes.rows : (const float *)(const void *)(arena + layer->input);
    int32_t top = 0, oy = 0, column = 0;

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t pixel = 0, count; pixel < pixels; pixel += count) {
        const int32_t left = on_bytes ? g->out_width - column : pixels - pixel;
        count = left < PIXELS ? left : PIXELS;
        if (on_bytes && column == 0) {
            r2b_bytes_move(&bytes, g, oy);
            top = oy * g->stride_y - g->pad_top;
        }
        windows from;
        find_windows(g, input, top, pixel, count, copies, &from);
        const uint8_t *w = layer->weights;
        int32_t c = 0;
        for (; c + 8 <= channels; c += 8, w += 2 * block) {
            two_blocks(&from, w, w + block, half, layer->bias + c, tiles + c, channels);
        }
        if (c < channels) one_block(&from, w, half, layer->bias + c, tiles + c, channels);
        for (int32_t p = 0; p < count; p++) {
            r2b_epilogue_tile(epilogue, arena, pixel + p, tiles + p * channels);
            if (++column == g->out_width) {
                column = 0;
                oy++;
                r2b_epilogue_row(epilogue, arena);
            }
        }
    }
    r2b_epilogue_end(epilogue, arena);
}

void r2b_fconv_mve(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                   const r2b_parallel *parallel) {
    (void)parallel;
    run(layer, epilogue, arena, 0, 0);
}

void r2b_fconv_mve_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    (void)parallel;
    run(layer, epilogue, arena, 1, 0);
}

void r2b_fconv_bytes_mve(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                         const r2b_parallel *parallel) {
    (void)parallel;
    run(layer, epilogue, arena, 0, 1);
}

void r2b_fconv_bytes_mve_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                              const r2b_parallel *parallel) {
    (void)parallel;
    run(layer, epilogue, arena, 1, 1);
}
