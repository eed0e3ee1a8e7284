// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_lut4_mve.c: binary convolution by table lookup for MVE (Armv8.1-M), any window without groups whose kernel
// reaches at most LUT4_GUARD vectors' columns to either side; see r2b_lut4_mve.h.
#include "r2b_lut4_mve.h"
#include "r2b_lut4_mve_epilogue.h"
#include "r2b_lut4_mve_table.h"

enum { BY_LANES = 1 };  // a shift by one pixel from left to right that needs no memory

// A run of lookups. Nibble i is the index into table i; the nibbles end at the end of a word.
typedef struct {
    const uint8_t *table;  // the first one, and LUT4_BEHIND
    uint32_t *sums;        // 8 words, and LUT4_GUARD more before them where shift < 0, behind them where shift > 0
    int32_t shift;         // 4 d: pixel x reads pixel x + d; or BY_LANES: d = -1
    int32_t first;         // lookups of a first word that is not full, else 0
    int32_t blocks;        // of three words that follow, rounded up
    int32_t skip;          // words to leave out of the first block
    int32_t centre;        // -2 for each lookup
    int32_t tap;           // its number
} r2b_lut4_mve_job;

// Output channels of a vector of pixels, one after the other.
typedef struct {
    const uint32_t *weights;  // of the first channel; those of the next ones follow
    const r2b_lut4_mve_job *jobs;
    int32_t count;          // of jobs
    uint32_t edge;          // bytes of a word that stay in their row if they are moved up by one
    const uint8_t *border;  // [channels][count]: equal bits of a run whose input is all pad_value; null where that is 0
    int16_t *lanes;
    int32_t step;  // bytes from one channel's lanes to the next one's
    int32_t channels;
} r2b_lut4_mve_call;

void r2b_lut4_pass_mve(const r2b_lut4_mve_call *call);

typedef struct {
    lut4_mve shared;         // tables: [phase][vector][kernel_y][group][LUT4_TABLE_BYTES]
                             // sums: [vector][tap][8 + LUT4_GUARD]
    int32_t lookups;         // of a kernel column
    int32_t column_words;    // of their weights
    int32_t kept;            // rows of tables that the next row of vectors uses again
    r2b_lut4_mve_job *jobs;  // [vector][tap], behind the sums
} single;

static inline int32_t slot_bytes(const single *s) {  // the tables of a row of a vector
    return s->shared.groups * LUT4_TABLE_BYTES;
}

static inline int32_t vector_bytes(const single *s) {
    return s->shared.layer->window.kernel_y * slot_bytes(s);
}

// Lays out the workspace; exporters/c/lut4_mve.py does the same sum.
LUT4_SELDOM single begin(const r2b_bconv_lut4 *layer, uint8_t *work) {
    const r2b_window *const g = &layer->window;
    single s = {
        .shared = {.layer = layer,
                   .groups = (g->in_channels + 3) / 4,
                   .taps = g->kernel_x * layer->chunks,
                   .group_bytes = LUT4_TABLE_BYTES,
                   .vectors = layer->vectors,
                   .row_step = 1,
                   .next_x = LUT4_PIXELS},
    };
    s.lookups = g->kernel_y * s.shared.groups;
    s.column_words = (s.lookups + 7) / 8;
    const int32_t step = layer->rows * g->stride_y;
    s.kept = step % g->dilation_y == 0 ? g->kernel_y - step / g->dilation_y : 0;
    if (s.kept < 0) s.kept = 0;

    s.shared.tables = work;
    work += layer->phases * layer->vectors * vector_bytes(&s);
    s.shared.sums = (uint32_t *)(void *)work;
    work += layer->vectors * s.shared.taps * (8 + LUT4_GUARD) * 4;
    s.jobs = (r2b_lut4_mve_job *)(void *)work;
    work += layer->vectors * s.shared.taps * (int32_t)sizeof *s.jobs;
    lut4_lay_out(&s.shared, work);
    return s;
}

LUT4_SELDOM void list_jobs(const single *s) {
    const r2b_bconv_lut4 *const layer = s->shared.layer;
    const int32_t taps = s->shared.taps;
    const r2b_window *const g = &layer->window;
    const int in_lanes = layer->vectors == 1 && !layer->border;  // join and the border need memory
    for (int32_t t = 0, kx = 0; kx < g->kernel_x; kx++) {
        const int32_t shift = lut4_floor_div(kx * g->dilation_x - g->pad_left, g->stride_x);
        const uint8_t *const tables = s->shared.tables + kx % layer->phases * layer->vectors * vector_bytes(s);
        int32_t group = 0;
        for (int32_t chunk = 0; chunk < layer->chunks; chunk++, t++) {
            const int32_t words = s->column_words / layer->chunks + (chunk < s->column_words % layer->chunks);
            const int32_t unused = chunk == 0 ? 8 * s->column_words - s->lookups : 0;
            const int32_t whole = words - (unused > 0);
            const int32_t blocks = (whole + 2) / 3;
            for (int32_t v = 0; v < layer->vectors; v++) {
                uint32_t *const sums = s->shared.sums + (v * taps + t) * (8 + LUT4_GUARD);
                s->jobs[v * taps + t] = (r2b_lut4_mve_job){
                    .table = tables + v * vector_bytes(s) + group * LUT4_TABLE_BYTES + LUT4_BEHIND,
                    .sums = sums + (shift < 0 ? LUT4_GUARD : 0),
                    .shift = shift == -1 && in_lanes ? BY_LANES : 4 * shift,
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
static inline int32_t sum_at(const r2b_lut4_mve_job *job, int32_t x) {
    return ((const int8_t *)job->sums)[x % 8 * 4 + x / 8];
}

static inline int16_t *lane_at(int16_t *lanes, int32_t x) {
    return lanes + x / 32 * LUT4_LANES + x % 16 * 2 + x / 16 % 2;
}

// The pass took what is beyond a vector for the border. Where a row has several, that is the next one's: pixel x of
// vector v wants pixel x + shift of v + 1 or v - 1.
LUT4_SELDOM void join(const single *s, int32_t channel, int16_t *lanes) {
    const uint8_t *const border = (const uint8_t *)s->shared.layer->border;
    const int32_t taps = s->shared.taps;
    for (int32_t v = 0; v + 1 < s->shared.layer->vectors; v++) {
        for (int32_t t = 0; t < taps; t++) {
            const r2b_lut4_mve_job *const job = &s->jobs[v * taps + t];
            const r2b_lut4_mve_job *const next = job + taps;
            const int32_t shift = job->shift / 4;
            const int32_t outside = border ? border[channel * taps + t] + job->centre : 0;
            int16_t *const first = lanes + (v + 1) * LUT4_LANES;
            int16_t *const last = lanes + v * LUT4_LANES;
            for (int32_t x = 0; x < -shift; x++) {
                *lane_at(first, x) += (int16_t)(sum_at(job, 32 + x + shift) - outside);
            }
            for (int32_t x = 0; x < shift; x++) {
                *lane_at(last, 32 - shift + x) += (int16_t)(sum_at(next, x) - outside);
            }
        }
    }
}

// The lanes of channels c..c + count - 1.
LUT4_OFTEN void sum_up(const single *s, int32_t c, int32_t count, int16_t *lanes) {
    const r2b_bconv_lut4 *const layer = s->shared.layer;
    const int32_t taps = s->shared.taps;
    const int32_t step = layer->vectors * LUT4_LANES;
    const int32_t at_once = layer->vectors == 1 ? count : 1;  // the sums have room for one channel
    r2b_lut4_mve_call call = {
        .count = taps,
        .edge = lut4_edge(layer->rows),
        .step = 2 * step,
        .channels = at_once,
    };
    for (; count > 0; count -= at_once, c += at_once, lanes += at_once * step) {
        call.weights = layer->weights + c * layer->window.kernel_x * s->column_words;
        call.border = layer->border ? (const uint8_t *)layer->border + c * taps : NULL;
        for (int32_t v = 0; v < layer->vectors; v++) {
            call.jobs = s->jobs + v * taps;
            call.lanes = lanes + v * LUT4_LANES;
            r2b_lut4_pass_mve(&call);
        }
        if (layer->vectors > 1) join(s, c, lanes);
    }
}

// The tables for the output rows oy.. : those that the rows before have made are moved, the others are new.
LUT4_OFTEN void fill_tables(const single *s, const uint32_t *input, int32_t oy) {
    const r2b_window *const g = &s->shared.layer->window;
    const int32_t kept = oy == 0 ? 0 : s->kept;
    const int32_t slot = slot_bytes(s);
    uint8_t *tables = s->shared.tables;
    for (int32_t p = 0; p < s->shared.layer->phases; p++) {
        const int32_t column = p * g->dilation_x - g->pad_left;
        const int32_t phase = column - lut4_floor_div(column, g->stride_x) * g->stride_x;
        for (int32_t v = 0; v < s->shared.layer->vectors; v++, tables += vector_bytes(s)) {
            lut4_copy(tables, tables + (g->kernel_y - kept) * slot, kept * slot);
            for (int32_t ky = kept; ky < g->kernel_y; ky++) {
                const lut4_source source = lut4_find_pixels(&s->shared, input, oy, ky, phase, v);
                lut4_fill_slot(&s->shared, &source, tables + ky * slot);
            }
        }
    }
}

// SIGNS: those of channels c.. , `count` of up to 8. Lanes of 4 channels at a time, whose place the signs take.
static void take_signs(const single *s, int32_t c, int32_t count) {
    const lut4_mve *const shared = &s->shared;
    for (int32_t i = 0; i < count; i += 4) {
        const int32_t some = count - i < 4 ? count - i : 4;
        uint8_t *const signs = (uint8_t *)shared->lanes + i * shared->vectors * LUT4_PIXELS;
        int16_t *const lanes = (int16_t *)(void *)signs;
        sum_up(s, c + i, some, lanes);
        for (int32_t k = 0; k < some; k++) {
            lut4_take_signs(shared, lanes + k * shared->vectors * LUT4_LANES, shared->layer->starts[c + i + k],
                            signs + k * shared->vectors * LUT4_PIXELS);
        }
    }
}

void r2b_bconv_lut4_mve(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                        const r2b_parallel *parallel) {
    const int32_t channels = layer->window.out_channels;
    const uint32_t *const input = (const uint32_t *)(const void *)(arena + layer->input);
    const single s = begin(layer, arena + layer->work);
    const lut4_mve *const shared = &s.shared;
    lut4_fused f = {.parts = 0};
    (void)parallel;

    list_jobs(&s);
    if (layer->finish != R2B_LUT4_TILES) f = lut4_fuse(epilogue, arena);
    if (layer->finish == R2B_LUT4_FLOATS) lut4_find_constants(&f, arena, channels, shared->constants);
    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < layer->window.out_height; oy += layer->rows) {
        fill_tables(&s, input, oy);
        lut4_begin_rows(shared, oy);
        if (layer->finish == R2B_LUT4_SIGNS) {
            for (int32_t c = 0; c < channels; c += 8) {
                const int32_t count = channels - c < 8 ? channels - c : 8;
                take_signs(&s, c, count);
                lut4_pack_octet(shared, f.signs->flip, f.bits, c, count);
            }
        } else if (layer->finish == R2B_LUT4_FLOATS) {
            for (int32_t c = 0; c < channels; c += 4) {
                sum_up(&s, c, 4, shared->lanes);
                lut4_finish_four(shared, &f, c);
            }
        } else {
            sum_up(&s, 0, channels, shared->lanes);
            lut4_finish_tiles(shared, epilogue, arena);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
