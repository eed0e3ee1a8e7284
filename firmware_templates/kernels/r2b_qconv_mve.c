// SPDX-License-Identifier: MIT-0
//
// r2b_qconv_mve.c: convolution in 8-bit integers for MVE (Armv8.1-M), 16 products an instruction.
//
// Values and weights are bytes with a sign: the integer q of low..low + 255 is stored as q - low - 128. What that takes
// off a window's sum, (low + 128) * sum of its weights, is the same for all windows, since rows and columns beyond the
// map are stored too, as q = 0: the sums start from there. A row of a window is read 16 bytes at a time, of which the
// last ones may not be the window's; their weights are 0.
#include <arm_mve.h>
#include <string.h>

#include "r2b_kernels.h"

// NaN becomes `high`: a number wins against it. MVE takes subnormal numbers for 0, which is what they round to.
static void quantise(const r2b_qconv *layer, const float *from, int8_t *to, int32_t count) {
    const float32x4_t low = vdupq_n_f32((float)layer->low);
    const float32x4_t high = vdupq_n_f32((float)layer->high);
    const int32_t centre = layer->low + 128;
    for (; count > 0; count -= 4, from += 4, to += 4) {
        const mve_pred16_t lanes = vctp32q((uint32_t)count);
        const float32x4_t product = vmulq_n_f32(vld1q_z_f32(from, lanes), layer->inverse);
        const float32x4_t within = vmaxnmq_f32(vminnmq_f32(product, high), low);
        vstrbq_p_s32(to, vsubq_n_s32(vcvtnq_s32_f32(within), centre), lanes);
    }
}

// Sums of 4 output channels over `rows` rows, `step` bytes apart, of `count` vectors each.
static inline void sums(const int8_t *values, int32_t step, const int8_t *weights, int32_t rows, int32_t count,
                        int32_t sum[4]) {
    int32_t a = sum[0], b = sum[1], c = sum[2], d = sum[3];
    for (; rows > 0; rows--, values += step) {
        const int8_t *at = values;
        for (int32_t i = count; i > 0; i--, at += 16, weights += 64) {
            const int8x16_t x = vldrbq_s8(at);
            a = vmladavaq_s8(a, x, vldrbq_s8(weights));
            b = vmladavaq_s8(b, x, vldrbq_s8(weights + 16));
            c = vmladavaq_s8(c, x, vldrbq_s8(weights + 32));
            d = vmladavaq_s8(d, x, vldrbq_s8(weights + 48));
        }
    }
    sum[0] = a, sum[1] = b, sum[2] = c, sum[3] = d;
}

void r2b_qconv_mve(const r2b_qconv *layer, const r2b_epilogue *epilogue, uint8_t *arena, const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    const float *const input = (const float *)(const void *)(arena + layer->input);
    const int32_t *const offsets = (const int32_t *)(const void *)layer->offsets;
    const int32_t blocks = (g->out_channels + 3) / 4;
    float *const tile = (float *)(void *)(arena + layer->work);
    int32_t *const sum = (int32_t *)(void *)tile;  // in its place
    int8_t *const rows = (int8_t *)(void *)(tile + 4 * blocks);
    const int32_t count = (g->kernel_x * layer->depth + 15) / 16;
    const int32_t values = g->in_width * g->in_channels;
    const int zero = -(layer->low + 128);
    int32_t next = -g->pad_top;  // row of the map
    int32_t pixel = 0;
    (void)parallel;

    memset(rows, zero, (size_t)(g->kernel_y * layer->row));
    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t first = oy * g->stride_y - g->pad_top;  // the row of the map in rows[0]
        if (oy > 0 && g->stride_y < g->kernel_y) {
            memmove(rows, rows + g->stride_y * layer->row, (size_t)((g->kernel_y - g->stride_y) * layer->row));
        }
        if (next < first) next = first;
        for (; next < first + g->kernel_y; next++) {
            int8_t *const to = rows + (next - first) * layer->row + g->pad_left * layer->depth;
            if (next >= 0 && next < g->in_height) {
                quantise(layer, input + next * values, to, values);
            } else {
                memset(to, zero, (size_t)values);
            }
        }
        for (int32_t ox = 0; ox < g->out_width; ox++, pixel++) {
            const int8_t *const at = rows + ox * g->stride_x * layer->depth;
            const int8_t *weights = layer->weights;
            for (int32_t block = 0; block < blocks; block++, weights += g->kernel_y * count * 64) {
                int32_t *const mine = sum + 4 * block;
                vst1q_s32(mine, vld1q_s32(offsets + 4 * block));
                sums(at, layer->row, weights, g->kernel_y, count, mine);
                vst1q_f32(tile + 4 * block, vcvtq_f32_s32(vld1q_s32(mine)));
            }
            r2b_epilogue_tile(epilogue, arena, pixel, tile);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
