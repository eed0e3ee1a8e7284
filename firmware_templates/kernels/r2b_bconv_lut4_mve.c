// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_lut4_mve.c: binary convolution by table lookup for MVE (Armv8.1-M), any window without groups whose kernel
// reaches at most LUT4_GUARD vectors' columns to either side; see r2b_lut4_mve.h.
#include "r2b_lut4_mve.h"
#include "r2b_lut4_mve_epilogue.h"
#include "r2b_lut4_mve_table.h"

// Lays out the workspace; exporters/c/lut4_mve.py does the same sum.
LUT4_SELDOM lut4_mve lut4_begin(const r2b_bconv_lut4 *layer, uint8_t *work) {
    const r2b_window *const g = &layer->window;
    lut4_mve s = {.layer = layer, .groups = (g->in_channels + 3) / 4};
    s.lookups = g->kernel_y * s.groups;
    s.column_words = (s.lookups + 7) / 8;
    s.taps = g->kernel_x * layer->chunks;
    const int32_t step = layer->rows * g->stride_y;
    s.kept = step % g->dilation_y == 0 ? g->kernel_y - step / g->dilation_y : 0;
    if (s.kept < 0) s.kept = 0;

    const int32_t channels = layer->finish == R2B_LUT4_TILES ? (g->out_channels + 3) / 4 * 4 : 4;
    s.tables = work;
    work += layer->phases * layer->vectors * lut4_vector_bytes(&s);
    s.sums = (uint32_t *)(void *)work;
    work += layer->vectors * s.taps * (8 + LUT4_GUARD) * 4;
    s.jobs = (r2b_lut4_mve_job *)(void *)work;
    work += layer->vectors * s.taps * (int32_t)sizeof *s.jobs;
    s.lanes = (int16_t *)(void *)work;
    s.tile = (float *)(void *)(work + channels * layer->vectors * LUT4_LANES * 2);
    return s;
}

LUT4_SELDOM void lut4_list_jobs(const lut4_mve *s) {
    const r2b_bconv_lut4 *const layer = s->layer;
    const r2b_window *const g = &layer->window;
    const int in_lanes = layer->vectors == 1 && !layer->border;  // lut4_join and the border need memory
    for (int32_t t = 0, kx = 0; kx < g->kernel_x; kx++) {
        const int32_t shift = lut4_floor_div(kx * g->dilation_x - g->pad_left, g->stride_x);
        const uint8_t *const tables = s->tables + kx % layer->phases * layer->vectors * lut4_vector_bytes(s);
        int32_t group = 0;
        for (int32_t chunk = 0; chunk < layer->chunks; chunk++, t++) {
            const int32_t words = s->column_words / layer->chunks + (chunk < s->column_words % layer->chunks);
            const int32_t unused = chunk == 0 ? 8 * s->column_words - s->lookups : 0;
            const int32_t whole = words - (unused > 0);
            const int32_t blocks = (whole + 2) / 3;
            for (int32_t v = 0; v < layer->vectors; v++) {
                uint32_t *const sums = s->sums + (v * s->taps + t) * (8 + LUT4_GUARD);
                s->jobs[v * s->taps + t] = (r2b_lut4_mve_job){
                    .table = tables + v * lut4_vector_bytes(s) + group * LUT4_TABLE_BYTES + LUT4_BEHIND,
                    .sums = sums + (shift < 0 ? LUT4_GUARD : 0),
                    .shift = shift == -1 && in_lanes ? LUT4_BY_LANES : 4 * shift,
                    .first = unused > 0 ? 8 - unused : 0,
                    .blocks = blocks,
                    .skip = 3 * blocks - whole,
                    .centre = -2 * (8 * words - unused),
                    .tap = t,
                };
            }
            group += 8 * words - unused;
        }
    }
}

// The sum of a run for pixel x of a vector.
static inline int32_t lut4_sum_at(const r2b_lut4_mve_job *job, int32_t x) {
    return ((const int8_t *)job->sums)[x % 8 * 4 + x / 8];
}

static inline int16_t *lut4_lane_at(int16_t *lanes, int32_t x) {
    return lanes + x / 32 * LUT4_LANES + x % 16 * 2 + x / 16 % 2;
}

// The pass took what is beyond a vector for the border. Where a row has several, that is the next one's: pixel x of
// vector v wants pixel x + shift of v + 1 or v - 1.
LUT4_SELDOM void lut4_join(const lut4_mve *s, int32_t channel, int16_t *lanes) {
    const uint8_t *const border = (const uint8_t *)s->layer->border;
    for (int32_t v = 0; v + 1 < s->layer->vectors; v++) {
        for (int32_t t = 0; t < s->taps; t++) {
            const r2b_lut4_mve_job *const job = &s->jobs[v * s->taps + t];
            const r2b_lut4_mve_job *const next = job + s->taps;
            const int32_t shift = job->shift / 4;
            const int32_t outside = border ? border[channel * s->taps + t] + job->centre : 0;
            int16_t *const first = lanes + (v + 1) * LUT4_LANES;
            int16_t *const last = lanes + v * LUT4_LANES;
            for (int32_t x = 0; x < -shift; x++) {
                *lut4_lane_at(first, x) += (int16_t)(lut4_sum_at(job, 32 + x + shift) - outside);
            }
            for (int32_t x = 0; x < shift; x++) {
                *lut4_lane_at(last, 32 - shift + x) += (int16_t)(lut4_sum_at(next, x) - outside);
            }
        }
    }
}

// The lanes of channels c..c + count - 1.
LUT4_OFTEN void lut4_sum_up(const lut4_mve *s, int32_t c, int32_t count, int16_t *lanes) {
    const r2b_bconv_lut4 *const layer = s->layer;
    const int32_t step = layer->vectors * LUT4_LANES;
    const int32_t at_once = layer->vectors == 1 ? count : 1;  // the sums have room for one channel
    r2b_lut4_mve_call call = {
        .count = s->taps,
        .edge = layer->rows == 1   ? 0xffffff00u
                : layer->rows == 2 ? 0xff00ff00u
                                   : 0u,
        .step = 2 * step,
        .channels = at_once,
    };
    for (; count > 0; count -= at_once, c += at_once, lanes += at_once * step) {
        call.weights = layer->weights + c * layer->window.kernel_x * s->column_words;
        call.border = layer->border ? (const uint8_t *)layer->border + c * s->taps : NULL;
        for (int32_t v = 0; v < layer->vectors; v++) {
            call.jobs = s->jobs + v * s->taps;
            call.lanes = lanes + v * LUT4_LANES;
            r2b_lut4_pass_mve(&call);
        }
        if (layer->vectors > 1) lut4_join(s, c, lanes);
    }
}

void r2b_bconv_lut4_mve(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    const uint32_t *const input = (const uint32_t *)(const void *)(arena + layer->input);
    const lut4_mve s = lut4_begin(layer, arena + layer->work);
    const int in_tiles = layer->finish == R2B_LUT4_TILES;
    lut4_fused f = {.parts = 0};
    (void)parallel;

    lut4_list_jobs(&s);
    if (!in_tiles) f = lut4_fuse(epilogue, arena);
    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy += layer->rows) {
        lut4_fill_tables(&s, input, oy);
        if (in_tiles) {
            lut4_sum_up(&s, 0, g->out_channels, s.lanes);
            lut4_finish_tiles(&s, epilogue, arena, oy);
        } else {
            for (int32_t c = 0; c < g->out_channels; c += 4) {
                lut4_sum_up(&s, c, 4, s.lanes);
                lut4_finish_four(&s, &f, arena, oy, c);
            }
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
