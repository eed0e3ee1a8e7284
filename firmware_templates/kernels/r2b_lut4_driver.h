// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_driver.h: the entry function of a family that computes as r2b_lut4.h says.
#ifndef R2B_LUT4_DRIVER_H
#define R2B_LUT4_DRIVER_H

#include "r2b_lut4.h"
#include "r2b_lut4_epilogue.h"
#include "r2b_lut4_merge.h"
#include "r2b_lut4_table.h"

// Lays out the workspace; `workspace` of exporters/c/lut4.py does the same sum for the widest pointers.
LUT4_SELDOM lut4_state lut4_begin(const r2b_bconv_lut4 *layer, uint8_t *work) {
    const r2b_window *const g = &layer->window;
    lut4_state s = {.layer = layer, .groups = (g->in_channels + 3) / 4};
    s.lookups = g->kernel_y * s.groups;
    s.column_words = (s.lookups + 7) / 8;
    s.taps = g->kernel_x * layer->chunks;
    const int32_t step = layer->rows * g->stride_y;
    s.kept = step % g->dilation_y == 0 ? g->kernel_y - step / g->dilation_y : 0;
    if (s.kept < 0) s.kept = 0;

    s.tables = work;
    work += layer->phases * layer->vectors * lut4_vector_bytes(&s);
    s.sums = (uint32_t *)(void *)work;
    work += s.taps * (layer->vectors + 2) * LUT4_PIXELS;
    s.jobs = (r2b_lut4_job *)(void *)work;
    work += lut4_align(LUT4_JOBS_BYTES(layer->vectors, s.taps));
    s.merged = (lut4_tap *)(void *)work;
    work += lut4_align(s.taps * (int32_t)sizeof *s.merged);
    s.lanes = (uint32_t *)(void *)work;
    work += lut4_lanes_bytes(layer);
    s.signs = work;
    s.tile = (float *)(void *)work;
    work += layer->finish == R2B_LUT4_TILES ? lut4_align(4 * g->out_channels) : layer->vectors * LUT4_PIXELS;
    s.runs = (lut4_run *)(void *)work;
    work += layer->vectors * (LUT4_PIXELS / lut4_run_pixels(layer)) * (int32_t)sizeof *s.runs;
    s.constants = (lut4_constants *)(void *)work;
    return s;
}

// Job t of vector v: `blocks` blocks of lookups, the first from number `entry` on.
static inline void lut4_add_job(const lut4_state *s, int32_t v, int32_t t, const uint8_t *table, int32_t entry,
                                int32_t blocks, uint32_t *sums) {
    r2b_lut4_job *const job = &s->jobs[v * (s->taps + 1) + t];
    *job = (r2b_lut4_job){table, (uint32_t)entry | (uint32_t)blocks << 16, sums};
    job[1].run = 0;
}

#ifndef LUT4_ADD_JOB
#define LUT4_ADD_JOB lut4_add_job
#endif

// Jobs and taps of all vectors, and the border around the sums.
LUT4_SELDOM void lut4_list_jobs(const lut4_state *s) {
    const r2b_bconv_lut4 *const layer = s->layer;
    const r2b_window *const g = &layer->window;
    for (int32_t t = 0, kx = 0; kx < g->kernel_x; kx++) {
        const int32_t shift = lut4_floor_div(kx * g->dilation_x - g->pad_left, g->stride_x);
        const uint8_t *const tables = s->tables + kx % layer->phases * layer->vectors * lut4_vector_bytes(s);
        int32_t done = 0;  // lookups of this column
        for (int32_t chunk = 0; chunk < layer->chunks; chunk++, t++) {
            const int32_t words = s->column_words / layer->chunks + (chunk < s->column_words % layer->chunks);
            const int32_t lookups = 8 * words - (chunk == 0 ? 8 * s->column_words - s->lookups : 0);
            const int32_t blocks = (lookups + LUT4_UNROLL - 1) / LUT4_UNROLL;
            const int32_t entry = blocks * LUT4_UNROLL - lookups;
            uint32_t *const sums = s->sums + t * (layer->vectors + 2) * LUT4_WORDS;
            for (int32_t v = 0; v < layer->vectors; v++) {
                const uint8_t *const table =
                    tables + v * lut4_vector_bytes(s) + (done + LUT4_ORIGIN(entry)) * LUT4_GROUP_BYTES;
                LUT4_ADD_JOB(s, v, t, table, entry, blocks, sums + (v + 1) * LUT4_WORDS);
            }
            s->merged[t] = (lut4_tap){sums + LUT4_WORDS, shift};
            memset(sums, 2 * lookups, LUT4_PIXELS);
            memset(sums + (layer->vectors + 1) * LUT4_WORDS, 2 * lookups, LUT4_PIXELS);
            done += lookups;
        }
    }
}

// What the border holds differs from one output channel to the next where it is +-1.
LUT4_SELDOM void lut4_set_border(const lut4_state *s, int32_t channel) {
    const uint8_t *const border = (const uint8_t *)s->layer->border + channel * s->taps;
    for (int32_t t = 0; t < s->taps; t++) {
        uint32_t *const sums = s->sums + t * (s->layer->vectors + 2) * LUT4_WORDS;
        memset(sums, border[t], LUT4_PIXELS);
        memset(sums + (s->layer->vectors + 1) * LUT4_WORDS, border[t], LUT4_PIXELS);
    }
}

// Passes and merges of an output channel: from its weights to its lanes. A family may have its own:
// #define LUT4_CHANNEL(state, weights, start, lanes), LUT4_SIGNS(state, channel, weights, start) and
// LUT4_PREPARE(state), called once when the jobs are listed.
#ifndef LUT4_CHANNEL
LUT4_APART void lut4_channel(const lut4_state *s, const uint32_t *weights, uint32_t start, uint32_t *lanes) {
    const int32_t vectors = s->layer->vectors;
    for (int32_t v = 0; v < vectors; v++) LUT4_PASS(s->jobs + v * (s->taps + 1), s->taps, weights);
    for (int32_t v = 0; v < vectors; v++) {
        LUT4_MERGE(s->merged, s->taps, s->layer->rows, v, start, lanes + v * (LUT4_PIXELS / 2));
    }
}

#define LUT4_CHANNEL lut4_channel
#endif

#ifndef LUT4_SIGNS
static inline void lut4_signs(const lut4_state *s, int32_t c, const uint32_t *weights, uint32_t start) {
    LUT4_CHANNEL(s, weights, start, s->lanes);
    lut4_collect_signs(s, c, s->lanes);
}

#define LUT4_SIGNS lut4_signs
#endif

// All output channels of the rows at hand, in two ways. Signs are written for 8 channels at a time.
LUT4_OFTEN void lut4_run_signs(const lut4_state *s, uint8_t *arena) {
    const r2b_bconv_lut4 *const layer = s->layer;
    const int32_t channels = layer->window.out_channels;
    const int32_t words = layer->window.kernel_x * s->column_words;
    const uint32_t *weights = layer->weights;
    const uint32_t *starts = layer->starts;
    const int has_border = layer->border != NULL;
    for (int32_t c = 0; c < channels; c++, weights += words) {
        if (has_border) lut4_set_border(s, c);
        LUT4_SIGNS(s, c, weights, *starts++);
        if (c % 8 == 7) lut4_write_signs(s, arena, c);
    }
    if (channels % 8 != 0) lut4_write_signs(s, arena, channels - 1);
}

LUT4_OFTEN void lut4_run_channels(lut4_state *s, const r2b_epilogue *epilogue, uint8_t *arena) {
    const r2b_bconv_lut4 *const layer = s->layer;
    const int32_t channels = layer->window.out_channels;
    const int32_t words = layer->window.kernel_x * s->column_words;
    const uint32_t half = (uint32_t)(-2 * s->lookups * layer->window.kernel_x) & 0xffffu;
    const uint32_t *weights = layer->weights;
    uint32_t *lanes = s->lanes;
    for (int32_t c = 0; c < channels; c++, weights += words) {
        if (layer->border) lut4_set_border(s, c);
        LUT4_CHANNEL(s, weights, half << 16 | half, lanes);
        if (layer->finish == R2B_LUT4_FLOATS) {
            lut4_finish_floats(s, epilogue, arena, c, lanes);
        } else {
            lanes += layer->vectors * (LUT4_PIXELS / 2);
        }
        if (s->bits && (c % 8 == 7 || c + 1 == channels)) lut4_write_signs(s, arena, c);
    }
}

void LUT4_KERNEL(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                 const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    const uint32_t *const input = (const uint32_t *)(const void *)(arena + layer->input);
    lut4_state s = lut4_begin(layer, arena + layer->work);
    (void)parallel;

    lut4_list_jobs(&s);
    lut4_begin_epilogue(&s, epilogue, arena);
#ifdef LUT4_PREPARE
    LUT4_PREPARE(&s);
#endif
    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < g->out_height; oy += layer->rows) {
        lut4_fill_tables(&s, input, oy);
        lut4_begin_rows(&s, oy);
#ifdef LUT4_UNIT
        lut4_begin_unit(&s, oy);
#endif
        if (layer->finish == R2B_LUT4_SIGNS) {
            lut4_run_signs(&s, arena);
        } else {
            lut4_run_channels(&s, epilogue, arena);
        }
        lut4_finish_rows(&s, epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}

#endif  // R2B_LUT4_DRIVER_H
