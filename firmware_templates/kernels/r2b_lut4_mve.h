// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_mve.h: binary convolution by lookup in tables of the input, as r2b_lut4.h has it, for MVE (Armv8.1-M) with
// vectors of 32 pixels: what differs, and what its parts share.
//
// An entry is one vector register. Its nibble j of lane i is pixel 4 j + i. The nibbles of odd j are stored less 2: a
// byte is 16 (c - 2) + c' with counts of equal bits c and c', 0..4, of two pixels. A pass (r2b_lut4_mve.S) adds up the
// entries of a run, at most 63, and gives 32 bytes in 8 words, centred, -126..126: byte b of word k is pixel 8 b + k.
// It shifts them, adds the runs of an output channel in 16 bits, and gives dot / 2 for each pixel: int16_t
// lanes[16][2], lanes[j][h] is pixel 16 h + j. (Where the channels are an odd number, one product of +1 for each tap
// inside the map is to be taken off, see r2b_lut4.h.)
#ifndef R2B_LUT4_MVE_H
#define R2B_LUT4_MVE_H

#include <arm_mve.h>

#include "r2b_kernels.h"

#define LUT4_SELDOM static __attribute__((cold, noinline))  // for size
#define LUT4_OFTEN static __attribute__((hot, noinline))    // for speed, whoever calls it

enum {
    LUT4_PIXELS = 32,
    LUT4_TABLE_BYTES = 256,  // of a group of 4 channels: 16 entries
    LUT4_LANES = 32,         // of a vector
    LUT4_BEHIND = 380,       // the pass's pointer stands so far behind its table: four tables are in reach of a load
    LUT4_BY_LANES = 1,       // a shift by one pixel from left to right that needs no memory
    LUT4_GUARD = 8,          // words beside the 8 of a run, for shifts of up to so many pixels
};

// A run of lookups. Nibble i is the index into table i; the nibbles end at the end of a word.
typedef struct {
    const uint8_t *table;  // the first one, and LUT4_BEHIND
    uint32_t *sums;        // 8 words, and LUT4_GUARD more before them where shift < 0, behind them where shift > 0
    int32_t shift;         // 4 d: pixel x reads pixel x + d; or LUT4_BY_LANES: d = -1
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
    const r2b_bconv_lut4 *layer;
    int32_t groups;        // of 4 channels
    int32_t lookups;       // of a kernel column
    int32_t column_words;  // of their weights
    int32_t taps;          // runs of an output channel: kernel_x * chunks
    int32_t kept;          // rows of tables that the next row of vectors uses again
    // The workspace, in this order.
    uint8_t *tables;         // [phase][vector][kernel_y][group][LUT4_TABLE_BYTES]
    uint32_t *sums;          // [vector][tap][8 + LUT4_GUARD]
    r2b_lut4_mve_job *jobs;  // [vector][tap]
    int16_t *lanes;          // [4, or where the epilogue takes tiles all channels][vector][LUT4_LANES]
    float *tile;             // [channels up to a multiple of 4]
} lut4_mve;

static inline int32_t lut4_slot_bytes(const lut4_mve *s) {  // the tables of a row of a vector
    return s->groups * LUT4_TABLE_BYTES;
}

static inline int32_t lut4_vector_bytes(const lut4_mve *s) {
    return s->layer->window.kernel_y * lut4_slot_bytes(s);
}

static inline int32_t lut4_floor_div(int32_t a, int32_t b) {
    return (a - (a < 0 ? b - 1 : 0)) / b;
}

#endif  // R2B_LUT4_MVE_H
