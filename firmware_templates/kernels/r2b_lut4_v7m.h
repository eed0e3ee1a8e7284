// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_v7m.h: what the families of Armv7-M and later have in common: vectors of 16 pixels, tables, signs, and the
// chain of steps that takes an output channel of a row from its weights to its lanes or signs, see r2b_lut4_pass.inc.
// Before it, LUT4_V7M(part) gives the family's name of a part in assembly.
#ifndef R2B_LUT4_V7M_H
#define R2B_LUT4_V7M_H

#define LUT4_PIXELS 16
#define LUT4_UNROLL 24
#define LUT4_JOBS_BYTES lut4_chain_bytes
#define LUT4_ADD_JOB lut4_chain_job
#define LUT4_ORIGIN(entry) ((entry) < 15 ? 7 - (entry) : 22 - (entry))
#define LUT4_GROUPS r2b_lut4_groups_v7m
#define LUT4_MOVE r2b_lut4_move_v7m
#define LUT4_SPREAD r2b_lut4_spread_v7m
#define LUT4_PREPARE lut4_chain_rest
#define LUT4_CHANNEL lut4_channel_v7m
#define LUT4_SIGNS lut4_signs_v7m

#include "r2b_lut4.h"

// Steps of a chain, in the order in which the assembly loads them.
typedef struct {
    uint32_t blocks;
    uint32_t *sums;  // of the job before
    const uint8_t *table;
    uint32_t code;
} lut4_chain_pass;
typedef struct {
    const uint32_t *sums;
    uint32_t code;
} lut4_chain_merge;

// Places in the family's list of code. A job's is its first lookup in a block.
enum {
    LUT4_CODE_REWIND = LUT4_UNROLL,
    LUT4_CODE_BEGIN,
    LUT4_CODE_END,
    LUT4_CODE_RETURN,
    LUT4_CODE_LANES,
    LUT4_CODE_SIGNS,
    LUT4_CODE_TAPS,      // first ones with shifts of -3..0, later ones with -3..3; for 1, for 2 and for 4 rows
    LUT4_CODE_LATER = 4  // from a first one to a later one
};
enum { LUT4_CODES_A_KIND = 11, LUT4_FARTHEST = 3 };

extern const uint32_t LUT4_V7M(codes)[];
void LUT4_V7M(pass)(const lut4_chain_pass *chain, const uint32_t *weights, uint32_t start, void *out);
void r2b_lut4_groups_v7m(const uint32_t *nibbles, const uint32_t *constants, int32_t groups, uint32_t *table);
void r2b_lut4_move_v7m(void *to, const void *from, uint32_t bytes);
void r2b_lut4_spread_v7m(const uint8_t *octets, uint32_t flip, uint8_t *to, int32_t pixel_bytes, int32_t count);

static inline int32_t lut4_chain_bytes(int32_t vectors, int32_t taps);
static inline void lut4_chain_job(const lut4_state *s, int32_t v, int32_t t, const uint8_t *table, int32_t entry,
                                  int32_t blocks, uint32_t *sums);
LUT4_SELDOM void lut4_chain_rest(lut4_state *s);
static inline void lut4_channel_v7m(const lut4_state *s, const uint32_t *weights, uint32_t start, uint32_t *lanes);
static inline void lut4_signs_v7m(const lut4_state *s, int32_t c, const uint32_t *weights, uint32_t start);

#include "r2b_lut4_driver.h"

static inline lut4_chain_pass *lut4_chain_of(const lut4_state *s, int32_t v, int32_t t) {
    return (lut4_chain_pass *)(void *)s->jobs + v * (s->taps + 1) + t;
}

// Jobs and what follows them for each vector; then taps and what follows them for each vector, and the return.
static inline int32_t lut4_chain_bytes(int32_t vectors, int32_t taps) {
    const int32_t step = (int32_t)(sizeof(lut4_chain_pass) + sizeof(lut4_chain_merge));
    return vectors * (taps + 1) * step + (int32_t)sizeof(lut4_chain_merge);
}

static inline void lut4_chain_job(const lut4_state *s, int32_t v, int32_t t, const uint8_t *table, int32_t entry,
                                  int32_t blocks, uint32_t *sums) {
    lut4_chain_pass *const job = lut4_chain_of(s, v, t);
    job->blocks = (uint32_t)blocks;
    job->table = table;
    job->code = LUT4_V7M(codes)[entry];
    if (t == 0) job->sums = sums;  // there is none before: what is stored there is overwritten by its own
    job[1].sums = sums;
}

// What follows the jobs. The assembly does shifts of up to 3 pixels either way, the windows of up to 7 columns about a
// pixel; for others the chain ends with the jobs.
LUT4_SELDOM void lut4_chain_rest(lut4_state *s) {
    const uint32_t *const codes = LUT4_V7M(codes);
    const int32_t vectors = s->layer->vectors;
    const int32_t kind = s->layer->rows / 2;  // 0, 1 or 2
    s->is_near = s->merged[0].shift >= -LUT4_FARTHEST && s->merged[s->taps - 1].shift <= LUT4_FARTHEST;
    for (int32_t v = 0; v < vectors; v++) {
        const int is_last = v == vectors - 1;
        lut4_chain_of(s, v, s->taps)->code = codes[!is_last     ? LUT4_CODE_REWIND
                                                   : s->is_near ? LUT4_CODE_BEGIN
                                                                : LUT4_CODE_END];
    }
    if (!s->is_near) return;
    lut4_chain_merge *step = (lut4_chain_merge *)(void *)lut4_chain_of(s, vectors, 0);
    const uint32_t *const taps = codes + LUT4_CODE_TAPS + kind * LUT4_CODES_A_KIND + LUT4_FARTHEST;
    for (int32_t v = 0; v < vectors; v++) {
        for (int32_t t = 0; t < s->taps; t++) {
            const int32_t code = s->merged[t].shift + (t == 0 ? 0 : LUT4_CODE_LATER);
            *step++ = (lut4_chain_merge){s->merged[t].sums + v * LUT4_WORDS, taps[code]};
        }
        step++->code = codes[s->layer->finish == R2B_LUT4_SIGNS ? LUT4_CODE_SIGNS : LUT4_CODE_LANES];
    }
    step->code = codes[LUT4_CODE_RETURN];
}

LUT4_APART void lut4_merge_far(const lut4_state *s, uint32_t start, uint32_t *lanes) {
    for (int32_t v = 0; v < s->layer->vectors; v++) {
        lut4_merge(s->merged, s->taps, s->layer->rows, v, start, lanes + v * (LUT4_PIXELS / 2));
    }
}

static inline void lut4_channel_v7m(const lut4_state *s, const uint32_t *weights, uint32_t start, uint32_t *lanes) {
    LUT4_V7M(pass)(lut4_chain_of(s, 0, 0), weights, start, lanes);
    if (!s->is_near) lut4_merge_far(s, start, lanes);
}

static inline void lut4_signs_v7m(const lut4_state *s, int32_t c, const uint32_t *weights, uint32_t start) {
    LUT4_V7M(pass)(lut4_chain_of(s, 0, 0), weights, start, s->signs + c % 8);
    if (s->is_near) return;
    lut4_merge_far(s, start, s->lanes);
    lut4_collect_signs(s, c, s->lanes);
}

#endif  // R2B_LUT4_V7M_H
