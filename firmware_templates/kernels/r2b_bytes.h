// SPDX-License-Identifier: MIT-0
//
// r2b_bytes.h: the rows under the windows of a map of bytes, as floats, for convolutions.
//
// Each row is converted once: where the window moves down, those that it still covers move up. So the map never exists
// in float32.
#ifndef R2B_BYTES_H
#define R2B_BYTES_H

#include <string.h>

#include "r2b_kernels.h"

typedef struct {
    const uint8_t *input;
    const float *scale;  // [in_channels]; null: 1 and 0 everywhere
    const float *offset;
    float *rows;    // [(kernel_y - 1) * dilation_y + 1][in_width][in_channels]
    int32_t ready;  // rows of the map that were converted
} r2b_bytes;

// A row of the map, each channel through its affine map.
static inline void r2b_bytes_convert(const r2b_bytes *bytes, const r2b_window *g, const uint8_t *restrict from,
                                     float *restrict to) {
    const int32_t count = g->in_width * g->in_channels;
    if (bytes->scale == NULL) {
        for (int32_t i = 0; i < count; i++) to[i] = (float)from[i];
        return;
    }
    for (int32_t i = 0, c = 0; i < count; i++) {
        to[i] = r2b_multiply_add(bytes->scale[c], (float)from[i], bytes->offset[c]);
        c = c + 1 < g->in_channels ? c + 1 : 0;  // an inner loop costs more than this where channels are few
    }
}

// Makes `rows` those under the windows of output row oy, the first of which may lie above the map; oy counts up from 0.
static inline void r2b_bytes_move(r2b_bytes *bytes, const r2b_window *g, int32_t oy) {
    const int32_t row = g->in_width * g->in_channels;
    const int32_t held = (g->kernel_y - 1) * g->dilation_y + 1;
    const int32_t first = oy * g->stride_y - g->pad_top;
    if (oy > 0 && g->stride_y < held) {
        const size_t kept = (size_t)((held - g->stride_y) * row) * sizeof(float);
        memmove(bytes->rows, bytes->rows + g->stride_y * row, kept);
    }
    if (bytes->ready < first) bytes->ready = first;
    for (; bytes->ready < first + held && bytes->ready < g->in_height; bytes->ready++) {
        r2b_bytes_convert(bytes, g, bytes->input + bytes->ready * row, bytes->rows + (bytes->ready - first) * row);
    }
}

#endif  // R2B_BYTES_H
