// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_neon.c: binary convolution for AArch64, any window, without groups.
//
// Rows of output pixels are cut into tiles of up to 7 pixels. For each tile the counts of differing bits of all output
// channels are made (r2b_bconv_neon_loops.h), then the epilogue runs on them. A tile of 7 takes one of two ways:
//  - a window 3 wide that goes on by 1 or 2, with at most one tap beyond the map at either end: the window loops;
//  - else: the taps that all 7 pixels have inside the map, together; then for each pixel the taps that only it has.
// A tile of fewer pixels has no common taps. Taps beyond the map are left out; where the border holds -1 or +1, their
// differing bits are a constant for each output channel, which is added.
#include <string.h>

#include "r2b_bconv_neon_epilogue.h"
#include "r2b_bconv_neon_loops.h"
#include "r2b_kernels.h"

typedef struct {
    const r2b_bconv_blocks *layer;
    const uint8_t *input;
    int32_t chunks;           // of 128 channels
    int32_t chunk_bytes;      // a row of the map in one chunk
    int32_t groups;           // of 8 output channels, whole blocks of them
    blocks blocks;            // of output channels
    const r2b_taps *columns;  // [out_width]: of each pixel in x
    tap *taps;                // room for the taps of a window
} state;

// The taps of rows `ty` whose column is in from..to - 1, for a pixel whose window begins at (iy, ix).
static int32_t list_taps(const state *s, r2b_taps ty, int32_t from, int32_t to, int32_t iy, int32_t ix, tap *list) {
    const r2b_window *const g = &s->layer->window;
    int32_t n = 0;
    for (int32_t ky = ty.first; ky < ty.last; ky++) {
        for (int32_t chunk = 0; chunk < s->chunks; chunk++) {
            const int32_t row = ((iy + ky * g->dilation_y) * s->chunks + chunk) * s->chunk_bytes;
            const int32_t w = (ky * s->chunks + chunk) * g->kernel_x;
            for (int32_t kx = from; kx < to; kx++) {
                list[n++] = (tap){row + (ix + kx * g->dilation_x) * 16, (w + kx) * 128};
            }
        }
    }
    return n;
}

// The last input column that a tile of 7 pixels whose first window begins at column ix looks at.
static int32_t last_column(const r2b_window *g, int32_t ix) {
    return ix + (PIXELS - 1) * g->stride_x + (g->kernel_x - 1) * g->dilation_x;
}

static void count_window(const state *s, r2b_taps ty, int32_t iy, int32_t ix) {
    const r2b_window *const g = &s->layer->window;
    const int left = ix < 0;
    const int right = last_column(g, ix) == g->in_width;
    const uint8_t *const x = s->input + (iy + ty.first) * s->chunks * s->chunk_bytes + (left ? 0 : ix) * 16;
    const int32_t loaded = left || right ? 64 : 128;  // before the last load, which goes `step` bytes on
    const int64_t step = s->chunk_bytes - (g->stride_x == 1 ? loaded : 0);
    const window_loop count = WINDOW_LOOPS[g->stride_x - 1][s->blocks.groups - 1][left][right];
    count(x, ty.first * s->chunks * 3 * 128, step, (ty.last - ty.first) * s->chunks, &s->blocks);
}

static void count_seven(const state *s, r2b_taps ty, r2b_taps common, int32_t iy, int32_t ix) {
    const int32_t n = list_taps(s, ty, common.first, common.last, iy, ix, s->taps);
    const int64_t step = s->layer->window.stride_x * 16;
    (s->blocks.groups == 1 ? wide_seven : narrow_seven)(s->input, step, s->taps, n, &s->blocks);
}

// Adds the taps of one pixel whose column is in from..to - 1.
static void count_one(const state *s, r2b_taps ty, int32_t from, int32_t to, int32_t iy, int32_t ix, int32_t pixel) {
    const int32_t n = from < to ? list_taps(s, ty, from, to, iy, ix, s->taps) : 0;
    if (n == 0) return;
    blocks its = s->blocks;
    its.counts += pixel * GROUP;
    (its.groups == 1 ? wide_one : narrow_one)(s->input, s->taps, n, &its);
}

// Adds the differing bits of the taps beyond the map.
static void count_border(const state *s, r2b_taps ty, r2b_taps tx, int32_t pixel) {
    const r2b_window *const g = &s->layer->window;
    for (int32_t ky = 0; ky < g->kernel_y; ky++) {
        for (int32_t kx = 0; kx < g->kernel_x; kx++) {
            if (ky >= ty.first && ky < ty.last && kx >= tx.first && kx < tx.last) continue;
            const uint16_t *const more =
                (const uint16_t *)(const void *)s->layer->border + (ky * g->kernel_x + kx) * s->groups * GROUP;
            for (int32_t i = 0; i < s->groups; i++) {
                uint16_t *const counts = s->blocks.counts + (i * PIXELS + pixel) * GROUP;
                vst1q_u16(counts, vaddq_u16(vld1q_u16(counts), vld1q_u16(more + i * GROUP)));
            }
        }
    }
}

// The counts of the tile of `pixels` pixels from column ox on.
static void count_tile(const state *s, r2b_taps ty, int32_t iy, int32_t ox, int32_t pixels) {
    const r2b_window *const g = &s->layer->window;
    const r2b_taps *const tx = s->columns + ox;
    const int32_t ix = ox * g->stride_x - g->pad_left;
    const int slides = g->kernel_x == 3 && g->stride_x <= 2 && g->dilation_x == 1 && g->dilation_y == 1;
    if (pixels == PIXELS && slides && ix >= -1 && last_column(g, ix) <= g->in_width && ty.first < ty.last) {
        count_window(s, ty, iy, ix);
    } else {
        r2b_taps common = {0, 0};
        if (pixels == PIXELS && ty.first < ty.last) {
            common = (r2b_taps){tx[0].first, tx[PIXELS - 1].last};
            for (int32_t p = 0; p < PIXELS; p++) {
                if (tx[p].first > common.first) common.first = tx[p].first;
                if (tx[p].last < common.last) common.last = tx[p].last;
            }
            if (common.first >= common.last) common = (r2b_taps){0, 0};
        }
        if (common.first < common.last) {
            count_seven(s, ty, common, iy, ix);
        } else {
            memset(s->blocks.counts, 0, (size_t)(s->groups * GROUP_BYTES));
        }
        for (int32_t p = 0; p < pixels; p++) {
            const int32_t at = ix + p * g->stride_x;
            if (common.first == common.last) {
                count_one(s, ty, tx[p].first, tx[p].last, iy, at, p);
            } else {
                count_one(s, ty, tx[p].first, common.first, iy, at, p);
                count_one(s, ty, common.last, tx[p].last, iy, at, p);
            }
        }
    }
    if (s->layer->pad_value == 0) return;
    for (int32_t p = 0; p < pixels; p++) {
        const int32_t inside = (ty.last - ty.first) * (tx[p].last - tx[p].first);
        if (inside < g->kernel_y * g->kernel_x) count_border(s, ty, tx[p], p);
    }
}

// The dot products of one pixel, products - 2 * differing, as floats; up to 7 more than there are channels.
static void tile_of_floats(const state *s, int32_t pixel, int32_t products, float *tile) {
    const int32x4_t n = vdupq_n_s32(products);
    for (int32_t c = 0; c < s->layer->window.out_channels; c += GROUP) {
        const uint16x8_t count = vld1q_u16(s->blocks.counts + c * PIXELS + pixel * GROUP);
        const int32x4_t low = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(count)));
        const int32x4_t high = vreinterpretq_s32_u32(vmovl_high_u16(count));
        vst1q_f32(tile + c, vcvtq_f32_s32(vmlsq_n_s32(n, low, 2)));
        vst1q_f32(tile + c + 4, vcvtq_f32_s32(vmlsq_n_s32(n, high, 2)));
    }
}

// Products of the window of a pixel.
static int32_t products_of(const state *s, r2b_taps ty, r2b_taps tx) {
    const r2b_window *const g = &s->layer->window;
    const int32_t inside = (ty.last - ty.first) * (tx.last - tx.first);
    return (s->layer->pad_value == 0 ? inside : g->kernel_y * g->kernel_x) * g->in_channels;
}

void r2b_bconv_neon(const r2b_bconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                    const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    state s = {.layer = layer, .input = arena + layer->input, .chunks = (g->in_channels + 127) / 128};
    s.chunk_bytes = g->in_width * 16;
    s.blocks.groups = g->in_channels <= 64 ? 2 : 1;
    s.blocks.count = (g->out_channels + s.blocks.groups * GROUP - 1) / (s.blocks.groups * GROUP);
    s.blocks.bytes = g->kernel_y * g->kernel_x * s.chunks * 128;
    s.blocks.weights = (const uint8_t *)layer->weights;
    s.groups = s.blocks.count * s.blocks.groups;

    // The workspace, multiples of 16 bytes first.
    uint8_t *const work = arena + layer->work;
    s.blocks.counts = (uint16_t *)(void *)work;
    uint16_t *const halves = s.blocks.counts + s.groups * PIXELS * GROUP;
    group_constants *const constants = (group_constants *)(void *)(halves + (g->out_width + 15) / 8 * 8);
    float *const floats = (float *)(void *)constants;  // one or the other is in use
    r2b_taps *const columns = (r2b_taps *)(void *)(constants + (g->out_channels + GROUP - 1) / GROUP);
    s.columns = columns;
    s.taps = (tap *)(void *)(columns + g->out_width);
    for (int32_t ox = 0; ox < g->out_width; ox++) {
        columns[ox] = r2b_taps_inside(ox * g->stride_x - g->pad_left, g->in_width, g->kernel_x, g->dilation_x);
    }
    (void)parallel;

    fused f;
    const int is_fused = fuse(epilogue, g->out_width, arena, constants, &f) && g->in_channels % 2 == 0;
    int32_t rows_before = -1;
    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy++) {
        const int32_t iy = oy * g->stride_y - g->pad_top;
        const r2b_taps ty = r2b_taps_inside(iy, g->in_height, g->kernel_y, g->dilation_y);
        if (is_fused && ty.last - ty.first != rows_before) {
            rows_before = ty.last - ty.first;
            for (int32_t ox = 0; ox < g->out_width; ox++) {
                halves[ox] = (uint16_t)(products_of(&s, ty, columns[ox]) / 2);
            }
        }
        for (int32_t ox = 0; ox < g->out_width; ox += PIXELS) {
            const int32_t pixels = g->out_width - ox < PIXELS ? g->out_width - ox : PIXELS;
            count_tile(&s, ty, iy, ox, pixels);
            if (is_fused) {
                finish_tile(&f, s.blocks.counts, halves + ox, pixels, oy, ox);
                continue;
            }
            for (int32_t p = 0; p < pixels; p++) {
                tile_of_floats(&s, p, products_of(&s, ty, columns[ox + p]), floats);
                r2b_epilogue_tile(epilogue, arena, oy * g->out_width + ox + p, floats);
            }
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
