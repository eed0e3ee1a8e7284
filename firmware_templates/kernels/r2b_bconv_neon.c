// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_neon.c: binary convolution for AArch64, any window, without groups.
//
// Rows of output pixels are cut into tiles of up to 7 pixels. For each tile the sums of all output channels are made
// (r2b_bconv_neon_loops.h), then the epilogue runs on them. A tile goes one of two ways:
//  - 7 pixels, a window 3 wide that goes on by 1 or 2, with at most one tap beyond the map at either end, and more than
//    32 channels: the window loops;
//  - else: each column of the window is made for the pixels that have it inside of the map, neighbours side by side;
//    columns that the same pixels have go together, those of all pixels first.
// Taps beyond the map are left out; where the border holds -1 or +1, their equal bits are a constant for each output
// channel, which is added.
#include <string.h>

#include "r2b_bconv_neon_epilogue.h"
#include "r2b_bconv_neon_loops.h"
#include "r2b_kernels.h"

// Of a task; tasks differ in their output channels, sums and starts.
typedef struct {
    const r2b_bconv_blocks *layer;
    const uint8_t *input;
    int32_t chunks;       // of 128 channels
    int32_t chunk_bytes;  // a row of the map in one chunk
    block_size size;
    int32_t block_groups;     // of 8 output channels
    int32_t tap_bytes;        // of a block's weights
    int32_t block_bytes;      //
    int32_t all_groups;       // whole blocks of them
    int32_t first_group;      // of the task's
    int32_t groups;           //
    const uint8_t *weights;   // of the task's first block
    int16_t *sums;            // of its first group
    int16_t *starts;          // [out_width][GROUP]: minus half the products of each pixel's window, 8 times
    const r2b_taps *columns;  // [out_width]: the taps of each pixel in x
    int slides;               // the window loops know the window
    taps row;                 // all of 7 pixels in the current row, of which the first one is at the map's first column
} state;

// The last input column that a tile of 7 pixels whose first window begins at column ix looks at.
static int32_t last_column(const r2b_window *g, int32_t ix) {
    return ix + (PIXELS - 1) * g->stride_x + (g->kernel_x - 1) * g->dilation_x;
}

// The columns kx of the window rows ty, for the first pixel of which one is at (iy, ix).
static taps begin_taps(const state *s, r2b_taps ty, r2b_taps kx, int32_t iy, int32_t ix) {
    const r2b_window *const g = &s->layer->window;
    const int32_t rows = (ty.last - ty.first) * s->chunks;
    return (taps){
        .x = s->input + (iy + ty.first * g->dilation_y) * s->chunks * s->chunk_bytes + ix * 16,
        .w = s->weights + (ty.first * s->chunks * g->kernel_x + kx.first) * s->tap_bytes,
        .rows = rows,
        .columns = kx.last - kx.first,
        .next_row_w = (g->kernel_x - kx.last + kx.first) * s->tap_bytes,
        .next_block_w = s->block_bytes - rows * g->kernel_x * s->tap_bytes,
        .count = s->groups / s->block_groups,
    };
}

static void sum_window(const state *s, int32_t ix, int32_t ox) {
    const r2b_window *const g = &s->layer->window;
    const int left = ix < 0;
    const int right = last_column(g, ix) == g->in_width;
    const int32_t loaded = left || right ? 64 : 128;  // before the last load, which goes on to the next row
    taps t = s->row;
    t.x += left ? 0 : ix * 16;
    t.next_row = s->chunk_bytes - (g->stride_x == 1 ? loaded : 0);
    t.from = s->starts + ox * GROUP;
    WINDOW_LOOPS[g->stride_x - 1][s->size][left][right](&t);
}

// Adds the columns kx of the window rows ty to the sums of the pixels px of a tile, which start or go on.
static void sum_columns(const state *s, r2b_taps ty, r2b_taps kx, r2b_taps px, int32_t iy, int32_t ox, int starts) {
    const r2b_window *const g = &s->layer->window;
    const int32_t ix = (ox + px.first) * g->stride_x - g->pad_left + kx.first * g->dilation_x;
    const int32_t together = g->dilation_y == 1 ? ty.last - ty.first : 1;  // rows at equal distances in all chunks
    for (int32_t ky = ty.first; ky < ty.last; ky += together) {
        taps t = begin_taps(s, (r2b_taps){ky, ky + together}, kx, iy, ix);
        t.pixel = g->stride_x * 16;
        t.next_column = g->dilation_x * 16 - (px.last - px.first) * t.pixel;
        t.next_row = s->chunk_bytes - (kx.last - kx.first) * g->dilation_x * 16;
        t.to = s->sums + px.first * GROUP;
        t.from = starts ? s->starts + (ox + px.first) * GROUP : t.to;
        t.from_all = starts ? 0 : GROUP_BYTES;
        PIXEL_LOOPS[s->size][px.last - px.first - 1](&t);
        starts = 0;
    }
}

static void begin_row(state *s, r2b_taps ty, int32_t iy) {
    const r2b_window *const g = &s->layer->window;
    s->row = begin_taps(s, ty, (r2b_taps){0, g->kernel_x}, iy, 0);
    s->row.pixel = g->stride_x * 16;
    s->row.next_column = g->dilation_x * 16 - PIXELS * s->row.pixel;
    s->row.next_row = s->chunk_bytes - g->kernel_x * g->dilation_x * 16;
    s->row.to = s->sums;
}

// Adds the equal bits of the taps beyond the map.
static void add_border(const state *s, r2b_taps ty, r2b_taps tx, int32_t pixel) {
    const r2b_window *const g = &s->layer->window;
    for (int32_t ky = 0; ky < g->kernel_y; ky++) {
        for (int32_t kx = 0; kx < g->kernel_x; kx++) {
            if (ky >= ty.first && ky < ty.last && kx >= tx.first && kx < tx.last) continue;
            const int16_t *const more = (const int16_t *)(const void *)s->layer->border +
                                        ((ky * g->kernel_x + kx) * s->all_groups + s->first_group) * GROUP;
            for (int32_t i = 0; i < s->groups; i++) {
                int16_t *const sums = s->sums + (i * PIXELS + pixel) * GROUP;
                vst1q_s16(sums, vaddq_s16(vld1q_s16(sums), vld1q_s16(more + i * GROUP)));
            }
        }
    }
}

// The pixels of a tile that have column kx of their window inside of the map.
static r2b_taps pixels_with(const r2b_window *g, int32_t ox, int32_t pixels, int32_t kx) {
    const int32_t ix = ox * g->stride_x - g->pad_left + kx * g->dilation_x;
    return r2b_taps_inside(ix, g->in_width, pixels, g->stride_x);
}

// Adds the columns from..to - 1 of the window, those that the same pixels have at once.
static void add_columns(const state *s, r2b_taps ty, int32_t from, int32_t to, int32_t iy, int32_t ox, int32_t pixels) {
    const r2b_window *const g = &s->layer->window;
    for (int32_t kx = from, next; kx < to; kx = next) {
        const r2b_taps px = pixels_with(g, ox, pixels, kx);
        for (next = kx + 1; next < to; next++) {
            const r2b_taps its = pixels_with(g, ox, pixels, next);
            if (its.first != px.first || its.last != px.last) break;
        }
        if (px.first < px.last) sum_columns(s, ty, (r2b_taps){kx, next}, px, iy, ox, 0);
    }
}

static void sum_by_columns(const state *s, r2b_taps ty, int32_t iy, int32_t ox, int32_t pixels) {
    const r2b_taps *const tx = s->columns + ox;
    r2b_taps common = {tx[0].first, tx[pixels - 1].last};  // both fall from pixel to pixel: windows go to the right
    if (common.first < common.last && ty.first < ty.last) {
        sum_columns(s, ty, common, (r2b_taps){0, pixels}, iy, ox, 1);
    } else {
        common = (r2b_taps){0, 0};
        for (int32_t i = 0; i < s->groups; i++) {
            memcpy(s->sums + i * PIXELS * GROUP, s->starts + ox * GROUP, (size_t)(pixels * GROUP) * sizeof *s->sums);
        }
    }
    if (ty.first == ty.last) return;
    add_columns(s, ty, 0, common.first, iy, ox, pixels);
    add_columns(s, ty, common.last, s->layer->window.kernel_x, iy, ox, pixels);
}

// The sums of the tile of `pixels` pixels from column ox on.
static void sum_tile(const state *s, r2b_taps ty, int32_t iy, int32_t ox, int32_t pixels) {
    const r2b_window *const g = &s->layer->window;
    const int32_t ix = ox * g->stride_x - g->pad_left;
    const int is_full = pixels == PIXELS && ty.first < ty.last;
    if (is_full && s->slides && ix >= -1 && last_column(g, ix) <= g->in_width) {
        sum_window(s, ix, ox);
    } else if (is_full && ix >= 0 && last_column(g, ix) < g->in_width && g->dilation_y == 1) {
        taps t = s->row;
        t.x += ix * 16;
        t.from = s->starts + ox * GROUP;
        PIXEL_LOOPS[s->size][PIXELS - 1](&t);
    } else {
        sum_by_columns(s, ty, iy, ox, pixels);
    }
    if (s->layer->pad_value == 0) return;
    for (int32_t p = 0; p < pixels; p++) {
        const r2b_taps tx = s->columns[ox + p];
        const int32_t inside = (ty.last - ty.first) * (tx.last - tx.first);
        if (inside < g->kernel_y * g->kernel_x) add_border(s, ty, tx, p);
    }
}

// The dot products of one pixel, 2 * sum - odd, as floats; up to 7 more than there are channels. `odd` is 1 where the
// window has an odd number of products, of which a sum starts from half, rounded down.
static void tile_of_floats(const state *s, int32_t pixel, int32_t odd, float *tile) {
    const int32x4_t less = vdupq_n_s32(odd);
    for (int32_t c = 0; c < s->layer->window.out_channels; c += GROUP) {
        const int16x8_t sums = vld1q_s16(s->sums + c * PIXELS + pixel * GROUP);
        vst1q_f32(tile + c, vcvtq_f32_s32(vsubq_s32(vshll_n_s16(vget_low_s16(sums), 1), less)));
        vst1q_f32(tile + c + 4, vcvtq_f32_s32(vsubq_s32(vshll_high_n_s16(sums, 1), less)));
    }
}

// Products of the window of a pixel.
static int32_t products_of(const state *s, r2b_taps ty, r2b_taps tx) {
    const r2b_window *const g = &s->layer->window;
    const int32_t inside = (ty.last - ty.first) * (tx.last - tx.first);
    return (s->layer->pad_value == 0 ? inside : g->kernel_y * g->kernel_x) * g->in_channels;
}

typedef struct {
    state whole;  // without workspaces
    fused fused;
    int is_fused;
    int32_t channel_tasks;
    const r2b_epilogue *epilogue;
    uint8_t *arena;
    int16_t *sums;    // [row_tasks][all_groups][PIXELS][GROUP]
    int16_t *starts;  // [tasks][starts_each]
    int32_t starts_each;
    float *floats;  // [row_tasks][out_channels up to GROUP], where nothing is fused
} job;

// The task's share of the blocks.
static void take_blocks(state *s, int32_t first_chunk, int32_t last_chunk) {
    const int32_t chunk_groups = 128 / GROUP;
    const int32_t end = last_chunk * chunk_groups < s->all_groups ? last_chunk * chunk_groups : s->all_groups;
    s->first_group = first_chunk * chunk_groups;
    s->groups = end - s->first_group;
    s->weights += (int64_t)(s->first_group / s->block_groups) * s->block_bytes;
    s->sums += s->first_group * PIXELS * GROUP;
}

// A window of one tap, stride 1 and no border on one chunk: the rows follow each other without a gap, and tiles may go
// from one to the next. So they may in the output, unless its rows lie in several chunks or have sums of their own.
static int is_flat(const r2b_window *g, const fused *f) {
    const int one = g->kernel_y == 1 && g->kernel_x == 1 && g->stride_y == 1 && g->stride_x == 1;
    const int whole = g->out_height == g->in_height && g->out_width == g->in_width && g->in_channels <= 128;
    return one && whole && !(f->parts & MEANT) && !((f->parts & PACKED) && f->channels > 128);
}

// Pixels first..last - 1; `sums` as finish_tile has it.
static void run_flat(state *s, const fused *f, const int16_t *sums, int32_t first, int32_t last) {
    const r2b_window *const g = &s->layer->window;
    for (int32_t p = 0; p < PIXELS; p++) vst1q_s16(s->starts + p * GROUP, vdupq_n_s16((int16_t)(-g->in_channels / 2)));
    begin_row(s, (r2b_taps){0, 1}, 0);
    for (int32_t p = first; p < last; p += PIXELS) {
        const int32_t pixels = last - p < PIXELS ? last - p : PIXELS;
        taps t = s->row;
        t.x += p * 16;
        t.from = s->starts;
        PIXEL_LOOPS[s->size][pixels - 1](&t);
        finish_tile(f, sums, pixels, 0, p);
    }
}

R2B_HOT_CODE static void run_task(void *context, uint32_t index) {
    const job *const j = context;
    const r2b_bconv_blocks *const layer = j->whole.layer;
    const r2b_window *const g = &layer->window;
    const int32_t row_task = (int32_t)index / j->channel_tasks;
    const int32_t channel_task = (int32_t)index % j->channel_tasks;
    const int32_t chunks = (g->out_channels + 127) / 128;
    int16_t *const sums = j->sums + row_task * j->whole.all_groups * PIXELS * GROUP;
    float *const floats = j->floats + row_task * ((g->out_channels + GROUP - 1) / GROUP * GROUP);
    r2b_epilogue epilogue = *j->epilogue;
    epilogue.task = (uint16_t)row_task;

    fused f = j->fused;
    f.first_chunk = r2b_share(chunks, j->channel_tasks, channel_task);
    f.last_chunk = r2b_share(chunks, j->channel_tasks, channel_task + 1);
    if (f.parts & MEANT) {
        f.sums = (float *)(void *)(j->arena + r2b_row_sums(f.mean, g->out_channels, epilogue.task));
        f.total = (float *)(void *)(j->arena + r2b_total(f.mean, g->out_channels, epilogue.task));
    }
    state s = j->whole;
    s.starts = j->starts + (int32_t)index * j->starts_each;
    s.sums = sums;
    take_blocks(&s, f.first_chunk, f.last_chunk);

    int32_t rows_before = -1;
    const int32_t first = r2b_share(g->out_height, layer->row_tasks, row_task);
    const int32_t last = r2b_share(g->out_height, layer->row_tasks, row_task + 1);
    if (j->is_fused && is_flat(g, &f)) {
        run_flat(&s, &f, sums, first * g->out_width, last * g->out_width);
        return;
    }
    for (int32_t oy = first; oy < last; oy++) {
        const int32_t iy = oy * g->stride_y - g->pad_top;
        const r2b_taps ty = r2b_taps_inside(iy, g->in_height, g->kernel_y, g->dilation_y);
        if (ty.last - ty.first != rows_before) {
            rows_before = ty.last - ty.first;
            for (int32_t ox = 0; ox < g->out_width; ox++) {
                const int32_t half = products_of(&s, ty, s.columns[ox]) / 2;
                vst1q_s16(s.starts + ox * GROUP, vdupq_n_s16((int16_t)-half));
            }
        }
        begin_row(&s, ty, iy);
        for (int32_t ox = 0; ox < g->out_width; ox += PIXELS) {
            const int32_t pixels = g->out_width - ox < PIXELS ? g->out_width - ox : PIXELS;
            sum_tile(&s, ty, iy, ox, pixels);
            if (j->is_fused) {
                finish_tile(&f, sums, pixels, oy, ox);
                continue;
            }
            for (int32_t p = 0; p < pixels; p++) {
                tile_of_floats(&s, p, products_of(&s, ty, s.columns[ox + p]) % 2, floats);
                r2b_epilogue_tile(&epilogue, j->arena, oy * g->out_width + ox + p, floats);
            }
        }
        if (j->is_fused) {
            finish_row(&f);
        } else {
            r2b_epilogue_row(&epilogue, j->arena);
        }
    }
}

void r2b_bconv_neon(const r2b_bconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                    const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    const int32_t tasks = layer->row_tasks * layer->channel_tasks;
    job j = {.epilogue = epilogue, .arena = arena};
    state *const s = &j.whole;
    *s = (state){.layer = layer, .input = arena + layer->input, .chunks = (g->in_channels + 127) / 128};
    s->chunk_bytes = g->in_width * 16;
    s->size = g->in_channels > 64 ? WIDE : g->in_channels > 32 ? NARROW : THIN;
    s->block_groups = s->size == WIDE ? 1 : 2;
    s->tap_bytes = s->size == THIN ? 64 : 128;
    s->block_bytes = g->kernel_y * g->kernel_x * s->chunks * s->tap_bytes;
    s->weights = (const uint8_t *)layer->weights;
    s->slides = s->size != THIN && g->kernel_x == 3 && g->stride_x <= 2 && g->dilation_x == 1 && g->dilation_y == 1;
    s->all_groups = (g->out_channels + s->block_groups * GROUP - 1) / (s->block_groups * GROUP) * s->block_groups;

    // The workspace, multiples of 16 bytes first.
    const int32_t groups = (g->out_channels + GROUP - 1) / GROUP;
    const int32_t constant_bytes = (int32_t)sizeof(group_constants);
    const int32_t float_bytes = layer->row_tasks * GROUP * (int32_t)sizeof(float);
    uint8_t *work = arena + layer->work;
    j.sums = (int16_t *)(void *)work;
    work += layer->row_tasks * s->all_groups * GROUP_BYTES;
    group_constants *const constants = (group_constants *)(void *)work;
    j.floats = (float *)(void *)work;  // one or the other is in use
    work += groups * (constant_bytes > float_bytes ? constant_bytes : float_bytes);
    j.starts = (int16_t *)(void *)work;
    j.starts_each = (g->out_width > PIXELS ? g->out_width : PIXELS) * GROUP;
    work += tasks * j.starts_each * (int32_t)sizeof *j.starts;
    r2b_taps *const columns = (r2b_taps *)(void *)work;
    s->columns = columns;
    for (int32_t ox = 0; ox < g->out_width; ox++) {
        columns[ox] = r2b_taps_inside(ox * g->stride_x - g->pad_left, g->in_width, g->kernel_x, g->dilation_x);
    }

    j.is_fused = fuse(epilogue, g->out_width, arena, constants, &j.fused) && g->in_channels % 2 == 0;
    j.channel_tasks = j.is_fused ? layer->channel_tasks : 1;  // a tile of any other epilogue has all channels
    for (int32_t task = 0; task < layer->row_tasks; task++) {
        r2b_epilogue one = *epilogue;
        one.task = (uint16_t)task;
        r2b_epilogue_begin(&one, arena);
    }
    r2b_for_all(parallel, run_task, &j, (uint32_t)(layer->row_tasks * j.channel_tasks));
    r2b_epilogue_join(epilogue, arena, layer->row_tasks);
}
