// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_blocks.h: the convolution in float32 around a family's inner loops, for the family's own file.
//
// Output channels come in blocks of 8. In a row of the map the taps of a window lie side by side, kernel_x *
// in_channels floats, and so do their weights: what a window has inside of the map is a number of rows, each a run of
// floats. Inside of the map PIXELS windows side by side have the same rows and runs, each a stride from the one before;
// at the border a pixel goes alone. Nothing is gathered or padded, and no loop tests a bound.
//
// A line of pixels is made block by block, so that a block's weights serve all of them while they are in the cache;
// then the epilogue runs on it. It is LINE pixels long where it can be made in its place, else as long as the
// workspace, PIXELS. The file that includes this defines PIXELS and LINE before, and r2b_fconv_line after.
#ifndef R2B_FCONV_BLOCKS_H
#define R2B_FCONV_BLOCKS_H

#include <string.h>

#include "r2b_bytes.h"
#include "r2b_kernels.h"

// Neighbouring pixels whose taps are alike: 1 or PIXELS of them.
typedef struct {
    const float *x;  // the first tap in the map of the first pixel
    int32_t pixels;
    int32_t run;  // floats of a row
    int32_t tap;  // the first tap's place in a row of weights, in taps and channels
} r2b_fconv_group;

// What the groups of a line have in common. Distances are in floats, or in weights, which may be halves.
typedef struct {
    const uint8_t *weights;  // of the first row of taps in the map, first block
    const float *bias;
    float *to;        // [pixels][pitch]
    int32_t rows;     // of taps in the map
    int32_t blocks;   // of 8 output channels
    int32_t block;    // from a block's weights to the next
    int32_t pitch;    // from a pixel's results to the next: 8 * blocks
    int32_t taps;     // of a row of weights, without the 8 outputs
    int32_t next_x;   // from a row of taps to the next
    int32_t pixel_x;  // from a pixel's taps to the next pixel's
    int32_t count;    // of groups
    r2b_fconv_group groups[LINE];
} r2b_fconv_row;

// All blocks of all groups: to[pixel][output] = bias + sum over the taps. `half`, constant where it is called, says
// whether the weights are halves.
static inline void r2b_fconv_line(const r2b_fconv_row *line, int half);

// Parts the pixels ox..ox + n - 1 of a row into groups; those of the columns `inside`, whose windows lie in the map, go
// together. A pixel without taps goes alone.
static inline void r2b_fconv_part(r2b_fconv_row *line, const r2b_window *g, const float *row, r2b_taps inside,
                                  int32_t ox, int32_t n) {
    const int32_t channels = g->in_channels;
    r2b_fconv_group *group = line->groups;
    for (int32_t p = 0; p < n; p += group++->pixels) {
        const int32_t x = (ox + p) * g->stride_x - g->pad_left;
        if (p + PIXELS <= n && ox + p >= inside.first && ox + p + PIXELS <= inside.last) {
            *group = (r2b_fconv_group){row + x * channels, PIXELS, line->taps, 0};
        } else {
            const r2b_taps taps = r2b_taps_inside(x, g->in_width, g->kernel_x, 1);
            const int32_t first = taps.first < taps.last ? x + taps.first : 0;  // no tap: no pointer beside the map
            *group = (r2b_fconv_group){row + first * channels, 1, (taps.last - taps.first) * channels,
                                       taps.first * channels};
        }
    }
    line->count = (int32_t)(group - line->groups);
}

// A window of one tap, stride 1 and no border: the rows follow each other without a gap, and a line may go from one to
// the next. Not where a row has sums of its own.
static inline int r2b_fconv_is_flat(const r2b_window *g, const r2b_epilogue *epilogue) {
    for (int32_t k = 0; k < epilogue->count; k++) {
        if (epilogue->ops[k].kind == R2B_TILE_MEAN) return 0;
    }
    return g->kernel_y == 1 && g->kernel_x == 1 && g->stride_y == 1 && g->stride_x == 1 &&
           g->in_height == g->out_height && g->in_width == g->out_width;
}

static inline __attribute__((always_inline)) void r2b_fconv_blocks_run(const r2b_fconv_blocks *layer,
                                                                       const r2b_epilogue *epilogue, uint8_t *arena,
                                                                       int half, int on_bytes) {
    r2b_window flat = layer->window;
    if (!on_bytes && r2b_fconv_is_flat(&flat, epilogue)) {
        flat.in_width = flat.out_width *= flat.out_height;
        flat.in_height = flat.out_height = 1;
    }
    const r2b_window *const g = &flat;
    const float *const input = on_bytes ? NULL : (const float *)(const void *)(arena + layer->input);
    const uint8_t *const weights = (const uint8_t *)layer->weights;
    r2b_fconv_row line = {.bias = layer->bias, .to = (float *)(void *)(arena + layer->work)};
    line.blocks = (g->out_channels + 7) / 8;
    line.taps = g->kernel_x * g->in_channels;
    line.block = g->kernel_y * line.taps * 8;
    line.pitch = line.blocks * 8;
    line.next_x = g->dilation_y * g->in_width * g->in_channels;
    line.pixel_x = g->stride_x * g->in_channels;
    float *const place = g->out_channels == line.pitch ? r2b_epilogue_place(epilogue, arena) : NULL;
    const int32_t most = place ? LINE : PIXELS;
    r2b_bytes bytes = {.input = arena + layer->input, .scale = layer->scale, .offset = layer->offset};
    bytes.rows = line.to + PIXELS * line.pitch;
    r2b_taps inside = {(g->pad_left + g->stride_x - 1) / g->stride_x, 0};
    if (g->in_width + g->pad_left >= g->kernel_x) {
        inside.last = (g->in_width + g->pad_left - g->kernel_x) / g->stride_x + 1;
    }

    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t y = oy * g->stride_y - g->pad_top;
        const r2b_taps ty = r2b_taps_inside(y, g->in_height, g->kernel_y, g->dilation_y);
        const float *row = on_bytes ? bytes.rows : input;
        if (on_bytes) r2b_bytes_move(&bytes, g, oy);
        line.rows = ty.last - ty.first;
        if (line.rows > 0) row += ((on_bytes ? 0 : y) + ty.first * g->dilation_y) * g->in_width * g->in_channels;
        line.weights = weights + ty.first * line.taps * (half ? 16 : 32);
        for (int32_t ox = 0; ox < g->out_width; ox += most) {
            const int32_t n = g->out_width - ox < most ? g->out_width - ox : most;
            r2b_fconv_part(&line, g, row, line.rows > 0 ? inside : (r2b_taps){0, 0}, ox, n);
            const int32_t pixel = oy * g->out_width + ox;
            if (place) line.to = place + pixel * line.pitch;
            r2b_fconv_line(&line, half);
            if (g->out_channels == line.pitch) {
                r2b_epilogue_tiles(epilogue, arena, pixel, n, line.to);
            } else {
                for (int32_t p = 0; p < n; p++) {
                    r2b_epilogue_tile(epilogue, arena, pixel + p, line.to + p * line.pitch);
                }
            }
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}

// A dense layer is a line of one pixel with one row of taps. Here a task's share of its pairs of blocks.
static inline __attribute__((always_inline)) void r2b_dense_blocks_share(const r2b_dense *layer, uint8_t *arena,
                                                                         int32_t tasks, int32_t task, int half) {
    const int32_t blocks = (layer->out_channels + 7) / 8;
    const int32_t first = r2b_share((blocks + 1) / 2, tasks, task) * 2;
    const int32_t end = r2b_share((blocks + 1) / 2, tasks, task + 1) * 2;
    r2b_fconv_row line = {.rows = 1, .count = 1, .pitch = blocks * 8, .taps = layer->in_channels};
    line.blocks = (end < blocks ? end : blocks) - first;
    line.block = line.taps * 8;
    line.weights = (const uint8_t *)layer->weights + first * line.block * (half ? 2 : 4);
    line.bias = layer->bias + first * 8;
    line.to = (float *)(void *)(arena + layer->work) + first * 8;
    const float *const input = (const float *)(const void *)(arena + layer->input);
    line.groups[0] = (r2b_fconv_group){.x = input, .pixels = 1, .run = line.taps};
    r2b_fconv_line(&line, half);
}

// After all shares.
static inline void r2b_dense_blocks_finish(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena) {
    r2b_epilogue_begin(epilogue, arena);
    r2b_epilogue_tile(epilogue, arena, 0, (float *)(void *)(arena + layer->work));
    r2b_epilogue_row(epilogue, arena);
    r2b_epilogue_end(epilogue, arena);
}

#endif  // R2B_FCONV_BLOCKS_H
