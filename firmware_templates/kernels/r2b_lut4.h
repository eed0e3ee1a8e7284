// SPDX-License-Identifier: MIT-0
//
// r2b_lut4.h: binary convolution by lookup in tables of the input: how it works, and what its parts share. A family
// defines what it does better, includes this and then, once, r2b_lut4_driver.h, which makes its entry function:
//     LUT4_KERNEL  the function's name                   LUT4_PASS   see lut4_pass below
//     LUT4_PIXELS  pixels of a vector, 16 or 32: P       LUT4_MERGE  optional, see r2b_lut4_merge.h
//     LUT4_UNROLL  lookups of the pass's block, 8 n      LUT4_GROUPS optional, see r2b_lut4_table.h
//     LUT4_ORIGIN  optional, see r2b_lut4_job            LUT4_CHANNEL and others, optional: see r2b_lut4_driver.h
//     LUT4_UNIT    optional, see r2b_lut4_epilogue.h     LUT4_FLOAT  optional: int32_t to float
//
// How it works. Popcounts of x ^ w cost about five operations for each word of x and each output channel. Here the work
// on x is done once for all output channels: for 4 input channels of P pixels, a table holds for each of the 16 values
// n that 4 weights can take the number of equal bits, 0 to 4, of each pixel: P fields of 4 bits. A convolution is then
// a sum of table entries, P pixels at a time, and the 4 bits of weights are the index.
//
// 1. The tables (r2b_lut4_table.h) lie in the workspace as
//        uint8_t [phase][vector][kernel_y][group of 4 channels][16][P / 2]
//    for the input rows that the output row at hand needs. With the stride s the columns x = p mod s are a phase: tap
//    kx of output pixel ox reads column ox * s + kx * dilation - pad, which is column ox + shift of its phase. Beyond
//    the map an entry holds 2, half of 4: its products are 0. (Where the border holds +-1 it is tabled as such.)
// 2. A pass adds up the entries of one kernel column kx, for all kernel_y and groups, or for a chunk of these where
// they
//    are more than 63, since the sums have 8 bits. The result has no shift yet.
// 3. The merge (r2b_lut4_merge.h) adds the kernel columns, each shifted, in 16 bits, from -half of all bits on:
//    equal - (bits / 2) = dot / 2. Channels are filled up to groups of 4 with weights of alternating signs, whose sum
//    is 0; if their number is odd one product of +1 remains for each tap inside the map: dot = 2 * lane - taps inside.
// 4. The epilogue (r2b_lut4_epilogue.h) takes a channel of a row at a time.
//
// Pixel order. Pixel x of a vector is byte x / N of word x % N of a pass's sums, N = P / 4. Word i of an entry, of
// N / 2, has in nibble j pixel N / 2 * j + i: its low nibbles become word i, its high ones word i + N / 2. So a shift
// by one pixel takes the next word, and only the last one moves its bytes. After the merge, half h of word j is pixel
// j + h * P / 2.
//
// Narrow maps. R = 2 or 4 rows of the output lie in one vector, segments of P / R pixels, where they fit. A table then
// covers input rows that are stride_y apart.
#ifndef R2B_LUT4_H
#define R2B_LUT4_H

#include <string.h>

#include "r2b_kernels.h"

// What runs once a layer or a row is compiled for size, and what a loop calls stays apart from it, which leaves the
// loop its registers.
#define LUT4_SELDOM static __attribute__((cold, noinline))
#define LUT4_APART static __attribute__((noinline))
#define LUT4_OFTEN static __attribute__((hot, noinline))

enum {
    LUT4_WORDS = LUT4_PIXELS / 4,            // of a pass's sums: N
    LUT4_GROUP_BYTES = 16 * LUT4_PIXELS / 2  // of a table of 4 channels
};

// What a pass does: it adds up L table entries, byte by byte, into sums[N]. Nibble i of L is the index into the table
// of group i; the nibbles end at the end of a word, so that the first of ceil(L / 8) words begins with -L mod 8 unused
// ones. Words are counted in blocks of LUT4_UNROLL lookups from the end on, and the first block is entered in its
// midst.
typedef struct {
    const uint8_t *table;  // of the first lookup + LUT4_ORIGIN(-L mod LUT4_UNROLL)
    uint32_t run;          // -L mod LUT4_UNROLL; from bit 16 on ceil(L / LUT4_UNROLL)
    uint32_t *sums;
} r2b_lut4_job;  // after the last one of a vector comes one with run = 0

// What a pass wants to have in its base register when it begins with lookup `entry` of a block, in tables from that
// lookup's on. By default the first table of the word's 8.
#ifndef LUT4_ORIGIN
#define LUT4_ORIGIN(entry) (-((entry) % 8))
#endif

#ifdef LUT4_FLOAT
float LUT4_FLOAT(int32_t v);
#else
#define LUT4_FLOAT(v) ((float)(v))
#endif

// Bytes of the list of jobs, which is for LUT4_ADD_JOB and LUT4_PASS or LUT4_CHANNEL alone; see r2b_lut4_driver.h.
#ifndef LUT4_JOBS_BYTES
#define LUT4_JOBS_BYTES(vectors, taps) ((vectors) * ((taps) + 1) * (int32_t)sizeof(r2b_lut4_job))
#endif

// Runs `count` jobs one after the other; their weights follow each other without gaps.
typedef void (*lut4_pass)(const r2b_lut4_job *jobs, int32_t count, const uint32_t *weights);

// A kernel column, or a chunk of one, as the merge sees it.
typedef struct {
    const uint32_t *sums;  // [vectors][N], and one vector of the border on either side
    int32_t shift;         // pixel x reads pixel x + shift
} lut4_tap;

// Pixels of a row of the map that follow each other in a vector: at most 8, within an octet of lanes.
typedef struct {
    int32_t lane;   // the first one's place among a channel's lanes, in int16; the next ones are two apart
    int32_t octet;  // of all vectors
    int32_t bit;    // the first one's in the octet
    int32_t y;
    int32_t x;
    int32_t count;
} lut4_run;

// Channel by channel, what LUT4_UNIT is given: a vector's lanes v = dot / 2 become
//     t = v >= 0 ? up * v : down * v, or up * v + offset; if that is below 0, bend * t;
//     t += skip; store = t; mean += t; sign = t < limit
// as far as they are among the parts.
enum {
    LUT4_DOUBLE = 1,  // t = 2 v
    LUT4_SCALE = 2,   // t = up * v
    LUT4_SELECT = 4,  // the first form
    LUT4_OFFSET = 8,  // the second form
    LUT4_BEND = 16,
    LUT4_SKIP = 32,
    LUT4_STORE = 64,
    LUT4_MEAN = 128,
    LUT4_SIGN = 256,
    LUT4_IN_PLACE = 512  // SELECT, SKIP, STORE where skip is, SIGN, and no other but MEAN
};

// Of a channel.
typedef struct {
    float up;
    float down;
    float offset;
    float bend;
    float limit;
} lut4_constants;

typedef struct {
    uint32_t parts;
    uint32_t stride;    // bytes from a pixel to the next
    uint32_t first;     // bytes from skip and store to the vector's first pixel
    const float *skip;  // of the row's first pixel and channel, as store
    float *store;
    float *mean;     // of the channel that comes next
    uint8_t *signs;  // an octet's byte; the next octet's is 8 bytes on
} lut4_unit;

typedef struct {
    const r2b_bconv_lut4 *layer;
    int32_t groups;        // of 4 channels
    int32_t lookups;       // of a kernel column
    int32_t column_words;  // of their weights
    int32_t taps;          // kernel_x * chunks
    int32_t kept;          // rows of tables that the next row of vectors uses again; kernel_y - kept are new
    int is_near;           // for LUT4_CHANNEL, by LUT4_PREPARE
    // The workspace, in this order.
    uint8_t *tables;
    uint32_t *sums;      // [taps][vectors + 2][N]
    r2b_lut4_job *jobs;  // [vectors][taps + 1]
    lut4_tap *merged;    // [taps]
    uint32_t *lanes;     // [channels at a time][vectors][P / 2]: what the merge gives; see lut4_lanes_bytes
    uint8_t *signs;      // [octets][8 channels], where no tile is made
    float *tile;         // [out_channels], in its place
    lut4_run *runs;
    lut4_constants *constants;  // [out_channels], where LUT4_UNIT has parts
    // Of the epilogue.
    const r2b_tile_op *bits;  // null: none
    lut4_unit unit;           // its skip and store are of the first pixel of all
    float *means;             // null: none
    int32_t run_count;        // in the rows at hand
    int32_t whole_octets;     // the first runs, where their pixels follow each other in the map
    int32_t whole_vectors;    // in these rows: their pixels follow each other in the map
    int32_t unit_runs;        // of these that LUT4_UNIT does
} lut4_state;

#ifdef LUT4_UNIT
void LUT4_UNIT(const lut4_unit *unit, const uint32_t *lanes, const lut4_constants *constants);
#endif

static inline int32_t lut4_floor_div(int32_t a, int32_t b) {
    return (a - (a < 0 ? b - 1 : 0)) / b;
}

static inline int32_t lut4_align(int32_t bytes) {
    return (bytes + 15) / 16 * 16;
}

static inline int32_t lut4_slot_bytes(const lut4_state *s) {
    return s->groups * LUT4_GROUP_BYTES;
}

static inline int32_t lut4_vector_bytes(const lut4_state *s) {
    return s->layer->window.kernel_y * lut4_slot_bytes(s);
}

#endif  // R2B_LUT4_H
