// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_lut4_pair_mve.c: binary convolution by table lookup for MVE (Armv8.1-M), windows of three rows at stride 1
// on maps up to 32 pixels wide, whose kernel reaches at most LUT4_GUARD pixels to either side; see r2b_lut4_mve.h.
//
// Two vectors of output pixels, a and b, are summed at a time with the same weights: the index of a lookup is computed
// once for both. b is a row below a, so that they share the tables of two of their three rows: those of a group of 4
// channels lie next to each other for 4 rows, all in reach of a load, and a wants 0-2, b 1-3. With R rows in a vector
// these are two apart: rows 0 and 2 (and 4 and 6) are a, rows 1 and 3 (and 5 and 7) are b.
#include <string.h>

#include "r2b_lut4_mve.h"
#include "r2b_lut4_mve_epilogue.h"
#include "r2b_lut4_mve_signs.h"
#include "r2b_lut4_mve_table.h"

enum {
    KERNEL_Y = 3,
    ROWS = KERNEL_Y + 1,                    // of tables
    GROUP_BYTES = ROWS * LUT4_TABLE_BYTES,  // 1024, see the pass
    CHUNK = 16,                             // groups of a run behind the first one: 48 lookups
    SLOT = LUT4_GUARD + 8 + LUT4_GUARD,     // words around a run's sums
    BY_ONE_RIGHT = 1,                       // shifts by a pixel with a border of zeros
    BY_ONE_LEFT = 2,
};

// A run of lookups: nibble 3 i + ky is the index into table ky of group i; the nibbles end at the end of a word.
typedef struct {
    const uint8_t *table;  // the first group's, and LUT4_BEHIND
    int32_t centre;        // -2 for each lookup
    int32_t entry;         // groups of 8 that the first 3 words lack
    int32_t blocks;        // of 8 groups, rounded up
    int32_t shift;         // 4 d: pixel x reads pixel x + d; or BY_ONE_RIGHT: d = -1, BY_ONE_LEFT: d = 1
    uint32_t *sums;        // word LUT4_GUARD - d of its SLOT: what pixel x reads is always at the same place
} r2b_lut4_pair_job;

// Output channels of two vectors of pixels, one after the other.
typedef struct {
    const uint32_t *weights;  // of the first channel; those of the next ones follow
    const r2b_lut4_pair_job *jobs;
    int32_t count;          // of jobs
    uint32_t edge;          // bytes of a word that stay in their row if they are moved up by one
    const uint8_t *border;  // [channels][count]: equal bits of a run whose input is pad_value; null where that is 0
    uint8_t *out;           // [channels]: int16_t [2][LUT4_LANES], or if there are starts uint8_t [2][32], signs
    int32_t channels;
    uint32_t *sums;          // word LUT4_GUARD of the first SLOT
    const uint32_t *starts;  // of the channels; null: the lanes are wanted
} r2b_lut4_pair_call;

void r2b_lut4_pass_pair_mve(const r2b_lut4_pair_call *call);

// Lays out the workspace; exporters/c/lut4_mve.py does the same sum.
LUT4_SELDOM lut4_mve begin(const r2b_bconv_lut4 *layer, uint8_t *work, const r2b_lut4_pair_job **jobs) {
    const r2b_window *const g = &layer->window;
    lut4_mve s = {
        .layer = layer,
        .groups = (g->in_channels + 3) / 4,
        .taps = g->kernel_x * layer->chunks,
        .group_bytes = GROUP_BYTES,
        .vectors = 2,
        .row_step = 2,
        .next_y = 1,
    };
    s.tables = work;  // [group][ROWS][LUT4_TABLE_BYTES]
    work += s.groups * GROUP_BYTES;
    s.sums = (uint32_t *)(void *)work;  // [tap][vector][SLOT]
    work += s.taps * 2 * SLOT * 4;
    r2b_lut4_pair_job *job = (r2b_lut4_pair_job *)(void *)work;  // [tap]
    *jobs = job;
    lut4_lay_out(&s, work + s.taps * (int32_t)sizeof *job);

    int32_t tap = 0;
    for (int32_t kx = 0; kx < g->kernel_x; kx++) {
        const int32_t shift = kx * g->dilation_x - g->pad_left;
        const int is_one = layer->border == NULL && (shift == 1 || shift == -1);
        int32_t group = 0;
        for (int32_t chunk = 0; chunk < layer->chunks; chunk++, job++, tap++) {
            const int32_t groups = chunk == 0 ? s.groups - CHUNK * (layer->chunks - 1) : CHUNK;
            *job = (r2b_lut4_pair_job){
                .table = s.tables + group * GROUP_BYTES + LUT4_BEHIND,
                .centre = -2 * KERNEL_Y * groups,
                .entry = -groups & 7,
                .blocks = (groups + 7) / 8,
                .shift = !is_one     ? 4 * shift
                         : shift < 0 ? BY_ONE_RIGHT
                                     : BY_ONE_LEFT,
                .sums = s.sums + tap * 2 * SLOT + LUT4_GUARD - shift,
            };
            group += groups;
        }
    }
    return s;
}

// The tables for the output rows oy.. . Where a vector is one row, two of the four are those of the rows before.
LUT4_OFTEN void fill_tables(const lut4_mve *s, const uint32_t *input, int32_t oy) {
    const int32_t kept = oy > 0 && s->layer->rows == 1 ? 2 : 0;
    for (int32_t i = 0; i < s->groups && kept > 0; i++) {
        uint8_t *const to = s->tables + i * GROUP_BYTES;
        lut4_copy(to, to + (ROWS - kept) * LUT4_TABLE_BYTES, kept * LUT4_TABLE_BYTES);
    }
    for (int32_t row = kept; row < ROWS; row++) {
        const lut4_source source = lut4_find_pixels(s, input, oy, row, 0, 0);
        lut4_fill_slot(s, &source, s->tables + row * LUT4_TABLE_BYTES);
    }
}

// Channels c..c + count - 1 of the vectors at hand.
static void sum_up(const lut4_mve *s, const r2b_lut4_pair_job *jobs, int32_t c, int32_t count) {
    const r2b_bconv_lut4 *const layer = s->layer;
    const int32_t words = layer->window.kernel_x * ((KERNEL_Y * s->groups + 7) / 8);
    const r2b_lut4_pair_call call = {
        .weights = layer->weights + c * words,
        .jobs = jobs,
        .count = s->taps,
        .edge = lut4_edge(layer->rows),
        .border = layer->border ? (const uint8_t *)layer->border + c * s->taps : NULL,
        .out = (uint8_t *)s->lanes,
        .channels = count,
        .sums = s->sums + LUT4_GUARD,
        .starts = layer->finish == R2B_LUT4_SIGNS ? layer->starts + c : NULL,
    };
    r2b_lut4_pass_pair_mve(&call);
}

void r2b_bconv_lut4_pair_mve(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                             const r2b_parallel *parallel) {
    const int32_t channels = layer->window.out_channels;
    const uint32_t *const input = (const uint32_t *)(const void *)(arena + layer->input);
    const r2b_lut4_pair_job *jobs;
    const lut4_mve s = begin(layer, arena + layer->work, &jobs);
    lut4_fused f = {.parts = 0};
    (void)parallel;

    if (layer->finish != R2B_LUT4_TILES) f = lut4_fuse(epilogue, arena);
    if (layer->finish == R2B_LUT4_FLOATS) lut4_find_constants(&f, arena, channels, s.constants);
    r2b_epilogue_begin(epilogue, arena);
    for (int32_t oy = 0; oy < layer->window.out_height; oy += 2 * layer->rows) {
        fill_tables(&s, input, oy);
        lut4_begin_rows(&s, oy);
        if (layer->finish == R2B_LUT4_SIGNS) {
            for (int32_t c = 0; c < channels; c += 8) {
                const int32_t count = channels - c < 8 ? channels - c : 8;
                sum_up(&s, jobs, c, count);
                lut4_pack_octet(&s, f.signs->flip, f.bits, c, count);
            }
        } else if (layer->finish == R2B_LUT4_FLOATS) {
            for (int32_t c = 0; c < channels; c += 4) {
                sum_up(&s, jobs, c, 4);
                lut4_finish_four(&s, &f, c);
            }
        } else {
            sum_up(&s, jobs, 0, channels);
            lut4_finish_tiles(&s, epilogue, arena);
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
