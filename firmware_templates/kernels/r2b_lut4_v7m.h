// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_v7m.h: what the families of Armv7-M and later have in common: vectors of 16 pixels, tables, signs, the merge
// and the choice of who merges. Before it, LUT4_V7M(part) gives the family's name of a part in assembly, and LUT4_BIAS
// what its lanes are inverted by while they are added up.
#ifndef R2B_LUT4_V7M_H
#define R2B_LUT4_V7M_H

#define LUT4_PIXELS 16
#define LUT4_UNROLL 24
#define LUT4_PASS(jobs, count, weights) ((void)(count), LUT4_V7M(pass)(jobs, NULL, weights, 0, 0))
#define LUT4_MERGE lut4_merge_near
#define LUT4_ORIGIN(entry) ((entry) < 15 ? 7 - (entry) : 22 - (entry))
#define LUT4_GROUPS r2b_lut4_groups_v7m
#define LUT4_MOVE r2b_lut4_move_v7m
#define LUT4_COLLECT r2b_lut4_collect_v7m
#define LUT4_SPREAD r2b_lut4_spread_v7m
#define LUT4_PREPARE lut4_prepare_v7m
#define LUT4_CHANNEL lut4_channel_v7m

#include "r2b_lut4.h"

void LUT4_V7M(pass)(const r2b_lut4_job *jobs, uint32_t *lanes, const uint32_t *weights, uint32_t start, uint32_t kept);
void LUT4_V7M(sum)(const lut4_tap *taps, int32_t count, uint32_t start, uint32_t vector_bytes, uint32_t *out);
void LUT4_V7M(sum_rows)(const lut4_tap *taps, int32_t count, uint32_t start, uint32_t kept, uint32_t *out);
void r2b_lut4_groups_v7m(const uint32_t *nibbles, const uint32_t *constants, int32_t groups, uint32_t *table);
void r2b_lut4_move_v7m(void *to, const void *from, uint32_t bytes);
void r2b_lut4_collect_v7m(const uint32_t *lanes, uint8_t *signs);
void r2b_lut4_spread_v7m(const uint32_t *octet, uint32_t flip, uint8_t *to, int32_t pixel_bytes);

static inline void lut4_merge_near(const lut4_tap *taps, int32_t count, int32_t rows, int32_t vector, uint32_t start,
                                   uint32_t *out);
LUT4_SELDOM void lut4_prepare_v7m(lut4_state *s);
static inline void lut4_channel_v7m(const lut4_state *s, const uint32_t *weights, uint32_t start, uint32_t *lanes);

#include "r2b_lut4_driver.h"

// The assembly does shifts of up to 3 pixels either way: the windows of up to 7 columns about a pixel.
static inline int lut4_is_near(const lut4_state *s) {
    return s->merged[0].shift >= -3 && s->merged[s->taps - 1].shift <= 3;
}

// The bytes of a word that stay in their segment when it moves right by one.
static inline uint32_t lut4_kept_bytes(int32_t rows) {
    return rows == 1 ? 0x00ffffffu : rows == 2 ? 0x00ff00ffu : 0u;
}

static inline void lut4_merge_near(const lut4_tap *taps, int32_t count, int32_t rows, int32_t vector, uint32_t start,
                                   uint32_t *out) {
    if (taps[0].shift < -3 || taps[count - 1].shift > 3) {
        lut4_merge(taps, count, rows, vector, start, out);
    } else if (rows == 1) {
        LUT4_V7M(sum)(taps, count, start, (uint32_t)vector * LUT4_PIXELS, out);
    } else {
        LUT4_V7M(sum_rows)(taps, count, start, lut4_kept_bytes(rows), out);
    }
}

// Lets the pass merge as well, unless the border differs from channel to channel. Of several vectors, the first and the
// last one add what leaves the row to the vectors beyond, of which nobody takes notice; with tiles there are none.
LUT4_SELDOM void lut4_prepare_v7m(lut4_state *s) {
    const int32_t vectors = s->layer->vectors;
    if (s->layer->border || !lut4_is_near(s)) return;
    if (vectors > 1 && s->layer->finish == R2B_LUT4_TILES) return;
    const uint32_t kept = lut4_kept_bytes(s->layer->rows);
    s->has_merging_pass = 1;
    s->kept_bytes = kept;
    for (int32_t v = 0; v < vectors; v++) {
        for (int32_t t = 0; t < s->taps; t++) {
            r2b_lut4_job *const job = &s->jobs[v * (s->taps + 1) + t];
            const int32_t shift = s->merged[t].shift;
            const int at_border = shift < 0 ? v == 0 : v == vectors - 1;
            const uint32_t border = s->merged[t].sums[-LUT4_WORDS] & ~(shift < 0 ? kept << 8 : kept);
            const int32_t first = vectors > 1 ? 18 : t == 0 ? 4 : 11;
            job->run |= (uint32_t)(shift + first) << 8;
            job->sums = (uint32_t *)(uintptr_t)(at_border ? border : 0u);
        }
    }
}

LUT4_APART void lut4_channel_vectors(const lut4_state *s, const uint32_t *weights, uint32_t start, uint32_t *lanes) {
    uint32_t *const end = lanes + s->layer->vectors * (LUT4_PIXELS / 2);
    const r2b_lut4_job *jobs = s->jobs;
    for (uint32_t *lane = lanes; lane < end; lane += LUT4_PIXELS / 2) {
        for (int32_t k = 0; k < LUT4_PIXELS / 2; k++) lane[k] = start ^ LUT4_BIAS;
    }
    for (; lanes < end; lanes += LUT4_PIXELS / 2, jobs += s->taps + 1) {
        LUT4_V7M(pass)(jobs, lanes, weights, start, s->kept_bytes);
    }
}

static inline void lut4_channel_v7m(const lut4_state *s, const uint32_t *weights, uint32_t start, uint32_t *lanes) {
    if (!s->has_merging_pass) {
        lut4_channel(s, weights, start, lanes);
    } else if (s->layer->vectors > 1) {
        lut4_channel_vectors(s, weights, start, lanes);
    } else {
        LUT4_V7M(pass)(s->jobs, lanes, weights, start, s->kept_bytes);
    }
}

#endif  // R2B_LUT4_V7M_H
